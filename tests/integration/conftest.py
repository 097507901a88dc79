"""For the tests that run inside Home Assistant."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import photos
from tests.bridge.doubles import FakeFaces, RunningBridge, one_face, running_bridge


@pytest.fixture(autouse=True)
def custom_integrations(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant load integrations from custom_components."""
    # The recorder must come before Home Assistant, which the next fixture starts.
    if "recorder_mock" in request.fixturenames:
        request.getfixturevalue("recorder_mock")
    request.getfixturevalue("enable_custom_integrations")


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[RunningBridge]:
    """A real bridge over loopback; a face good enough to decide on stands before its camera."""
    photo = photos.photo("obama2")
    finder = FakeFaces({photo: one_face(0.9)})
    async with running_bridge(tmp_path / "bridge", photos=[photo], finder=finder) as running:
        yield running
