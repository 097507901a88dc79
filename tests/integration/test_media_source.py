"""Visits in the media browser, as the user interface asks for them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.const import CONF_ID
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell.const import CONF_KIND, DOMAIN, EntryKind
from custom_components.face_doorbell.model import Box, Outcome
from custom_components.face_doorbell.visits import VISITS, Visit, VisitFace, VisitPicture
from tests.photos import photo


def door(doorbell_id: str, name: str, **settings: Any) -> MockConfigEntry:
    """Return the entry of a doorbell that nobody sets up."""
    data = {CONF_KIND: EntryKind.DOORBELL, CONF_ID: doorbell_id}
    return MockConfigEntry(domain=DOMAIN, title=name, unique_id=doorbell_id, data=data, **settings)


FRONT, BACK = "9f3c21ab", "0b5e77aa"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ANN = VisitFace(Box(0.3, 0.1, 0.3, 0.4), "ann-1", "Ann", 97.0)
STRANGER = VisitFace(Box(0.3, 0.1, 0.3, 0.4), similarity=10.0)


def visit(number: int, face: VisitFace | None, door: str = FRONT, **changes: Any) -> Visit:
    outcome = Outcome.NO_FACE if face is None else Outcome.UNKNOWN
    known = face is not None and face.person_id is not None
    return replace(
        Visit(
            visit_id=f"00000000-0000-4000-8000-{number:012}",
            doorbell_id=door,
            at=NOON - timedelta(hours=20 * number),
            outcome=Outcome.RECOGNIZED if known else outcome,
            faces=(face,) if face else (),
            pictures=(VisitPicture(0),),
            picture=0,
        ),
        **changes,
    )


@pytest.fixture
async def ask(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Any:
    """Ask the media source over the WebSocket; the result, or the code of the error."""
    await hass.config.async_set_time_zone("UTC")
    assert await async_setup_component(hass, DOMAIN, {})
    assert await async_setup_component(hass, "media_source", {})
    await hass.async_block_till_done()
    client = await hass_ws_client(hass)

    async def ask(what: str, place: str | None = None, **fields: Any) -> Any:
        content_id = f"media-source://{DOMAIN}" + (f"/{place}" if place else "")
        await client.send_json_auto_id(
            {"type": f"media_source/{what}", "media_content_id": content_id, **fields}
        )
        answer = await client.receive_json()
        return answer["result"] if answer["success"] else answer["error"]["code"]

    return ask


async def store(hass: HomeAssistant, *visits: Visit) -> None:
    for each in visits:
        await hass.data[VISITS].async_add(each, {0: photo("obama")} if each.pictures else {})


def titles(folder: Mapping[str, Any]) -> list[str]:
    return [child["title"] for child in folder["children"]]


def place(child: Mapping[str, Any]) -> str:
    content_id: str = child["media_content_id"]
    return content_id.removeprefix(f"media-source://{DOMAIN}/")


async def test_one_door_shows_its_sections_at_once(hass: HomeAssistant, ask: Any) -> None:
    door(FRONT, "Front door").add_to_hass(hass)
    await store(
        hass,
        visit(0, ANN),
        visit(1, STRANGER),
        visit(2, ANN),
        visit(3, None),
        visit(4, None, pictures=(), picture=None),
    )
    root = await ask("browse_media")
    assert (root["title"], titles(root)) == ("Front door", ["Recent", "People", "Unknown", "By day"])
    recent, people, unknown, days = [await ask("browse_media", place(each)) for each in root["children"]]
    assert titles(recent) == [
        "Ann - 2026-11-22 12:00",
        "Unknown visitor - 2026-11-21 16:00",
        "Ann - 2026-11-20 20:00",
        "Nobody in the picture - 2026-11-20 00:00",
    ]
    assert titles(people) == ["Ann"]
    assert titles(await ask("browse_media", place(people["children"][0]))) == [
        "Ann - 2026-11-22 12:00",
        "Ann - 2026-11-20 20:00",
    ]
    assert titles(unknown) == ["Unknown visitor - 2026-11-21 16:00"]
    assert titles(days) == ["2026-11-22 (1)", "2026-11-21 (1)", "2026-11-20 (2)"]
    assert len((await ask("browse_media", place(days["children"][2])))["children"]) == 2


async def test_several_doors_come_first(hass: HomeAssistant, ask: Any) -> None:
    """A door that was removed is there as long as its visits are."""
    door(FRONT, "Front door").add_to_hass(hass)
    door(BACK, "Back door", disabled_by=ConfigEntryDisabler.USER).add_to_hass(hass)
    await store(hass, visit(0, ANN), visit(1, STRANGER, BACK), visit(2, ANN, "gone"))
    root = await ask("browse_media")
    assert titles(root) == ["Back door", "Front door", "gone"]
    back = await ask("browse_media", f"{place(root['children'][0])}/recent")
    assert titles(back) == ["Unknown visitor - 2026-11-21 16:00"]


async def test_a_picture_can_be_looked_at_by_who_is_logged_in(
    hass: HomeAssistant,
    ask: Any,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    await store(hass, visit(0, ANN))
    (picture,) = (await ask("browse_media", f"{FRONT}/recent"))["children"]
    assert picture["can_play"]
    assert picture["media_class"] == "image"
    resolved = await ask("resolve_media", place(picture))
    assert resolved["mime_type"] == "image/jpeg"

    member, stranger = await hass_client(), await hass_client_no_auth()
    (person,) = (await ask("browse_media", f"{FRONT}/people"))["children"]
    for address in (picture["thumbnail"], person["thumbnail"]):
        assert (await member.get(address)).status == 200
        assert (await stranger.get(address)).status == 401
    # Home Assistant signs what is to be played, so that an <img> can show it.
    shown = await stranger.get(resolved["url"])
    assert await shown.read() == photo("obama")
    assert (await stranger.get(resolved["url"].split("?")[0])).status == 401


async def test_pictures_are_found_by_name(hass: HomeAssistant, ask: Any) -> None:
    await store(hass, visit(0, ANN), visit(1, STRANGER), visit(2, replace(ANN, name="Bob"), BACK))
    found = await ask("search_media", search_query=" aNN ")
    assert [each["title"] for each in found["result"]] == ["Ann - 2026-11-22 12:00"]
    assert await ask("search_media", BACK, search_query="ann") == {"result": []}
    (unknown,) = (await ask("search_media", search_query="unknown"))["result"]
    assert unknown["can_play"]
    assert await ask("search_media", search_query="ann", media_filter_classes=["music"]) == {"result": []}


@pytest.mark.parametrize(
    "where",
    ["nowhere", f"{FRONT}/attic", f"{FRONT}/people/nobody-1", f"{FRONT}/day/2026-02-30", f"{FRONT}/day/a/b"],
)
async def test_what_is_not_there_cannot_be_opened(hass: HomeAssistant, ask: Any, where: str) -> None:
    await store(hass, visit(0, ANN))
    assert await ask("browse_media", where) == "browse_media_failed"
    assert await ask("resolve_media", where) == "resolve_media_failed"


async def test_a_visit_without_picture_cannot_be_played(hass: HomeAssistant, ask: Any) -> None:
    empty = visit(0, None, pictures=(), picture=None)
    await store(hass, empty)
    assert await ask("resolve_media", f"{FRONT}/visit/{empty.visit_id}") == "resolve_media_failed"


async def test_without_visits_there_is_nothing_to_see(hass: HomeAssistant, ask: Any) -> None:
    root = await ask("browse_media")
    assert (root["title"], root["children"]) == ("Face Doorbell", [])
