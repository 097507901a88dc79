"""Every door to people and pictures, tried by a member of the household who is no administrator, and by a stranger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient
from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.auth.models import User
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import CLIENT_ID
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
    WebSocketGenerator,
)
import voluptuous as vol

from custom_components.face_doorbell.const import DOMAIN
from tests.bridge.doubles import RunningBridge

from .helpers import add_doorbell, recognition, set_up
from .people import act, people, ring

# What everybody in the household may do; all other actions are for administrators.
EVERYBODY = {"recognize", "compare_faces", "list_people", "list_visits", "ring"}


@pytest.fixture
async def member(hass: HomeAssistant, hass_owner_user: User) -> User:
    """Somebody of the household who is no administrator."""
    return await hass.auth.async_create_user("Member", group_ids=[GROUP_ID_USER])


@pytest.fixture
async def token(hass: HomeAssistant, member: User) -> str:
    """The member's access token."""
    refresh_token = await hass.auth.async_create_refresh_token(member, CLIENT_ID)
    return hass.auth.async_create_access_token(refresh_token)


@pytest.fixture
async def entry(hass: HomeAssistant, seeing_bridge: RunningBridge) -> ConfigEntry:
    """A household that knows Joe, who has rung."""
    for component in ("config", "file_upload", "media_source"):
        assert await async_setup_component(hass, component, {})
    await add_doorbell(hass, seeing_bridge)
    entry: ConfigEntry = recognition()
    await set_up(hass, entry)
    visit = await ring(hass, seeing_bridge, "biden")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe"})
    return entry


@pytest.fixture
async def browser(
    entry: ConfigEntry, hass_client: ClientSessionGenerator, token: str
) -> TestClient[Any, Any]:
    """The member's browser."""
    client: TestClient[Any, Any] = await hass_client(token)
    return client


@pytest.fixture
async def socket(
    hass: HomeAssistant, entry: ConfigEntry, hass_ws_client: WebSocketGenerator, token: str
) -> MockHAClientWebSocket:
    """The member's WebSocket."""
    return await hass_ws_client(hass, token)


def files(hass: HomeAssistant) -> Mapping[str, bytes]:
    """Return all that we keep on disk."""
    return {
        str(path): path.read_bytes() for path in Path(hass.config.path(DOMAIN)).rglob("*") if path.is_file()
    }


def fields(hass: HomeAssistant, action: str, visit_id: str) -> dict[str, Any]:
    """Return what an action needs."""
    schema = hass.services.async_services_for_domain(DOMAIN)[action].schema
    assert isinstance(schema, vol.Schema)
    known = {"visit_id": visit_id, "person": "Joe", "name": "Jo", "confirm": "forget everyone"}
    return {str(field): known[str(field)] for field in schema.schema if str(field) in known}


async def test_who_is_no_administrator_changes_nobody(
    hass: HomeAssistant, entry: ConfigEntry, member: User
) -> None:
    (visit,) = (await act(hass, "list_visits", user=member))["visits"]
    before, refused = files(hass), set()
    for action in sorted(hass.services.async_services_for_domain(DOMAIN).keys() - EVERYBODY):
        with pytest.raises(Unauthorized):
            await act(hass, action, fields(hass, action, visit["visit_id"]), user=member)
        refused.add(action)
    assert refused >= {"add_person", "add_photo", "name_visitor", "remove_person", "export_people"}
    assert files(hass) == before
    assert list(people(entry).values()) == ["Joe"]


async def test_what_everybody_may_ask_shows_no_photo(
    hass: HomeAssistant, entry: ConfigEntry, member: User
) -> None:
    (person,) = entry.runtime_data.persons
    for action in ("list_people", "list_visits"):
        answer = str(await act(hass, action, user=member))
        assert person.name in answer
        assert person.photos[0].id not in answer


async def test_forms_are_for_administrators(entry: ConfigEntry, browser: TestClient[Any, Any]) -> None:
    (subentry_id,) = entry.subentries
    flows = "/api/config/config_entries"
    for path, start in (
        (f"{flows}/flow", {"handler": DOMAIN}),
        (f"{flows}/options/flow", {"handler": entry.entry_id}),
        (f"{flows}/subentries/flow", {"handler": [entry.entry_id, "person"]}),
        (f"{flows}/subentries/flow", {"handler": [entry.entry_id, "person"], "subentry_id": subentry_id}),
    ):
        assert (await browser.post(path, json=start)).status == 401, path


async def test_a_signature_lends_nobody_the_rights_of_an_administrator(
    entry: ConfigEntry,
    browser: TestClient[Any, Any],
    socket: MockHAClientWebSocket,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    (person,) = entry.runtime_data.persons
    photo_path = f"/api/face_doorbell/persons/{person.id}/{person.photos[0].id}.jpg"
    anybody = await hass_client_no_auth()
    for path in (photo_path, "/api/face_doorbell/gallery.zip"):
        assert (await browser.get(path)).status == 401
        await socket.send_json_auto_id({"type": "auth/sign_path", "path": path})
        signed = (await socket.receive_json())["result"]["path"]
        assert (await anybody.get(signed)).status == 401


async def test_every_address_of_ours_needs_a_login(
    hass: HomeAssistant, entry: ConfigEntry, hass_client_no_auth: ClientSessionGenerator
) -> None:
    stranger = await hass_client_no_auth()
    (visit,) = (await act(hass, "list_visits"))["visits"]
    (person,) = entry.runtime_data.persons
    known = {
        "visit_id": visit["visit_id"],
        "n": "0",
        "person_id": person.id,
        "photo_id": person.photos[0].id,
    }
    tried = []
    for resource in hass.http.app.router.resources():
        if resource.canonical.startswith("/api/face_doorbell"):
            path = resource.canonical.format_map(known)
            assert (await stranger.get(path)).status == 401, path
            tried.append(path)
    assert len(tried) >= 5


async def test_the_media_browser_shows_visits_and_no_reference_photos(
    entry: ConfigEntry, socket: MockHAClientWebSocket
) -> None:
    (person,) = entry.runtime_data.persons
    places, seen = [f"media-source://{DOMAIN}"], []
    while places:
        await socket.send_json_auto_id(
            {"type": "media_source/browse_media", "media_content_id": places.pop()}
        )
        folder = (await socket.receive_json())["result"]
        for child in folder["children"]:
            seen.append(child)
            if child["can_expand"]:
                places.append(child["media_content_id"])
    assert any(child["title"].startswith("Joe - ") for child in seen)
    assert all("/persons/" not in str(child) and person.photos[0].id not in str(child) for child in seen)
