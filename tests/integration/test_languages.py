"""A household whose Home Assistant speaks another language meets no English."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.face_doorbell.const import DOMAIN
from tests.bridge.doubles import RunningBridge

from .flow_texts import texts_in
from .flow_tools import add_doorbell, choose, start


@pytest.fixture
def german(hass: HomeAssistant) -> dict[str, Any]:
    """Let Home Assistant speak German and return its texts."""
    hass.config.language = "de"
    return dict(texts_in("de"))


async def test_entities_and_the_recognition_are_named(
    hass: HomeAssistant, german: dict[str, Any], bridge: RunningBridge
) -> None:
    await add_doorbell(hass, bridge)
    step = await start(hass, choose("recognition"), choose("local"))

    assert step["result"].title == german["config"]["step"]["user"]["menu_options"]["recognition"]
    of_domain = {
        (each.domain, each.translation_key): each.original_name
        for each in er.async_get(hass).entities.values()
        if each.platform == DOMAIN
    }
    assert len(of_domain) > 15
    assert of_domain == {key: german["entity"][key[0]][key[1]]["name"] for key in of_domain}


async def test_the_dashboard_speaks_it(
    hass: HomeAssistant, german: dict[str, Any], bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    await add_doorbell(hass, bridge)
    ws = await hass_ws_client(hass)
    await ws.send_json_auto_id({"type": "get_panels"})
    assert (await ws.receive_json())["result"]["face-doorbell"]["title"] == german["common"][
        "dashboard_panel"
    ]
    await ws.send_json_auto_id({"type": "lovelace/config", "url_path": "face-doorbell"})
    (view,) = (await ws.receive_json())["result"]["views"]
    shown = [
        card["heading"] for section in view["sections"] for card in section["cards"] if "heading" in card
    ]
    assert german["common"]["dashboard_at_the_door"] in shown
    assert set(shown) <= {text for key, text in german["common"].items() if key.startswith("dashboard_")}
