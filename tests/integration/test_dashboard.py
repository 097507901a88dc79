"""The dashboard in the sidebar, as the frontend gets it."""

from collections.abc import Iterator
from datetime import timedelta
import re
import sys
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.frontend import async_panel_exists
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import MockUser, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell.cards import FOLDER, PEOPLE_SCRIPT, SHARED_SCRIPT, VISITS_SCRIPT
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.dashboard import VISITS_CARD, Door, Member, build_dashboard
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.recognition.gate import Advice
from custom_components.face_doorbell.sidebar import NO_SIDEBAR
from tests.bridge.doubles import RunningBridge

from .flow_texts import english
from .flow_tools import options
from .helpers import (
    CAMERA,
    DOORBELL,
    LAST_VISITOR,
    VISITOR,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    known,
    state,
    visited,
)

URL_PATH = "face-doorbell"

# Cards of Home Assistant itself; the frontend shows an error in place of any other.
PLAIN_CARDS = {"heading", "picture-entity", "tile", "markdown", "logbook"}
CARDS = PLAIN_CARDS | {"custom:face-doorbell-visits", "custom:face-doorbell-people", "iframe"}

BIGGEST = 30 * 1024  # bytes of a card with what it imports: every page of Home Assistant loads it


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
        for section in (*view["sections"], *view.get("sidebar", {}).get("sections", ())):
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
    assert [view["title"] for view in config["views"]] == ["Front door", "People"]
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
    config = build_dashboard(doors, [Member({"last_seen": "sensor.a"})], await texts(hass))
    assert [view["title"] for view in config["views"]] == [door.name for door in doors]
    assert len({view["path"] for view in config["views"]}) == 5
    for view, door in zip(config["views"], doors, strict=True):
        assert set(entities(view)) == {door.entities["camera"], "sensor.a"}


async def test_the_people_are_for_administrators(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator, hass_admin_user: MockUser
) -> None:
    await add_doorbell(hass, bridge)
    config = await shown(await hass_ws_client(hass))
    assert config
    assert len(config["views"]) == 1  # without recognition there is nobody to know
    await add_recognition(hass, ScriptedEngine())
    config = await shown(await hass_ws_client(hass))
    assert config
    assert config["views"][-1]["visible"] == [{"user": hass_admin_user.id}]
    another = await hass.auth.async_create_user("Another", group_ids=["system-admin"])
    await hass.auth.async_create_user("Guest", group_ids=["system-read-only"])
    await hass.async_block_till_done()
    config = await shown(await hass_ws_client(hass))
    assert config
    assert {each["user"] for each in config["views"][-1]["visible"]} == {hass_admin_user.id, another.id}


async def test_who_does_not_want_a_door_there_switches_it_off(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    entry = await add_doorbell(hass, bridge)
    ws = await hass_ws_client(hass)
    for wanted in (False, True):
        step = await options(hass, entry, "dashboard")
        step = await hass.config_entries.options.async_configure(step["flow_id"], {"dashboard": wanted})
        assert step["type"] == "create_entry"
        await hass.async_block_till_done()
        assert (await shown(ws) is not None) is wanted
        # Whoever has a copy of their own keeps it.
        await ws.send_json_auto_id({"type": "face_doorbell/dashboard"})
        assert (await ws.receive_json())["result"]["views"]
        assert entry.runtime_data.connected


@pytest.mark.parametrize("lost", ["module", "attribute", "base class"])
async def test_a_home_assistant_that_has_changed_inside_costs_the_dashboard_only(
    hass: HomeAssistant,
    bridge: RunningBridge,
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
) -> None:
    panel = "custom_components.face_doorbell.panel"
    inside = "homeassistant.components.lovelace"
    monkeypatch.delitem(sys.modules, panel, raising=False)
    match lost:
        case "module":
            monkeypatch.setitem(sys.modules, f"{inside}.dashboard", None)
        case "attribute":
            monkeypatch.delattr(f"{inside}.LovelaceData.dashboards", raising=False)
            monkeypatch.setattr(f"{inside}.const.LOVELACE_DATA", "gone")
        case "base class":
            monkeypatch.setattr(f"{inside}.dashboard.LovelaceConfig", type("Another", (), {}))
    await add_doorbell(hass, bridge)
    assert state(hass, CAMERA).state == "idle"
    issue = ir.async_get(hass).async_get_issue(DOMAIN, NO_SIDEBAR)
    assert issue
    assert not issue.is_fixable
    assert english()["issues"][issue.translation_key]["description"]
    ws = await hass_ws_client(hass)
    assert await shown(ws) is None
    await ws.send_json_auto_id({"type": "face_doorbell/dashboard"})
    assert (await ws.receive_json())["result"]["views"]


async def test_the_banner_says_who_it_is_and_goes_away_by_itself(
    hass: HomeAssistant,
    bridge: RunningBridge,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
) -> None:
    engine = ScriptedEngine([[known("p1")]])
    await add_recognition(hass, engine, {"p1": "Alice <b>"})
    await add_doorbell(hass, bridge)
    ws = await hass_ws_client(hass)
    config = await shown(ws)
    assert config
    markdown = (card for card in cards(config) if card["type"] == "markdown")
    (banner,) = (card["content"] for card in markdown if "visibility" not in card)
    # As a markdown card does it.
    await ws.send_json_auto_id({"type": "render_template", "template": banner, "report_errors": True})
    assert (await ws.receive_json())["success"]

    async def until_banner(words: str) -> str:
        while True:
            said: str = (await ws.receive_json())["event"]["result"]
            if words in said or words == said:
                return said

    assert await until_banner("") == ""
    engine.go.clear()
    async with change(hass, DOORBELL) as rang:
        bridge.press()
        await rang
    await until_banner("Somebody is at the door.")
    async with change(hass, VISITOR, visited(Outcome.RECOGNIZED)) as decided:
        engine.go.set()
        await decided
    assert "<b>" not in await until_banner("At the door: Alice")
    freezer.tick(timedelta(minutes=3))
    async_fire_time_changed(hass)
    assert await until_banner("") == ""


async def test_without_our_javascript_there_are_still_camera_last_visitor_and_activity(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    await add_doorbell(hass, bridge)
    config = await shown(await hass_ws_client(hass))
    assert config
    plain = [card for card in cards(config) if card["type"] in PLAIN_CARDS]
    pictures = {card["entity"] for card in plain if card["type"] == "picture-entity"}
    assert pictures == {CAMERA, "image.front_door_last_visitor"}
    (activity,) = (card for card in plain if card["type"] == "logbook")
    assert activity["target"]["entity_id"] == [DOORBELL, VISITOR, LAST_VISITOR]


async def test_instead_of_a_blank_picture_it_says_what_is_lost(hass: HomeAssistant) -> None:
    camera, doorbell = "camera.1", "event.1"
    door = Door("1", "Front door", {"camera": camera, "doorbell": doorbell})
    words = await texts(hass)
    config = build_dashboard([door], [], words)

    def seen(**states: str) -> list[str]:
        """What of the door's first section is to be seen in these states."""
        return [
            card.get("content", card["type"])
            for card in config["views"][0]["sections"][0]["cards"]
            if all(
                (states[each["entity"]] == each["state"])
                if "state" in each
                else (states[each["entity"]] != each["state_not"])
                for each in card.get("visibility", ())
            )
            and "now()" not in card.get("content", "")
        ]

    for states, expected in (
        ({camera: "idle", doorbell: "unknown"}, "picture-entity"),
        ({camera: "unavailable", doorbell: "unknown"}, words["no_picture"]),
        ({camera: "unavailable", doorbell: "unavailable"}, words["offline"]),
    ):
        heading, shown = seen(**states)
        assert heading == "heading"
        assert expected in shown


async def test_a_door_without_any_entity_is_no_error(hass: HomeAssistant) -> None:
    config = build_dashboard([Door("1", "Front door", {})], [], await texts(hass))
    assert {card["type"] for card in cards(config)} == {"heading", "custom:face-doorbell-visits"}


async def test_the_visits_stand_once_beside_the_door_or_below_it(hass: HomeAssistant) -> None:
    config = build_dashboard([Door("1", "Front door", {"camera": "camera.1"})], [], await texts(hass))
    (view,) = config["views"]
    below, beside = [card for card in cards({"views": [view]}) if card["type"] == VISITS_CARD]
    assert below in view["sections"][1]["cards"]
    assert beside in view["sidebar"]["sections"][0]["cards"]
    assert below["visibility"] == [{"condition": "view_columns", "max": 1}]
    assert beside["visibility"] == [{"condition": "view_columns", "min": 2}]


@pytest.mark.parametrize("script", [VISITS_SCRIPT, PEOPLE_SCRIPT])
def test_a_card_is_small(script: str) -> None:
    assert sum((FOLDER / each).stat().st_size for each in (script, SHARED_SCRIPT)) <= BIGGEST


def test_the_cards_have_all_their_texts() -> None:
    code = "".join(script.read_text() for script in FOLDER.iterdir())
    used = set(re.findall(r'[^\w](?:t|named)\("(\w+)"', code))
    some_of_many = re.findall(r"[^\w]t\(`(\w+)_\$", code)  # the rest of the key is a value
    there = {key.removeprefix("card_") for key in english()["common"] if key.startswith("card_")}
    several = {key for key in there if key.partition("_")[0] in some_of_many}
    assert used | several == there
    assert {f"advice_{each}" for each in Advice} <= there


async def test_the_cards_are_served_as_they_are(
    hass: HomeAssistant, bridge: RunningBridge, hass_client_no_auth: ClientSessionGenerator
) -> None:
    await add_doorbell(hass, bridge)
    browser = await hass_client_no_auth()
    for script in FOLDER.glob("*.js"):
        answer = await browser.get(f"/face_doorbell/{script.name}")
        assert await answer.read() == script.read_bytes()
        assert "javascript" in answer.content_type
        assert "max-age" in answer.headers["Cache-Control"]
