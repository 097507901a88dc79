"""For the tests of the bridge, which run with and without Home Assistant's test plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from .doubles import FakeFaces, RunningBridge, one_face, running_bridge
from .home import Home

EMPTY = b"\xff\xd8 nobody \xff\xd9"
BLURRED = b"\xff\xd8 somebody who moves \xff\xd9"
SHARP = b"\xff\xd8 somebody who stands still \xff\xd9"


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Take the place of the plugin's fixture: its rules about threads and timers are Home Assistant's."""


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Take the place of the plugin's fixture: debug mode would distort what is timed."""


@pytest.fixture
def faces() -> FakeFaces:
    """A finder that knows the three pictures."""
    return FakeFaces({BLURRED: one_face(0.3), SHARP: one_face(0.8)})


@pytest.fixture
async def bridge(tmp_path: Path, faces: FakeFaces) -> AsyncIterator[RunningBridge]:
    """A running bridge with nobody before the camera."""
    async with running_bridge(tmp_path / "state", photos=[EMPTY], finder=faces, resend_s=0.1) as running:
        yield running


@pytest.fixture
async def nobody(bridge: RunningBridge) -> AsyncIterator[Home]:
    """Somebody in the network who is not paired."""
    async with aiohttp.ClientSession() as session:
        yield Home(session, bridge)


@pytest.fixture
async def home(bridge: RunningBridge) -> AsyncIterator[Home]:
    """A paired client."""
    async with aiohttp.ClientSession() as session:
        client = Home(session, bridge)
        await client.pair()
        yield client
