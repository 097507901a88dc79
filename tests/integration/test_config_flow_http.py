"""The flows as the user interface sees them: JSON over HTTP."""

from collections.abc import Mapping
from typing import Any

from aiohttp.test_utils import TestClient
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.face_doorbell.const import DOMAIN
from tests.bridge.doubles import RunningBridge
from tests.photos import photo

from .flow_tools import address, choose, upload

FLOW = "/api/config/config_entries/flow"
OPTIONS = "/api/config/config_entries/options/flow"
SUBENTRY = "/api/config/config_entries/subentries/flow"

Client = TestClient[Any, Any]
Json = dict[str, Any]


@pytest.fixture
async def client(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Client:
    """A browser that is logged in."""
    for component in (
        "config",
        "file_upload",
        DOMAIN,
    ):  # before the server starts, as at every start of Home Assistant
        assert await async_setup_component(hass, component, {})
    client: Client = await hass_client()
    return client


async def walk(client: Client, flow: str, start: Mapping[str, Any], *answers: Mapping[str, Any]) -> Json:
    """Walk through a flow; return what it shows last."""
    response = await client.post(flow, json=start)
    for answer in answers:
        assert response.status == 200, await response.text()
        response = await client.post(f"{flow}/{(await response.json())['flow_id']}", json=answer)
    assert response.status == 200, await response.text()
    shown: Json = await response.json()
    return shown


def fields(step: Json) -> dict[str, Json]:
    return {field["name"]: field for field in step["data_schema"]}


async def test_the_whole_set_up(hass: HomeAssistant, seeing_bridge: RunningBridge, client: Client) -> None:
    handler = {"handler": DOMAIN}
    form = await walk(client, FLOW, handler, choose("doorbell"))
    assert fields(form)["port"]["type"] == "integer"
    code = {"code": seeing_bridge.pairing_code()}
    doorbell = await walk(client, FLOW, handler, choose("doorbell"), address(seeing_bridge), code)
    assert doorbell["type"] == "create_entry"
    assert doorbell["next_flow"][0] == "config_flow"

    engines = await (await client.get(f"{FLOW}/{doorbell['next_flow'][1]}")).json()
    assert engines["menu_options"] == ["local", "rekognition"]
    aws = await walk(client, FLOW, handler, choose("recognition"), choose("rekognition"))
    assert fields(aws)["secret_access_key"]["selector"]["text"]["type"] == "password"
    assert "eu-west-1" in fields(aws)["region"]["selector"]["select"]["options"]
    assert fields(aws)["advanced"]["expanded"] is False

    recognition = await walk(client, FLOW, handler, choose("recognition"), choose("local"))
    entry_id = recognition["result"]["entry_id"]
    assert recognition["next_flow"][0] == "config_subentries_flow"
    options = await walk(client, OPTIONS, {"handler": entry_id}, choose("decision"))
    assert fields(options)["threshold"]["default"] == 90

    photos = {
        "photo_1": await upload(client, photo("obama")),
        "photo_2": await upload(client, photo("obama2")),
    }
    person = await walk(client, SUBENTRY, {"handler": [entry_id, "person"]}, {"name": "Barack", **photos})
    assert (person["type"], person["title"]) == ("create_entry", "Barack")
    await hass.async_block_till_done()

    entry = hass.config_entries.async_get_known_entry(entry_id)
    (subentry_id,) = entry.subentries
    change = {"handler": [entry_id, "person"], "subentry_id": subentry_id}
    menu = await walk(client, SUBENTRY, change)
    assert menu["menu_options"] == ["rename", "add_photos", "remove_photos"]
    removal = await walk(client, SUBENTRY, change, choose("remove_photos"))
    assert len(fields(removal)["photos"]["selector"]["select"]["options"]) == 2
