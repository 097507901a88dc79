"""A whole Home Assistant in a forked process, which dies at a point that it is told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import signal
import sys
import tempfile
from typing import Any, Final
from unittest.mock import patch

import aiohttp
from homeassistant import bootstrap
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.runner import RuntimeConfig

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.entries import async_ready_recognition, person_names
from custom_components.face_doorbell.visits import VISITS

from ..home_assistant import REPOSITORY
from ..process import free_port
from .child import Line

# What Python tells its audit hooks of the disk and the network: the points at which a process may die.
POINTS: Final = ("open", "os.", "shutil.", "socket.")
NEVER: Final = -1

CONFIGURATION: Final = """\
homeassistant:
  allowlist_external_dirs: {photos}
isal:
logger:
  default: error
"""


@dataclass(frozen=True, slots=True)
class Start:
    """What Home Assistant is started with."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Ready:
    """The report that it has started."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The order to walk a config flow; the first answer starts it."""

    answers: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Perform:
    """The order to perform an action, and to die at the `point`-th point from then on."""

    action: str
    data: Mapping[str, Any]
    point: int = NEVER


@dataclass(frozen=True, slots=True)
class Tell:
    """The order to sync, and to tell what there is."""


@dataclass(frozen=True, slots=True)
class Done:
    """The report that an order was carried out (`error`: or why not), and how many points were passed."""

    answer: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    passed: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """The report of what there is: photo ids by person, and all else that knows a person, by id.

    `doorbell` is its device, which may be another one after a kill: Home Assistant writes down its devices seldom.
    """

    photos: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    subentries: Mapping[str, str]
    devices: frozenset[str]
    in_visits: Mapping[str, str]
    in_sync: bool
    doorbell: str


class Fate:
    """Counts the points that are passed once it is armed, and ends the process at one of them."""

    def __init__(self) -> None:
        """Listen to the audit hooks, which cannot be undone."""
        self.passed = 0
        self._point = NEVER
        sys.addaudithook(self._heard)

    def arm(self, point: int) -> None:
        """Count from now on."""
        self.passed, self._point = 0, point

    def _heard(self, event: str, _args: object) -> None:
        if event.startswith(POINTS):
            self.passed += 1
            if self.passed == self._point:
                os.kill(os.getpid(), signal.SIGKILL)


def prepare(folder: Path, photos: Path) -> None:
    """Make the configuration folder."""
    storage = folder / ".storage"
    storage.mkdir(parents=True)
    (folder / "tmp").mkdir()
    server = {"server_host": ["127.0.0.1"], "server_port": free_port()}
    (storage / "http").write_text(json.dumps({"version": 1, "key": "http", "data": server}))
    (folder / "custom_components").symlink_to(REPOSITORY / "custom_components")
    (folder / "configuration.yaml").write_text(CONFIGURATION.format(photos=json.dumps([str(photos)])))


async def main(line: Line, start: Start) -> None:
    """Be Home Assistant until killed."""
    tempfile.tempdir = str(start.folder / "tmp")  # which it empties at times
    fate = Fate()
    loop = asyncio.get_running_loop()
    resolver = patch(
        "homeassistant.helpers.aiohttp_client._async_make_resolver", lambda hass: aiohttp.ThreadedResolver()
    )
    with resolver:
        hass = await bootstrap.async_setup_hass(RuntimeConfig(str(start.folder), skip_pip=True))
        if hass is None or hass.config.recovery_mode:
            raise RuntimeError("Home Assistant does not start")
        orders = set[asyncio.Task[None]]()

        def take(order: object) -> None:
            orders.add(task := loop.create_task(_carry_out(hass, line, fate, order)))
            task.add_done_callback(orders.discard)

        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STARTED, lambda _event: line.send(Ready()))
        line.listen(lambda order: loop.call_soon_threadsafe(take, order))
        await hass.async_run(attach_signals=False)


async def _carry_out(hass: HomeAssistant, line: Line, fate: Fate, order: object) -> None:
    match order:
        case Walk(answers):
            line.send(Done(await _walk(hass, answers)))
        case Perform(action, data, point):
            fate.arm(point)
            try:
                answer = await hass.services.async_call(
                    DOMAIN, action, dict(data), blocking=True, return_response=True
                )
                await async_ready_recognition(hass)  # what has changed persons sets it up anew
                line.send(Done(answer or {}, passed=fate.passed))
            except HomeAssistantError as err:
                line.send(Done(error=err.translation_key or str(err), passed=fate.passed))
        case Tell():
            line.send(await _tell(hass))


async def _walk(hass: HomeAssistant, answers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    step = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    for answer in answers:
        step = await hass.config_entries.flow.async_configure(step["flow_id"], dict(answer))
    return {"type": step["type"], "errors": step.get("errors"), "reason": step.get("reason")}


async def _tell(hass: HomeAssistant) -> Told:
    entry = await async_ready_recognition(hass)
    if entry is None:
        raise RuntimeError("recognition is gone")
    recognizer = entry.runtime_data
    await recognizer.sync()
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    ids = {identifier for device in devices for domain, identifier in device.identifiers if domain == DOMAIN}
    doorbells = [
        device.id
        for each in hass.config_entries.async_entries(DOMAIN)
        if each is not entry
        for device in dr.async_entries_for_config_entry(registry, each.entry_id)
    ]
    visits = hass.data[VISITS].newest_first()
    return Told(
        {person.id: [photo.id for photo in person.photos] for person in recognizer.persons},
        {person.id: person.name for person in recognizer.persons},
        dict(person_names(entry)),
        frozenset(ids - {entry.entry_id}),
        {face.person_id: face.name or "" for visit in visits for face in visit.faces if face.person_id},
        recognizer.in_sync,
        *doorbells,
    )
