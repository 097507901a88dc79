"""The door: the real bridge on stand-ins for its hardware, in a process of its own."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
import time
from typing import Final

from pi_bridge.errors import JournalError
from pi_bridge.faces import Faces
from pi_bridge.model import Ring
from tests.bridge.doubles import FakeClock, RunningBridge, running_bridge

from .child import Line

PADDING: Final = bytes(20_000)  # a small picture of a webcam


@dataclass(frozen=True, slots=True)
class Clock:
    """How the door's clock is: which boot, since when (CLOCK_BOOTTIME), wrong by how much, and whether it knows."""

    boot_id: str
    booted_ms: int
    wrong_by: timedelta = timedelta()
    synchronized: bool = True


@dataclass(frozen=True, slots=True)
class Start:
    """What a door is started with; `as_installed`: with its face models, which take a second to load, and its log."""

    state: Path
    clock: Clock
    as_installed: bool = False


@dataclass(frozen=True, slots=True)
class Press:
    """The order to press the button; `number` is in the picture."""

    number: int


@dataclass(frozen=True, slots=True)
class Started:
    """The report that the bridge answers."""

    port: int


@dataclass(frozen=True, slots=True)
class Rang:
    """The report that a press became a ring; `pressed_ns` is `time.monotonic_ns`, the same in all processes."""

    number: int
    ring_id: str
    at: datetime
    pressed_ns: int


@dataclass(frozen=True, slots=True)
class LetIn:
    """The report that a press did not ring: it has let in a client."""

    number: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The report that the journal has stored the ring of a press, and all before, or could not."""

    number: int
    stored: bool


def picture(number: int) -> bytes:
    """Return the picture of a press."""
    return b"\xff\xd8 press %d;" % number + PADDING + b"\xff\xd9"


async def main(line: Line, start: Start) -> None:
    """Be a doorbell until killed."""
    if start.as_installed:
        logging.getLogger().setLevel(logging.INFO)
    else:  # what a full or locked disk makes it say is expected here
        logging.getLogger("pi_bridge.journal").setLevel(logging.CRITICAL)
    loop = asyncio.get_running_loop()
    settling = asyncio.TaskGroup()
    clock = FakeClock()
    _set(clock, start.clock)
    finder = Faces() if start.as_installed else None
    async with (
        running_bridge(start.state, photos=[picture(0)], finder=finder, clock=clock) as bridge,
        settling,
    ):

        def take(order: object, pressed_ns: int) -> None:
            match order:
                case Press(number):
                    line.send(_press(bridge, number, pressed_ns))
                    settling.create_task(_settle(line, bridge, number))
                case Clock():
                    _set(clock, order)

        line.listen(lambda order: loop.call_soon_threadsafe(take, order, time.monotonic_ns()))
        line.send(Started(bridge.port))
        await loop.create_future()


def _press(bridge: RunningBridge, number: int, pressed_ns: int) -> Rang | LetIn:
    at = datetime.now(UTC) - timedelta(microseconds=(time.monotonic_ns() - pressed_ns) / 1000)
    bridge.camera.show(picture(number), pressed_ns)
    events = bridge.running.bridge.events
    before = events.end
    bridge.panel.press(pressed_ns)
    if events.end == before:
        return LetIn(number)
    ((_, ring),) = events.since(before, -1)
    if not isinstance(ring, Ring):
        raise TypeError("a press rings at once")
    return Rang(number, ring.ring_id, at, pressed_ns)


async def _settle(line: Line, bridge: RunningBridge, number: int) -> None:
    heart = bridge.running.bridge
    try:
        await heart.picture(0, 0)  # there is none; but the journal answers in the order in which it was asked
    except JournalError:
        stored = False
    else:
        stored = heart.health()["journal"] == "ok"
    line.send(Settled(number, stored))


def _set(clock: FakeClock, to: Clock) -> None:
    clock.boot_id, clock.booted_ms = to.boot_id, to.booted_ms
    clock.wrong_by, clock.synchronized = to.wrong_by, to.synchronized
