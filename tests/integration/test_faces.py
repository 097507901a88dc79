"""Real faces end to end: the models on the bridge, the local engine, and who it was in Home Assistant."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import MappingProxyType

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_doorbell.const import CONF_PERSON_ID, SUBENTRY_PERSON
from custom_components.face_doorbell.model import Outcome
from pi_bridge.faces import Faces
from pi_bridge.model import Output
from tests import photos
from tests.bridge.doubles import RunningBridge, running_bridge

from .helpers import (
    DOORBELL,
    LAST_VISITOR,
    VISITOR,
    add_doorbell,
    change,
    recognition,
    set_up,
    state,
    until_acked,
)


@pytest.fixture(scope="module")
def faces() -> Iterator[Faces]:
    """Load the models once for all tests."""
    faces = Faces()
    yield faces
    faces.close()


@pytest.fixture
async def bridge(tmp_path: Path, faces: Faces) -> AsyncIterator[RunningBridge]:
    """A real bridge that really sees."""
    await faces.ready()
    async with running_bridge(tmp_path / "bridge", photos=[photos.photo("rocket")], finder=faces) as running:
        yield running


@pytest.fixture
async def doorbell(hass: HomeAssistant, bridge: RunningBridge) -> MockConfigEntry:
    """A doorbell with local recognition that knows one person from one photo."""
    doorbell = await add_doorbell(hass, bridge)
    entry = recognition()
    await set_up(hass, entry)
    person = await entry.runtime_data.enrol("Barack", [photos.photo("obama")])
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType({CONF_PERSON_ID: person.id}),
            subentry_type=SUBENTRY_PERSON,
            title=person.name,
            unique_id=person.id,
        ),
    )
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    return doorbell


@pytest.mark.parametrize(
    ("name", "outcome", "shown", "led"),
    [
        ("obama2", Outcome.RECOGNIZED, "Barack", {Output.GREEN}),
        ("biden", Outcome.UNKNOWN, "unknown_visitor", {Output.RED}),
        ("rocket", Outcome.NO_FACE, "no_face", {Output.GREEN, Output.RED}),
    ],
)
async def test_who_is_at_the_door(
    hass: HomeAssistant,
    bridge: RunningBridge,
    doorbell: MockConfigEntry,
    *,
    name: str,
    outcome: Outcome,
    shown: str,
    led: set[Output],
) -> None:
    async with change(hass, DOORBELL) as rang, change(hass, VISITOR) as visitor:
        bridge.press(photos.photo(name))
        ring, visit = (await rang).attributes, (await visitor).attributes
    await until_acked(bridge)

    assert visit["event_type"] == outcome
    assert visit["visit_id"] == ring["visit_id"]
    assert visit["engine"] == "local"
    assert state(hass, LAST_VISITOR).state == shown
    assert {output for output, lit in bridge.panel.writes if lit} == {Output.BUZZER, *led}


async def test_a_known_and_an_unknown_visitor_together(
    hass: HomeAssistant, bridge: RunningBridge, doorbell: MockConfigEntry
) -> None:
    async with change(hass, VISITOR) as visitor:
        bridge.press(photos.two_people())
        visit = (await visitor).attributes

    assert (visit["event_type"], visit["names"], visit["unknown_faces"]) == (
        Outcome.RECOGNIZED,
        ["Barack"],
        1,
    )
