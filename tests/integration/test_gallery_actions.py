"""The gallery as a whole: checked, exported and imported by administrators, with the bridge's real face models."""

import io
from pathlib import Path
from typing import Any
from unittest.mock import patch
import zipfile

from homeassistant.components import persistent_notification
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockUser
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.recognition.gallery import NewPhoto
from tests.bridge.doubles import RunningBridge

from .flow_texts import check_error
from .flow_tools import upload
from .test_services import act, folder, item

__all__ = ["folder"]  # fixtures


async def refused(hass: HomeAssistant, action: str, data: dict[str, Any]) -> str | None:
    with pytest.raises(HomeAssistantError) as error:
        await act(hass, action, data)
    check_error(error.value)
    return error.value.translation_key


async def add(hass: HomeAssistant, name: str, *photos: str, **fields: Any) -> Any:
    return await act(hass, "add_person", {"name": name, "media": [item(each) for each in photos], **fields})


def people(entry: ConfigEntry) -> dict[str, int]:
    return {person.name: len(person.photos) for person in entry.runtime_data.persons}


async def test_who_is_enrolled_hears_what_is_missing(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    assert await add(hass, "Barack", "obama2") | {"person_id": ""} == {
        "person_id": "",
        "name": "Barack",
        "photos": 1,
        "advice": "front",
        "looks_like": [],
    }
    with pytest.raises(ServiceValidationError) as doubt:
        await add(hass, "Bob", "biden", "obama")
    check_error(doubt.value)
    assert doubt.value.translation_key == "photo_refused"
    assert doubt.value.translation_placeholders is not None
    assert doubt.value.translation_placeholders["number"] == "2"
    assert doubt.value.translation_placeholders["reason"].startswith("This looks like Barack (9")
    twin = await add(hass, "Bob", "obama", force=True)
    assert [each["name"] for each in twin["looks_like"]] == ["Barack"]


async def test_the_face_that_is_meant_is_counted_from_the_left(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    await add(hass, "Joe", "two", face=1)
    (face,) = (await act(hass, "recognize", {"media": item("biden")}))["faces"]
    assert face["similarity"] > 50
    assert await refused(hass, "add_photo", {"person": "Joe", "media": [item("two")], "face": 3}) == (
        "photo_face_number"
    )


async def test_the_gallery_is_checked(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, seeing_bridge: RunningBridge
) -> None:
    await add(hass, "Barack", "obama", "obama2")
    await add(hass, "Joe", "biden")
    await act(hass, "add_photo", {"person": "Joe", "media": [item("obama2")], "force": True})
    found = await act(hass, "check_gallery", {})
    assert found["tested"] == 4
    assert [each["people"] for each in found["pairs"]] == []
    assert ("Joe", 2, "looks_like_other", "Barack") in [
        (each["name"], each["number"], each["harm"], each["other"]) for each in found["harmful"]
    ]

    button = er.async_get(hass).async_get_entity_id("button", DOMAIN, f"{entry.entry_id}_check_gallery")
    assert button is not None
    await hass.services.async_call("button", "press", {"entity_id": button}, blocking=True)
    (note,) = persistent_notification._async_get_or_create_notifications(hass).values()
    assert note["title"] == "Check of your gallery"
    assert "Photo 2 of Joe" in note["message"]
    assert "looks more like Barack" in note["message"]


def unfinished(hass: HomeAssistant) -> list[Path]:
    """Return what was left lying among the photos."""
    return list(Path(hass.config.path(DOMAIN)).glob(".new-*"))


@pytest.fixture
async def exported(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, hass_ws_client: WebSocketGenerator
) -> dict[str, Any]:
    """What an administrator is told who exports two persons in the user interface."""
    await add(hass, "Barack", "obama", "obama2")
    await add(hass, "Joe", "biden")
    socket = await hass_ws_client(hass)
    await socket.send_json_auto_id(
        {"type": "call_service", "domain": DOMAIN, "service": "export_people", "return_response": True}
    )
    answer: dict[str, Any] = (await socket.receive_json())["result"]["response"]
    return answer


async def test_only_administrators_download_the_gallery(
    hass: HomeAssistant,
    exported: dict[str, Any],
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
    hass_read_only_access_token: str,
) -> None:
    stranger = await hass_client_no_auth()
    assert (await stranger.get(exported["url"].split("?")[0])).status == 401
    member = await hass_client(hass_read_only_access_token)
    assert (await member.get("/api/face_doorbell/gallery.zip")).status == 401
    response = await stranger.get(exported["url"])
    assert response.status == 200
    assert response.headers["Cache-Control"] == "private, no-store"
    assert unfinished(hass) == []


async def test_a_gallery_moves_by_download_and_upload(
    hass: HomeAssistant, entry: ConfigEntry, exported: dict[str, Any], hass_client: ClientSessionGenerator
) -> None:
    assert await async_setup_component(hass, "file_upload", {})
    assert (exported["people"], exported["photos"]) == (2, 3)
    client = await hass_client()
    content = await (await client.get(exported["url"])).read()
    assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 4

    for name in ("Barack", "Joe"):
        await act(hass, "remove_person", {"person": name})
    assert people(entry) == {}
    answer = await act(hass, "import_people", {"file": await upload(client, content, "gallery.zip")})
    assert answer["photos"] == {"Barack": 2, "Joe": 1}
    assert people(entry) == {"Barack": 2, "Joe": 1}
    assert {subentry.title for subentry in entry.subentries.values()} == {"Barack", "Joe"}
    assert unfinished(hass) == []
    assert not hass.data["file_upload"].files

    again = await act(hass, "import_people", {"file": await upload(client, content, "gallery.zip")})
    assert (again["added"], again["photos"], again["refused"]) == ([], {}, [])
    assert await refused(hass, "import_people", {"file": await upload(client, b"junk")}) == (
        "gallery_file_unreadable"
    )
    assert await refused(hass, "import_people", {"file": "gone"}) == "gallery_file_unreadable"


async def test_a_gallery_moves_through_a_folder(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, tmp_path: Path
) -> None:
    hass.config.allowlist_external_dirs = {str(folder)}
    await add(hass, "Barack", "obama")
    exported = await act(hass, "export_people", {"path": str(folder)})
    assert Path(exported["path"]).parent == folder
    await act(hass, "remove_person", {"person": "Barack"})
    assert (await act(hass, "import_people", {"path": exported["path"]}))["photos"] == {"Barack": 1}
    assert await refused(hass, "export_people", {"path": str(tmp_path / "a.zip")}) == "export_not_allowed"
    www = hass.config.path("www")  # which Home Assistant allows, and shows without a login
    hass.config.allowlist_external_dirs |= {www}
    assert await refused(hass, "export_people", {"path": f"{www}/a.zip"}) == "export_not_allowed"
    assert await refused(hass, "import_people", {"path": str(tmp_path / "a.zip")}) == "media_not_allowed"
    assert await refused(hass, "export_people", {}) == "export_path_missing"


async def test_an_import_goes_on_when_recognition_is_set_up_anew_meanwhile(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    """As when somebody names a visitor while a large gallery is imported."""
    hass.config.allowlist_external_dirs = {str(folder)}
    for name, picture in (("Barack", "obama"), ("Joe", "biden")):
        await add(hass, name, picture)
    exported = await act(hass, "export_people", {"path": str(folder)})
    await act(hass, "forget_everyone", {"confirm": "forget everyone"})
    gate = entry.runtime_data.gate
    admit = gate.admit

    async def interrupted(*args: Any, **kwargs: Any) -> NewPhoto:
        new: NewPhoto = await admit(*args, **kwargs)
        hass.async_create_task(hass.config_entries.async_reload(entry.entry_id))
        return new

    with patch.object(gate, "admit", interrupted):
        report = await act(hass, "import_people", {"path": exported["path"]})
    assert entry.runtime_data.gate is not gate
    assert report["photos"] == people(entry) == {"Barack": 1, "Joe": 1}
    assert {subentry.title for subentry in entry.subentries.values()} == {"Barack", "Joe"}


async def test_one_source_is_named(hass: HomeAssistant, entry: ConfigEntry) -> None:
    assert await refused(hass, "import_people", {}) == "import_source_missing"
    assert await refused(hass, "import_people", {"path": "a", "bucket": "b"}) == "import_source_missing"
    assert await refused(hass, "import_people", {"bucket": "b"}) == "import_needs_aws"


@pytest.mark.parametrize("action", ["check_gallery", "export_people", "import_people"])
async def test_only_administrators_handle_the_gallery(
    hass: HomeAssistant, entry: ConfigEntry, hass_read_only_user: MockUser, action: str
) -> None:
    with pytest.raises(Unauthorized):
        await act(hass, action, {}, user=hass_read_only_user)
