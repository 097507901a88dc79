"""The camera and the last picture through Home Assistant's own HTTP."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.face_doorbell.live import LiveView
from pi_bridge.model import CameraState
from tests import photos
from tests.bridge.doubles import RunningBridge

from .helpers import CAMERA, LAST_PICTURE, LAST_VISITOR, add_doorbell, change, state

STILL = f"/api/camera_proxy/{CAMERA}"
STREAM = f"/api/camera_proxy_stream/{CAMERA}"


@asynccontextmanager
async def watching(hass_client: ClientSessionGenerator) -> AsyncIterator[aiohttp.StreamReader]:
    """Look at the stream as a browser does."""
    client = await hass_client()
    async with client.get(STREAM) as response:
        assert response.status == 200
        yield response.content


async def next_frame(stream: aiohttp.StreamReader) -> bytes:
    """Return the next JPEG of a stream."""
    while not (line := await stream.readline()).startswith(b"Content-Length:"):
        assert line, "the stream has ended"
    await stream.readline()
    return await stream.readexactly(int(line.split(b":")[1]))


async def viewers(entry: MockConfigEntry) -> int:
    """Return how many streams the bridge serves."""
    count: int = (await entry.runtime_data.client.health())["viewers"]
    return count


async def test_a_still(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_doorbell(hass, bridge)

    answer = await (await hass_client()).get(STILL)

    assert (answer.status, answer.content_type) == (200, "image/jpeg")
    assert await answer.read() == photos.photo("obama2")


async def test_the_stream_shows_what_stands_at_the_door(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_doorbell(hass, bridge)

    async with watching(hass_client) as stream:
        assert await next_frame(stream) == photos.photo("obama2")
        bridge.camera.show(photos.photo("biden"))
        while await next_frame(stream) != photos.photo("biden"):
            pass


async def test_all_viewers_share_one_stream_of_the_bridge(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    entry = await add_doorbell(hass, bridge)
    assert await viewers(entry) == 0

    async with watching(hass_client) as first:
        assert await next_frame(first) == photos.photo("obama2")
        async with watching(hass_client) as second:
            assert await next_frame(second) == photos.photo("obama2")
            assert await viewers(entry) == 1
            bridge.camera.show(photos.photo("biden"))
            for stream in (first, second):
                while await next_frame(stream) != photos.photo("biden"):
                    pass
        assert await viewers(entry) == 1

    while await viewers(entry):
        pass


async def test_a_viewer_after_the_last_one_gets_a_new_stream(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    entry = await add_doorbell(hass, bridge)
    async with watching(hass_client) as stream:
        await next_frame(stream)
    while await viewers(entry):
        pass
    bridge.camera.show(photos.photo("biden"))

    async with watching(hass_client) as stream:
        assert await next_frame(stream) == photos.photo("biden")


async def test_a_viewer_who_comes_as_the_last_one_goes_gets_a_new_stream() -> None:
    opened = 0

    async def open_stream() -> AsyncGenerator[bytes]:
        nonlocal opened
        opened += 1
        yield f"frame of stream {opened}".encode()
        await asyncio.Event().wait()

    live = LiveView(open_stream)
    async with live.watch() as newest:
        assert await newest() == b"frame of stream 1"
    async with live.watch() as newest:  # no turn of the loop in between
        assert await newest() == b"frame of stream 2"


async def test_the_stream_ends_with_the_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    entry = await add_doorbell(hass, bridge)
    async with watching(hass_client) as stream:
        await next_frame(stream)
        await hass.config_entries.async_unload(entry.entry_id)
        bridge.camera.show(photos.photo("biden"))
        await stream.read()  # comes to an end


async def test_the_stream_ends_with_the_bridge(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_doorbell(hass, bridge)

    async with watching(hass_client) as stream:
        await next_frame(stream)
        await bridge.stop()
        await stream.read()


async def test_a_camera_without_frames_is_unavailable(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    assert state(hass, CAMERA).state == "idle"

    async with change(hass, CAMERA) as changed:
        bridge.camera.become(CameraState.STALLED)
        assert (await changed).state == STATE_UNAVAILABLE
    async with change(hass, CAMERA) as changed:
        bridge.camera.become(CameraState.OK)
        assert (await changed).state == "idle"


async def test_the_last_visitor_has_a_picture(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_doorbell(hass, bridge)
    assert state(hass, LAST_PICTURE).state == STATE_UNKNOWN

    async with change(hass, LAST_PICTURE) as changed:
        bridge.press()
        shown = await changed

    rang_at = datetime.fromisoformat(state(hass, LAST_VISITOR).attributes["at"])
    assert datetime.fromisoformat(shown.state) == rang_at
    answer = await (await hass_client()).get(f"/api/image_proxy/{LAST_PICTURE}")
    assert await answer.read() == photos.photo("obama2")
