"""The dashboard in the sidebar, as the frontend gets it."""

from collections.abc import Iterator
import re
from typing import Any

from homeassistant.components.frontend import async_panel_exists
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.translation import async_get_translations
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.dashboard import Door, Member, build_dashboard
from custom_components.face_doorbell.panel import SCRIPT
from tests.bridge.doubles import RunningBridge

from .flow_texts import english
from .helpers import CAMERA, LAST_VISITOR, ScriptedEngine, add_doorbell, add_recognition

URL_PATH = "face-doorbell"

# Cards of Home Assistant itself; the frontend shows an error in place of any other.
CARDS = {"heading", "picture-entity", "tile", "markdown", "logbook", "custom:face-doorbell-visits"}


async def texts(hass: HomeAssistant) -> dict[str, str]:
    prefix = f"component.{DOMAIN}.common.dashboard_"
    found = await async_get_translations(hass, "en", "common", {DOMAIN})
    return {key.removeprefix(prefix): text for key, text in found.items() if key.startswith(prefix)}


async def shown(ws: Any) -> dict[str, Any] | None:
    """Return the dashboard that the sidebar opens; None when it is not there."""
    await ws.send_json_auto_id({"type": "get_panels"})
    panel = (await ws.receive_json())["result"].get(URL_PATH)
    await ws.send_json_auto_id({"type": "lovelace/config", "url_path": URL_PATH})
    answer = await ws.receive_json()
    assert (panel is not None) is answer["success"]
    if panel is None:
        return None
    assert panel["component_name"] == "lovelace"
    assert panel["title"] == "Doorbell"
    result: dict[str, Any] = answer["result"]
    return result


def cards(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for view in config["views"]:
        for section in view["sections"]:
            yield from section["cards"]


def entities(config: Any) -> Iterator[str]:
    """Yield all entity ids."""
    if isinstance(config, list):
        for each in config:
            yield from entities(each)
    elif isinstance(config, dict):
        for key, value in config.items():
            match key:
                case "entity":
                    yield value
                case "entity_id":
                    yield from value
                case _:
                    yield from entities(value)


async def test_it_is_there_with_the_first_doorbell_and_goes_with_the_last(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    await add_recognition(hass, ScriptedEngine())
    assert not async_panel_exists(hass, URL_PATH)
    entry = await add_doorbell(hass, bridge)
    ws = await hass_ws_client(hass)
    config = await shown(ws)
    assert config
    assert [view["title"] for view in config["views"]] == ["Front door"]
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert await shown(ws) is None


async def test_all_of_a_door_and_all_persons_are_on_it(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    await add_recognition(hass, ScriptedEngine(), {"p1": "Alice", "p2": "Bob"})
    await add_doorbell(hass, bridge)
    config = await shown(await hass_ws_client(hass))
    assert config
    used = set(entities(config))
    there = {each.entity_id for each in er.async_get(hass).entities.values() if each.platform == DOMAIN}
    not_disabled = {each for each in there if not er.async_get(hass).entities[each].disabled_by}
    assert not_disabled >= used
    assert {CAMERA, "sensor.alice_last_seen", "image.bob_last_picture"} <= used
    assert {each for each in not_disabled if "front_door" in each} <= used
    assert {card["type"] for card in cards(config)} <= CARDS


async def test_what_is_renamed_disabled_or_hidden_is_followed(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    await add_doorbell(hass, bridge)
    ws = await hass_ws_client(hass)
    registry = er.async_get(hass)
    await ws.send_json_auto_id({"type": "subscribe_events", "event_type": "lovelace_updated"})
    assert (await ws.receive_json())["success"]
    registry.async_update_entity(LAST_VISITOR, new_entity_id="sensor.who")
    event = (await ws.receive_json())["event"]
    assert event["data"] == {"url_path": URL_PATH}
    registry.async_update_entity(CAMERA, hidden_by=er.RegistryEntryHider.USER)
    await hass.async_block_till_done()
    device = er.async_get(hass).entities[CAMERA].device_id
    assert device
    dr.async_get(hass).async_update_device(device, name_by_user="Garden gate")
    await hass.async_block_till_done()
    config = await shown(await hass_ws_client(hass))
    assert config
    assert config["views"][0]["title"] == "Garden gate"
    used = set(entities(config))
    assert "sensor.who" in used
    assert not {LAST_VISITOR, CAMERA} & used


async def test_each_door_has_a_view(hass: HomeAssistant) -> None:
    doors = [Door(str(number), f"Door {number}", {"camera": f"camera.{number}"}) for number in range(5)]
    config = build_dashboard(doors, [Member({"last_seen": "sensor.a"})], await texts(hass), with_card=True)
    assert [view["title"] for view in config["views"]] == [door.name for door in doors]
    assert len({view["path"] for view in config["views"]}) == 5
    for view, door in zip(config["views"], doors, strict=True):
        assert set(entities(view)) == {door.entities["camera"], "sensor.a"}


async def test_without_the_card_there_is_nothing_that_needs_our_javascript(hass: HomeAssistant) -> None:
    doors = [Door("1", "Front door", {"camera": "camera.a", "doorbell": "event.a"})]
    plain = build_dashboard(doors, [], await texts(hass), with_card=False)
    kinds = {card["type"] for card in cards(plain)}
    assert not [each for each in kinds if each.startswith("custom:")]
    assert {"picture-entity", "logbook"} <= kinds


async def test_a_door_without_any_entity_is_no_error(hass: HomeAssistant) -> None:
    config = build_dashboard([Door("1", "Front door", {})], [], await texts(hass), with_card=False)
    assert config["views"][0]["sections"] == []


def test_the_card_is_small_and_has_all_its_texts() -> None:
    code = SCRIPT.read_bytes()
    assert len(code) <= 30_000
    used = set(re.findall(r'#t\("(\w+)"', code.decode()))
    there = {key.removeprefix("card_") for key in english()["common"] if key.startswith("card_")}
    assert used == there
