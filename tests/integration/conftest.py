"""For the tests that run inside Home Assistant."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowManager
import pytest

from pi_bridge.faces import Faces
from tests import photos
from tests.bridge.doubles import FakeFaces, RunningBridge, one_face, running_bridge
from tests.recognition.conftest import Cloud, cloud, eyes, no_turns, real_cloud

from .flow_texts import check_step
from .flow_tools import AWS_FORM, add_doorbell, answer, choose, start

__all__ = ["cloud", "eyes", "no_turns", "real_cloud"]  # fixtures


@pytest.fixture(autouse=True)
def custom_integrations(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant load integrations from custom_components."""
    # The recorder must come before Home Assistant, which the next fixture starts.
    if "recorder_mock" in request.fixturenames:
        request.getfixturevalue("recorder_mock")
    request.getfixturevalue("enable_custom_integrations")


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Give each test a configuration folder of its own, for its visits and faces."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
def texts_of_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that everything that a flow of ours shows has its text."""
    handle_step = FlowManager._async_handle_step

    async def handle_and_check(manager: FlowManager[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        step = await handle_step(manager, *args, **kwargs)
        check_step(manager, step)
        return step

    monkeypatch.setattr(FlowManager, "_async_handle_step", handle_and_check)


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[RunningBridge]:
    """A real bridge over loopback; a face good enough to decide on stands before its camera."""
    photo = photos.photo("obama2")
    finder = FakeFaces({photo: one_face(0.9)})
    async with running_bridge(tmp_path / "bridge", photos=[photo], finder=finder) as running:
        yield running


@pytest.fixture(scope="session")
def face_models() -> Iterator[Faces]:
    """Find faces as the bridge does on the Pi."""
    faces = Faces()
    yield faces
    faces.close()


@pytest.fixture
async def seeing_bridge(face_models: Faces, tmp_path: Path) -> AsyncIterator[RunningBridge]:
    """A real bridge with its real face models."""
    async with running_bridge(tmp_path / "bridge", finder=face_models) as running:
        yield running


@pytest.fixture
async def seeing_doorbell(hass: HomeAssistant, seeing_bridge: RunningBridge) -> ConfigEntry:
    """The bridge with its real face models, added."""
    return await add_doorbell(hass, seeing_bridge)


@pytest.fixture
async def entry(hass: HomeAssistant, seeing_doorbell: ConfigEntry) -> ConfigEntry:
    """Recognition with the local engine."""
    step = await start(hass, choose("recognition"), choose("local"))
    added: ConfigEntry = step["result"]
    return added


@pytest.fixture
async def cloud_entry(hass: HomeAssistant, seeing_doorbell: ConfigEntry, real_cloud: Cloud) -> ConfigEntry:
    """Recognition with AWS."""
    step = await start(hass, choose("recognition"), choose("rekognition"))
    step = await answer(hass, step, AWS_FORM)
    added: ConfigEntry = step["result"]
    return added
