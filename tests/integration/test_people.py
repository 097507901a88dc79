"""Persons as devices, their photos in the form, and who may see them."""

from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
import re
import tarfile
from typing import Any
from uuid import uuid4

from aiohttp.test_utils import TestClient
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.recognition.images import THUMBNAIL_BYTES
from custom_components.face_doorbell.visits import VISITS, Visit
from tests.bridge.doubles import RunningBridge
from tests.photos import photo

from .flow_tools import answer_person, choose, options, start_person, upload
from .helpers import recognition, set_up, state
from .people import act, ring

LAST_SEEN = "sensor.joe_last_seen"
LAST_PICTURE = "image.joe_last_picture"

FLOWS = "/api/config/config_entries/subentries/flow"


@pytest.fixture
async def client(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> TestClient[Any, Any]:
    """The browser of an administrator."""
    assert await async_setup_component(hass, "file_upload", {})
    assert await async_setup_component(hass, "config", {})
    browser: TestClient[Any, Any] = await hass_client()
    return browser


@pytest.fixture
async def guest(
    client: TestClient[Any, Any], hass_client: ClientSessionGenerator, hass_read_only_access_token: str
) -> TestClient[Any, Any]:
    """The browser of somebody who may look, but not change anything."""
    browser: TestClient[Any, Any] = await hass_client(hass_read_only_access_token)
    return browser


@pytest.fixture
async def joe(hass: HomeAssistant, entry: ConfigEntry, client: TestClient[Any, Any]) -> str:
    """A person with a photo, who is linked to a person of Home Assistant; the id."""
    step = await start_person(hass, entry)
    given = {"name": "Joe", "photo_1": await upload(client, photo("biden")), "person_entity": "person.joe"}
    step = await answer_person(hass, step, given)
    assert step["type"] == "create_entry", step
    person_id: str = step["data"]["person_id"]
    return person_id


def size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG."""
    with Image.open(BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return image.size


async def image(client: TestClient[Any, Any], hass: HomeAssistant) -> bytes:
    """Return the person's last picture as a browser shows it."""
    answer = await client.get(state(hass, LAST_PICTURE).attributes["entity_picture"])
    assert answer.status == 200
    return await answer.read()


def device_of(hass: HomeAssistant, entry: ConfigEntry, person_id: str) -> dr.DeviceEntry | None:
    """Return the device of a person."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return next((each for each in devices if (DOMAIN, person_id) in each.identifiers), None)


# Devices


async def test_a_person_is_a_device_with_two_entities(
    hass: HomeAssistant, entry: ConfigEntry, joe: str
) -> None:
    device = device_of(hass, entry, joe)
    assert device is not None
    (subentry_id,) = entry.subentries
    assert (device.name, device.entry_type) == ("Joe", dr.DeviceEntryType.SERVICE)
    assert (device.config_entry_id, device.config_subentry_id) == (entry.entry_id, subentry_id)
    entities = er.async_entries_for_device(er.async_get(hass), device.id)
    assert {each.entity_id for each in entities} == {LAST_SEEN, LAST_PICTURE}


async def test_a_person_is_seen(
    hass: HomeAssistant,
    seeing_bridge: RunningBridge,
    entry: ConfigEntry,
    joe: str,
    client: TestClient[Any, Any],
) -> None:
    assert state(hass, LAST_SEEN).state == "unknown"
    assert state(hass, LAST_SEEN).attributes["person"] == "person.joe"
    (enrolled,) = entry.runtime_data.person(joe).photos
    assert await image(client, hass) == await entry.runtime_data.photo(joe, enrolled.id)

    visit = await ring(hass, seeing_bridge, "biden")
    seen = state(hass, LAST_SEEN)
    assert seen.state == visit.at.isoformat(timespec="seconds")
    assert (seen.attributes["doorbell"], seen.attributes["visit_id"]) == ("Front door", visit.visit_id)
    assert state(hass, LAST_PICTURE).state == visit.at.isoformat()
    face, whole = size(await image(client, hass)), size(photo("biden"))
    assert face[0] * face[1] < whole[0] * whole[1]

    await ring(hass, seeing_bridge, "obama")  # somebody else
    assert state(hass, LAST_SEEN) == seen

    await act(hass, "not_this_person", {"visit_id": visit.visit_id})
    assert state(hass, LAST_SEEN).state == "unknown"
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe"})
    assert state(hass, LAST_SEEN).state == seen.state
    await act(hass, "forget_visit", {"visit_id": visit.visit_id})
    assert state(hass, LAST_SEEN).state == "unknown"


async def test_who_was_seen_before_a_restart_is_known(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, joe: str
) -> None:
    await ring(hass, seeing_bridge, "biden")
    before = state(hass, LAST_SEEN).state, state(hass, LAST_PICTURE).state
    await hass.config_entries.async_reload(entry.entry_id)
    assert (state(hass, LAST_SEEN).state, state(hass, LAST_PICTURE).state) == before


@pytest.mark.parametrize("way", ["action", "user interface"])
async def test_device_and_entities_go_with_the_person(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, joe: str, way: str
) -> None:
    visit = await ring(hass, seeing_bridge, "biden")
    if way == "action":
        await act(hass, "remove_person", {"person": "Joe"})
    else:
        (subentry_id,) = entry.subentries
        hass.config_entries.async_remove_subentry(entry, subentry_id)
        await hass.async_block_till_done()
    assert device_of(hass, entry, joe) is None
    assert er.async_get(hass).async_get(LAST_SEEN) is None
    assert hass.states.get(LAST_SEEN) is None
    stored = hass.data[VISITS].get(visit.visit_id)
    assert stored
    assert stored.names == []


async def test_who_was_removed_just_before_a_crash_does_not_come_back(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, joe: str
) -> None:
    """Home Assistant writes down a second later only that somebody is gone."""
    visit = await ring(hass, seeing_bridge, "biden")
    (subentry,) = entry.subentries.values()
    await act(hass, "remove_person", {"person": "Joe"})
    hass.config_entries.async_add_subentry(entry, subentry)
    await hass.async_block_till_done()
    assert entry.subentries == {}
    assert device_of(hass, entry, joe) is None
    assert entry.runtime_data.persons == ()
    stored = hass.data[VISITS].get(visit.visit_id)
    assert stored
    assert stored.names == []


# The form


async def walk(client: TestClient[Any, Any], entry: ConfigEntry, *answers: Mapping[str, Any]) -> Any:
    """Walk the flow that changes the only person, as a browser does; return the last step."""
    (subentry_id,) = entry.subentries
    start = {"handler": [entry.entry_id, "person"], "subentry_id": subentry_id}
    step = await (await client.post(FLOWS, json=start)).json()
    for given in answers:
        step = await (await client.post(f"{FLOWS}/{step['flow_id']}", json=given)).json()
    return step


async def test_photos_are_shown_where_they_are_changed(
    hass: HomeAssistant,
    entry: ConfigEntry,
    joe: str,
    client: TestClient[Any, Any],
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    visit_photo = await upload(client, mirrored("biden"))
    await walk(client, entry, choose("add_photos"), {"photo_1": visit_photo})
    await hass.async_block_till_done()
    anybody = await hass_client_no_auth()  # an <img> sends no login
    for answers in ((), [choose("add_photos")], [choose("remove_photos")]):
        step = await walk(client, entry, *answers)
        shown = step["description_placeholders"]["photos"]
        urls = re.findall(r"!\[(\d)\]\((\S+)\)", shown)
        assert [number for number, _ in urls] == ["1", "2"]
        for _, url in urls:
            answer = await anybody.get(url)
            thumbnail = await answer.read()
            assert answer.status == 200
            assert len(thumbnail) <= THUMBNAIL_BYTES
            assert max(size(thumbnail)) == 160
            assert answer.headers["Cache-Control"] == "private, no-store"
            assert (await anybody.get(url.partition("?")[0])).status == 401


def mirrored(name: str) -> bytes:
    """Return another photo of the same person."""
    target = BytesIO()
    with Image.open(BytesIO(photo(name))) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target, "JPEG")
    return target.getvalue()


async def test_photos_of_persons_are_for_administrators(
    hass: HomeAssistant,
    entry: ConfigEntry,
    joe: str,
    client: TestClient[Any, Any],
    guest: TestClient[Any, Any],
) -> None:
    (photo_id,) = (each.id for each in entry.runtime_data.person(joe).photos)
    address = f"/api/face_doorbell/persons/{joe}/{photo_id}.jpg"
    assert (await client.get(address)).status == 200
    assert (await client.get(address.replace(photo_id, "0" * 16))).status == 404
    assert (await client.get(address.replace(joe, "nobody"))).status == 404
    assert (await guest.get(address)).status == 401
    started = await guest.post(FLOWS, json={"handler": [entry.entry_id, "person"]})
    assert started.status == 401


async def test_name_and_link_are_changed(
    hass: HomeAssistant, entry: ConfigEntry, joe: str, client: TestClient[Any, Any]
) -> None:
    step = await walk(client, entry, choose("rename"), {"name": "Joseph"})
    assert step["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    (subentry,) = entry.subentries.values()
    assert (subentry.title, dict(subentry.data)) == ("Joseph", {"person_id": joe})
    device = device_of(hass, entry, joe)
    assert device
    assert device.name == "Joseph"

    await walk(client, entry, choose("rename"), {"name": "Joseph", "person_entity": "person.jo"})
    await hass.async_block_till_done()
    assert state(hass, LAST_SEEN).attributes["person"] == "person.jo"


# How long visits are kept


def visit_of(days_ago: float) -> Visit:
    """Return a visit of a stranger."""
    at = dt_util.utcnow() - timedelta(days=days_ago)
    return Visit(str(uuid4()), "9f3c21ab", at, outcome=Outcome.UNKNOWN)


async def test_how_long_visits_are_kept_is_an_option(
    hass: HomeAssistant, seeing_bridge: RunningBridge
) -> None:
    entry = recognition()
    await set_up(hass, entry)
    visits = [visit_of(days) for days in (20, 10, 1)]
    for visit in visits:
        await hass.data[VISITS].async_add(visit, {0: bytes(400_000)})
    step = await options(hass, entry, "retention")
    assert step["data_schema"]({}) == {
        "keep_recognized_days": 90,
        "keep_others_days": 30,
        "keep_visits": 2000,
        "keep_mb": 1000,
    }
    assert step["description_placeholders"] == {
        "visits": "3",
        "size": "1.2",
        "oldest": dt_util.as_local(visits[0].at).date().isoformat(),
    }
    limits = {"keep_recognized_days": 90, "keep_others_days": 15, "keep_visits": 5, "keep_mb": 500}
    step = await hass.config_entries.options.async_configure(step["flow_id"], limits)
    await hass.async_block_till_done()
    assert entry.options == limits
    assert list(hass.data[VISITS].newest_first()) == visits[:0:-1]

    for limit in ({"keep_visits": 1}, {"keep_mb": 1}):
        hass.config_entries.async_update_entry(entry, options={**limits, **limit})
        await hass.async_block_till_done()
        await hass.data[VISITS].async_add(visit_of(0.5), {0: bytes(700_000)})
        assert hass.data[VISITS].count() == 1


async def test_a_longer_time_holds_from_the_start(hass: HomeAssistant) -> None:
    """Home Assistant reads the visits before it sets up recognition, if it can set it up at all."""
    entry = recognition()
    entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, options={"keep_others_days": 300})
    assert await async_setup_component(hass, DOMAIN, {})
    visit = visit_of(200)
    await hass.data[VISITS].async_add(visit, {})

    hass.config.components.remove(DOMAIN)
    before = hass.data.pop(VISITS)
    assert await async_setup_component(hass, DOMAIN, {})
    assert hass.data[VISITS] is not before
    assert visit.visit_id in hass.data[VISITS]


# Backups


async def test_a_backup_has_persons_and_visits(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await async_setup_component(hass, "backup", {})
    visit = await ring(hass, seeing_bridge, "biden")
    named = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe"})
    socket = await hass_ws_client(hass)
    await socket.send_json_auto_id({"type": "backup/subscribe_events"})
    await socket.send_json_auto_id(
        {
            "type": "backup/generate",
            "agent_ids": ["backup.local"],
            "include_database": False,
            "name": "Test",
        }
    )
    while (await socket.receive_json()).get("event", {}).get("state") != "completed":
        pass
    kept, backed_up = await hass.async_add_executor_job(_files, Path(hass.config.path()))
    for folder in (f"visits/{visit.visit_id}", f"people/{named['person_id']}"):
        assert {name for name in kept if folder in name and name.endswith(".jpg")}
    assert {f"data/{name}" for name in kept} <= backed_up


def _files(config: Path) -> tuple[set[str], set[str]]:
    """Return our files on disk, and all files in the only backup."""
    ours = (path for path in (config / DOMAIN).rglob("*") if path.is_file())
    (backup,) = (config / "backups").glob("*.tar")
    with tarfile.open(backup) as outer:
        (inner,) = (name for name in outer.getnames() if name.endswith("homeassistant.tar.gz"))
        content = outer.extractfile(inner)
        with tarfile.open(fileobj=content) as configuration:
            names = {name.removeprefix("./") for name in configuration.getnames()}
    return {str(path.relative_to(config)) for path in ours}, names
