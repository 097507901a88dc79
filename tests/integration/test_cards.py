"""Our scripts in pages that are older than we are; tests/e2e/test_first_run.py shows it in such a page."""

from typing import Any

from homeassistant.core import CoreState, HomeAssistant
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell.panel import URL_PATH
from tests.bridge.doubles import RunningBridge

from .helpers import add_doorbell


async def frames(ws: Any) -> list[str]:
    """Return the addresses of the frames on the dashboard in the sidebar."""
    await ws.send_json_auto_id({"type": "lovelace/config", "url_path": URL_PATH})
    config = (await ws.receive_json())["result"]
    return [
        card["url"]
        for view in config["views"]
        for section in view["sections"]
        for card in section["cards"]
        if card["type"] == "iframe"
    ]


async def test_a_frame_loads_the_script_into_pages_that_are_open_at_set_up(
    hass: HomeAssistant,
    bridge: RunningBridge,
    hass_ws_client: WebSocketGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    await add_doorbell(hass, bridge)

    (frame,) = await frames(await hass_ws_client())

    client = await hass_client_no_auth()
    page = await client.get(frame)
    script = await client.get(frame.replace("load.html", "face-doorbell.js"))
    assert (page.status, script.status) == (200, 200)
    assert page.content_type == "text/html"


async def test_there_is_no_frame_when_every_page_is_younger_than_home_assistant(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    hass.set_state(CoreState.not_running)
    await add_doorbell(hass, bridge)
    hass.set_state(CoreState.running)

    assert await frames(await hass_ws_client()) == []
