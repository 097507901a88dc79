"""The door: the real bridge on stand-ins for its hardware, in a process of its own."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
import threading
import time
from typing import Final, NamedTuple, Self

from pi_bridge.errors import JournalError
from pi_bridge.faces import Faces
from pi_bridge.model import Ring
from tests.bridge.doubles import FakeClock, RunningBridge, running_bridge

from ..kernel import waited_ns
from .child import Line

TURNS: Final = 3  # of the event loop, until every session that was woken has sent
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
class Sent:
    """The report that every client was told of a ring, so long after the press.

    `waited_ms` of it the bridge was ready to go on, and the machine ran other programs.
    """

    ring_id: str
    after_ms: float
    waited_ms: float


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
        thread = threading.get_native_id()

        def take(order: object, moment: _Moment) -> None:
            match order:
                case Press(number):
                    report = _press(bridge, number, moment.monotonic_ns)
                    line.send(report)
                    settling.create_task(_settle(line, bridge, number))
                    if isinstance(report, Rang):
                        settling.create_task(_sent(line, report.ring_id, moment))
                case Clock():
                    _set(clock, order)

        line.listen(lambda order: loop.call_soon_threadsafe(take, order, _Moment.now(thread)))
        line.send(Started(bridge.port))
        await loop.create_future()


class _Moment(NamedTuple):
    """When something happened, and how long the event loop's thread had waited for the machine until then."""

    monotonic_ns: int
    waited_ns: int
    thread: int

    @classmethod
    def now(cls, thread: int) -> Self:
        return cls(time.monotonic_ns(), waited_ns(thread), thread)


async def _sent(line: Line, ring_id: str, pressed: _Moment) -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
    now = _Moment.now(pressed.thread)
    after_ns, waited = now.monotonic_ns - pressed.monotonic_ns, now.waited_ns - pressed.waited_ns
    line.send(Sent(ring_id, after_ns / 1e6, waited / 1e6))


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
