"""A doorbell in Home Assistant as the tests want it: the real bridge over loopback, faces real or by the book."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.const import CONF_HOST, CONF_ID, CONF_NAME, CONF_PORT, CONF_TOKEN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.event import async_track_state_change_event
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_doorbell.bridge import BridgeClient
from custom_components.face_doorbell.const import (
    CONF_ENGINE,
    CONF_FINGERPRINT,
    CONF_KIND,
    CONF_PERSON_ID,
    DOMAIN,
    ENGINE_LOCAL,
    SUBENTRY_PERSON,
    EntryKind,
)
from custom_components.face_doorbell.model import Box, Face, Outcome, Picture
from custom_components.face_doorbell.recognition.errors import RecognitionError
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.model import FaceAnswer, Recognition, SyncReport
from tests.bridge.doubles import RunningBridge

NAME = "Front door"
DOORBELL = "event.front_door_doorbell"
VISITOR = "event.front_door_visitor"
RECOGNIZED = "binary_sensor.front_door_recognized"
LAST_VISITOR = "sensor.front_door_last_visitor"
LAST_PICTURE = "image.front_door_last_visitor"
CAMERA = "camera.front_door_camera"
GREEN = "light.front_door_green_led"
RED = "light.front_door_red_led"
BUZZER = "siren.front_door_buzzer"
TEST_RING = "button.front_door_test_ring"

BOX = Box(0.4, 0.2, 0.2, 0.3)
STRANGER = FaceAnswer(BOX, None, 12.0)
LOOKALIKE = FaceAnswer(BOX, None, 75.0)


def known(person_id: str, similarity: float = 97.0) -> FaceAnswer:
    """Return the answer for a person's face."""
    return FaceAnswer(BOX, person_id, similarity)


Answer = Sequence[FaceAnswer] | RecognitionError


@dataclass
class ScriptedEngine:
    """Answers by the book: the next of `answers` each time, the last one for ever; waits for `go` first."""

    answers: Sequence[Answer] = ((STRANGER,),)
    name: str = "scripted"
    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Picture] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.go.set()

    async def recognize(self, picture: Picture) -> Recognition:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(picture)
        await self.go.wait()
        if isinstance(answer, RecognitionError):
            raise answer
        return Recognition(self.name, tuple(answer), {"look": 1})

    async def compare(self, source: bytes, target: bytes) -> float:
        raise NotImplementedError

    async def inspect(self, photo: bytes) -> Sequence[Face]:
        raise NotImplementedError

    async def sync(self, gallery: Gallery) -> SyncReport:
        return SyncReport()

    async def close(self) -> None:
        pass


async def pair(hass: HomeAssistant, bridge: RunningBridge) -> MockConfigEntry:
    """Pair with a bridge and return the entry of its doorbell, not yet added."""
    session = async_get_clientsession(hass)
    info = await BridgeClient.get_info(session, bridge.host, bridge.port)
    client = BridgeClient(session, bridge.host, bridge.port, info.fingerprint)
    pairing = await client.pair(bridge.pairing_code(), "Home")
    return MockConfigEntry(
        domain=DOMAIN,
        title=NAME,
        unique_id=info.id,
        data={
            CONF_KIND: EntryKind.DOORBELL,
            CONF_HOST: bridge.host,
            CONF_PORT: bridge.port,
            CONF_TOKEN: pairing.token,
            CONF_FINGERPRINT: info.fingerprint,
            CONF_ID: info.id,
            CONF_NAME: NAME,
        },
    )


async def add_doorbell(hass: HomeAssistant, bridge: RunningBridge) -> MockConfigEntry:
    """Pair with a bridge and set up its doorbell."""
    entry = await pair(hass, bridge)
    await set_up(hass, entry)
    return entry


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Add an entry and set it up, whatever comes of it."""
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


def recognition(persons: Mapping[str, str] | None = None, **data: Any) -> MockConfigEntry:
    """Return the entry of face recognition, not yet added; `persons` are names by id."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Face recognition",
        unique_id="recognition",
        data={CONF_KIND: EntryKind.RECOGNITION, CONF_ENGINE: ENGINE_LOCAL, **data},
        subentries_data=[
            ConfigSubentryData(
                data={CONF_PERSON_ID: person_id},
                subentry_type=SUBENTRY_PERSON,
                title=name,
                unique_id=person_id,
            )
            for person_id, name in (persons or {}).items()
        ],
    )


async def add_recognition(
    hass: HomeAssistant, engine: ScriptedEngine, persons: Mapping[str, str] | None = None, **data: Any
) -> MockConfigEntry:
    """Set up face recognition with an engine by the book."""
    entry = recognition(persons, **data)
    with patch("custom_components.face_doorbell.engines.LocalEngine", return_value=engine):
        await set_up(hass, entry)
    return entry


@asynccontextmanager
async def change(
    hass: HomeAssistant, entity_id: str, wanted: Callable[[State], bool] = lambda _: True
) -> AsyncIterator[asyncio.Future[State]]:
    """Await what is given for the entity's next state that is wanted; a change inside the block is not missed."""
    found: asyncio.Future[State] = hass.loop.create_future()

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is not None and wanted(state) and not found.done():
            found.set_result(state)

    stop = async_track_state_change_event(hass, entity_id, changed)
    try:
        yield found
    finally:
        stop()


def visited(outcome: Outcome) -> Callable[[State], bool]:
    """Return what tells a Visitor event with this outcome."""
    return lambda state: state.attributes["event_type"] == outcome


def state(hass: HomeAssistant, entity_id: str) -> State:
    """Return an entity's state, which must be there."""
    found = hass.states.get(entity_id)
    assert found is not None, entity_id
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds that nobody announces."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)


async def until_acked(bridge: RunningBridge) -> None:
    """Wait until the bridge has no ring left that Home Assistant has not stored."""
    await until(lambda: not bridge.running.bridge.health()["pending"])
