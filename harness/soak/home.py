"""The household: Home Assistant's core with the real integration, in a process of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import signal
from typing import Final
from unittest.mock import patch

import aiohttp
from homeassistant.const import (
    CONF_HOST,
    CONF_ID,
    CONF_NAME,
    CONF_PORT,
    CONF_TOKEN,
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_test_home_assistant

from custom_components.face_doorbell.const import CONF_FINGERPRINT, CONF_KIND, DOMAIN, EntryKind
from custom_components.face_doorbell.visits import VISITS, VisitChange

from ..process import free_port
from .child import Line

NAME: Final = "Front door"
DOORBELL: Final = "event.front_door_doorbell"
NO_EVENT: Final = (STATE_UNAVAILABLE, STATE_UNKNOWN)
REPOSITORY: Final = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Start:
    """What a household is started with; `die_before` is "store", "ack" or nothing."""

    folder: Path
    port: int
    fingerprint: str
    bridge_id: str
    token: str
    die_before: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The report that the doorbell is set up, or was tried to."""


@dataclass(frozen=True, slots=True)
class Told:
    """The report that the household heard a ring; `again`: though its visit was stored, or it was told before."""

    ring_id: str
    again: bool


def visits_folder(folder: Path) -> Path:
    """Return where Home Assistant with this configuration folder keeps its visits."""
    return folder / DOMAIN / "visits"


async def main(line: Line, start: Start) -> None:
    """Be a household until killed."""
    heard: set[str] = set()
    seen = ""

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        nonlocal seen
        state = event.data["new_state"]
        # The state is the time of the event; it comes again when the entity is available again.
        if event.data["entity_id"] != DOORBELL or state is None or state.state in (seen, *NO_EVENT):
            return
        seen = state.state
        ring_id = state.attributes["ring_id"]
        line.send(Told(ring_id, again=ring_id in heard))
        heard.add(ring_id)
        if start.die_before == "store":
            _die()

    @callback
    def stored(_change: VisitChange) -> None:
        if start.die_before == "ack":
            _die()

    line.listen(lambda order: None)
    await asyncio.to_thread(_choose_port, start.folder)
    async with _home_assistant(start.folder) as hass:
        hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
        await async_setup_component(hass, DOMAIN, {})
        heard.update(ring.ring_id for visit in hass.data[VISITS].newest_first() for ring in visit.rings)
        hass.data[VISITS].async_subscribe(stored)
        entry = _entry(start)
        entry.add_to_hass(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        line.send(Ready())
        await hass.async_start()
        await asyncio.get_running_loop().create_future()


def prepare(folder: Path) -> None:
    """Make the configuration folder of a household."""
    (folder / ".storage").mkdir(parents=True)
    (folder / "custom_components").symlink_to(REPOSITORY / "custom_components")


def _choose_port(folder: Path) -> None:
    """Let Home Assistant listen where nobody does now: the port of its last life may have been taken since."""
    server = {"server_host": ["127.0.0.1"], "server_port": free_port()}
    (folder / ".storage" / "http").write_text(json.dumps({"version": 1, "key": "http", "data": server}))


@asynccontextmanager
async def _home_assistant(folder: Path) -> AsyncGenerator[HomeAssistant]:
    """Run the core as the test plugin does, with the integration of this repository and no multicast."""
    resolver = patch(
        "homeassistant.helpers.aiohttp_client._async_make_resolver", lambda hass: aiohttp.ThreadedResolver()
    )
    with resolver:
        async with async_test_home_assistant(config_dir=str(folder)) as hass:
            del hass.data[DATA_CUSTOM_COMPONENTS]  # the plugin's way to say that there are none
            yield hass


def _entry(start: Start) -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        title=NAME,
        unique_id=start.bridge_id,
        data={
            CONF_KIND: EntryKind.DOORBELL,
            CONF_HOST: "127.0.0.1",
            CONF_PORT: start.port,
            CONF_TOKEN: start.token,
            CONF_FINGERPRINT: start.fingerprint,
            CONF_ID: start.bridge_id,
            CONF_NAME: NAME,
        },
    )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
