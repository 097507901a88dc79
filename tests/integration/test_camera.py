"""The camera and the last picture through Home Assistant's own HTTP."""

import asyncio

import aiohttp
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from pi_bridge.model import CameraState
from tests import photos
from tests.bridge.doubles import RunningBridge

from .helpers import CAMERA, LAST_PICTURE, LAST_VISITOR, add_doorbell, change, state, until


def viewers(bridge: RunningBridge) -> int:
    """Return how many streams the bridge serves."""
    return bridge.running.server.health()["viewers"]


async def frames(response: aiohttp.ClientResponse) -> aiohttp.MultipartReader:
    assert response.status == 200
    return aiohttp.MultipartReader.from_response(response)  # type: ignore[return-value]


async def test_a_still(hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator) -> None:
    await add_doorbell(hass, bridge)

    answer = await (await hass_client()).get(f"/api/camera_proxy/{CAMERA}")

    assert (answer.status, answer.content_type) == (200, "image/jpeg")
    assert await answer.read() == photos.photo("obama2")
