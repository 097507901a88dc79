"""Presses with seeded faults: the bridge and Home Assistant die, the network and the disk fail, the clock jumps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import random
import resource
import sqlite3
from typing import Any, Final, Self
from uuid import uuid4

import aiohttp

from custom_components.face_doorbell.bridge import BridgeClient, BridgeInfo
from custom_components.face_doorbell.visits.store import VisitStore
from pi_bridge.clock import SYSTEM_CLOCK
from pi_bridge.control import ask
from pi_bridge.journal import FILE_NAME

from . import door, home
from .child import Child, Complaint
from .ledger import Ledger, Report, Ring
from .link import Link

WORLDS: Final = 8  # they mostly wait for each other; so many keep two cores busy
PAUSE_S: Final = 0.4  # between presses, at most; with less, there is hardly a moment without a fault
ARRIVE_S: Final = (
    120.0  # Home Assistant tries a doorbell that it could not set up again after a minute or two
)
PAGE: Final = 4096


class SoakError(Exception):
    """The soak itself went wrong, or a process said something that nobody expects."""


class World:
    """A door, a household, and the network between them."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        """Keep everything under `folder`; every choice is `rng`'s."""
        self.folder = folder
        self.rng = rng
        self.link = Link()
        self.ledger = Ledger()
        self.complaints: list[str] = []
        self.clock = door.Clock(str(uuid4()), SYSTEM_CLOCK.uptime_ms())
        self.button = asyncio.Lock()
        self._door: Child[door.Start] | None = None
        self._home: Child[home.Start] | None = None
        self._access: home.Start | None = None
        self._door_up = asyncio.Event()
        self._home_ready = asyncio.Event()
        self._building = asyncio.Lock()  # nobody dies while he is being born
        self._tasks: set[asyncio.Task[None]] = set()
        self._rings: dict[str, set[str]] = {}  # of each visit

    @property
    def state(self) -> Path:
        """The folder of the bridge."""
        return self.folder / "state"

    @property
    def visits(self) -> Path:
        """The folder of the household's visits."""
        return home.visits_folder(self.folder / "home")

    async def __aenter__(self) -> Self:
        """Start the door and the household, and pair them."""
        home.prepare(self.folder / "home")
        await self.link.__aenter__()
        await self._start_door()
        await self.pair()
        self._start_home()
        await self._home_ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill what is left."""
        for task in self._tasks:
            task.cancel()
        for child in (self._door, self._home):
            if child is not None:
                await child.kill()
        await self.link.__aexit__()

    # What happens at the door

    async def press(self, number: int) -> None:
        """Press the button as soon as there is a door."""
        async with self.button:
            await self._door_up.wait()
            if self._door is not None:
                self.ledger.ordered(number, clock_ok=self.clock.synchronized)
                self._door.order(door.Press(number))

    def _door_says(self, report: object) -> None:
        match report:
            case door.Started(port):
                self.link.target = port
                self._door_up.set()
            case door.Rang(number, ring_id, at):
                self.ledger.rang(Ring(number, ring_id, at, self.clock.synchronized))
            case door.Settled(number, stored=True):
                self.ledger.settled(number)
            case Complaint():
                self.complaints.append(f"door: {report}")

    def _home_says(self, report: object) -> None:
        match report:
            case home.Ready():
                self._home_ready.set()
            case home.Told(ring_id, again=True):
                self.ledger.told_again.append(ring_id)
            case Complaint():
                self.complaints.append(f"home: {report}")

    # Life and death

    @asynccontextmanager
    async def without_door(self) -> AsyncIterator[None]:
        """Kill the door, and start it again afterwards."""
        async with self._building:
            self._door_up.clear()
            died = datetime.now(UTC)
            if self._door is not None:
                await self._door.kill()
            self.ledger.died(died, self._stored())
            yield
            await self._start_door()

    async def kill_home(self, die_before: str = "") -> None:
        """Kill Home Assistant and start it again; it will die again at the next ring if that is wanted."""
        async with self._building:
            if self._home is not None:
                await self._home.kill()
            self._start_home(die_before)

    async def home_is_dead(self) -> None:
        """Wait for the death of Home Assistant that was ordered."""
        if self._home is not None:
            await self._home.ended()

    async def pair(self) -> None:
        """Let the household in, as its owner does; it gets its token at its next start."""
        async with aiohttp.ClientSession() as session:
            info: BridgeInfo = await BridgeClient.get_info(session, "127.0.0.1", self.link.target)
            client = BridgeClient(session, "127.0.0.1", self.link.target, info.fingerprint)
            code: str = (await ask(self.state, "POST", "pair"))["code"]
            token = (await client.pair(code, "Home")).token
        self._access = home.Start(self.folder / "home", self.link.port, info.fingerprint, info.id, token)

    async def pair_again_if_forgotten(self) -> None:
        """Let the household in again when the door knows nobody any more; what rang since was nobody's."""
        async with self._building:
            if await ask(self.state, "GET", "clients"):
                return
            await self.pair()
            self.ledger.forgot(self._received())
            if self._home is not None:
                await self._home.kill()
            self._start_home()

    def set_clock(self, **changes: Any) -> None:
        """Change the door's clock."""
        self.clock = replace(self.clock, **changes)
        if self._door is not None:
            self._door.order(self.clock)

    def fill_disk(self, *, full: bool) -> None:
        """Let the kernel refuse all that the door writes, or let it write again."""
        if self._door is not None:
            self._door.limit_files(0 if full else resource.RLIM_INFINITY)

    async def _start_door(self) -> None:
        self._door = Child(door.main, door.Start(self.state, self.clock), self._door_says)
        await self._door_up.wait()

    def _start_home(self, die_before: str = "") -> None:
        if self._access is None:
            raise SoakError("nobody is paired")
        self._home_ready.clear()
        self._home = Child(home.main, replace(self._access, die_before=die_before), self._home_says)

    def _stored(self) -> list[str]:
        """Return the rings that a dead door has in its journal."""
        with closing(sqlite3.connect(self.state / FILE_NAME)) as journal:
            return [ring_id for (ring_id,) in journal.execute("SELECT ring_id FROM rings ORDER BY seq")]

    # The end

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a fault take its time."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

    async def calm(self) -> None:
        """Wait until all faults are over."""
        while self._tasks:
            done, self._tasks = await asyncio.wait(self._tasks)
            for task in done:
                task.result()

    async def arrived(self) -> None:
        """Wait until everything promised has arrived, or cannot be hoped for any more."""
        try:
            async with asyncio.timeout(ARRIVE_S):
                # Another process writes them.
                while self.ledger.missing(self._received()):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return

    def _received(self) -> set[str]:
        """Return the rings of all visits that are stored; each visit is read once."""
        for record in self.visits.glob("*-*-*-*-*/visit.json"):  # an unfinished one has no such name
            if record.parent.name not in self._rings:
                visit = json.loads(record.read_bytes())
                more_rings = {ring["ring_id"] for ring in visit["more_rings"]}
                self._rings[record.parent.name] = {visit["visit_id"], *more_rings}
        return set().union(*self._rings.values())

    async def finish(self) -> Report:
        """Wait for the last visits and return what came of all."""
        await self.calm()
        self.link.down = False
        await self.arrived()
        stored = await asyncio.to_thread(VisitStore(self.visits).read_all)
        return self.ledger.report(each.visit for each in stored)


# The faults. Each draws all its choices before it begins, so that the seed alone decides what happens.


async def _kill_bridge(world: World, rng: random.Random) -> None:
    delay, pause = rng.uniform(0, 0.1), rng.uniform(0, 0.5)
    await asyncio.sleep(delay)
    async with world.without_door():
        await asyncio.sleep(pause)


async def _power_cut(world: World, rng: random.Random) -> None:
    delay, booting_s, until_set = rng.uniform(0, 0.1), rng.uniform(8, 40), rng.uniform(0.2, 3)
    behind = -timedelta(seconds=rng.uniform(60, 40 * 86400))
    await asyncio.sleep(delay)
    async with world.without_door():
        booted_ms = SYSTEM_CLOCK.uptime_ms() - int(booting_s * 1000)
        world.set_clock(boot_id=str(uuid4()), booted_ms=booted_ms, wrong_by=behind, synchronized=False)
    await asyncio.sleep(until_set)
    world.set_clock(wrong_by=timedelta(), synchronized=True)


async def _clock_jump(world: World, rng: random.Random) -> None:
    wrong_by, pause = timedelta(seconds=rng.uniform(-1e7, 1e7)), rng.uniform(0.1, 2)
    world.set_clock(wrong_by=wrong_by, synchronized=False)
    await asyncio.sleep(pause)
    world.set_clock(wrong_by=timedelta(), synchronized=True)


async def _kill_home(world: World, rng: random.Random) -> None:
    await asyncio.sleep(rng.uniform(0, 0.4))
    await world.kill_home()


async def _home_dies_before_store(world: World, rng: random.Random) -> None:
    await _home_dies(world, "store")


async def _home_dies_before_ack(world: World, rng: random.Random) -> None:
    await _home_dies(world, "ack")


async def _home_dies(world: World, die_before: str) -> None:
    await world.kill_home(die_before)
    await world.home_is_dead()
    await world.kill_home()


async def _cut(world: World, rng: random.Random) -> None:
    await asyncio.sleep(rng.uniform(0, 0.1))
    world.link.cut()


async def _half_open(world: World, rng: random.Random) -> None:
    pause = rng.uniform(1, 25)
    resume = world.link.stall()
    await asyncio.sleep(pause)
    resume()


async def _network_down(world: World, rng: random.Random) -> None:
    pause = rng.uniform(0.1, 3)
    world.link.down = True
    world.link.cut()
    await asyncio.sleep(pause)
    world.link.down = False


async def _full_disk(world: World, rng: random.Random) -> None:
    pause = rng.uniform(0.1, 2)
    with world.ledger.disk_trouble():
        world.fill_disk(full=True)
        await asyncio.sleep(pause)
        world.fill_disk(full=False)


async def _slow_commits(world: World, rng: random.Random) -> None:
    pause = rng.uniform(0.1, 2)
    with closing(sqlite3.connect(world.state / FILE_NAME, isolation_level=None, timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return  # the bridge holds it at this very moment
        with world.ledger.disk_trouble():
            await asyncio.sleep(pause)


async def _damage(world: World, rng: random.Random) -> None:
    """Overwrite pages of the journal of a dead door whose rings have all arrived."""
    places, garbage = [rng.random() for _ in range(3)], rng.randbytes(PAGE)
    async with world.button:
        await world.arrived()
        async with world.without_door():
            await asyncio.to_thread(_overwrite, world.state / FILE_NAME, places, garbage)
    await world.pair_again_if_forgotten()


def _overwrite(path: Path, places: list[float], garbage: bytes) -> None:
    with closing(sqlite3.connect(path)) as journal:
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        pages = path.stat().st_size // PAGE
        for place in places:
            file.seek(int(place * pages) * PAGE)
            file.write(garbage)


@dataclass(frozen=True, slots=True)
class Fault:
    """What may happen around a press; of 1000 presses it meets `weight`."""

    kind: str
    weight: int
    happen: Callable[[World, random.Random], Coroutine[Any, Any, None]]


FAULTS: Final = (
    Fault("kill_bridge", 120, _kill_bridge),
    Fault("power_cut", 30, _power_cut),
    Fault("clock_jump", 40, _clock_jump),
    Fault("kill_home", 20, _kill_home),
    Fault("home_dies_before_store", 10, _home_dies_before_store),
    Fault("home_dies_before_ack", 10, _home_dies_before_ack),
    Fault("cut", 60, _cut),
    Fault("half_open", 8, _half_open),
    Fault("network_down", 20, _network_down),
    Fault("full_disk", 40, _full_disk),
    Fault("slow_commits", 60, _slow_commits),
    Fault("damage", 5, _damage),
)


def _choose(rng: random.Random) -> Fault | None:
    place = rng.randrange(1000)
    for fault in FAULTS:
        place -= fault.weight
        if place < 0:
            return fault
    return None


async def soak(folder: Path, presses: int, seed: int) -> Report:
    """Press so often, in several worlds at a time, and return what came of it; raises SoakError."""
    shares = [presses // WORLDS + (world < presses % WORLDS) for world in range(WORLDS)]
    reports = await asyncio.gather(
        *(
            _soak_one(folder / str(world), share, f"{seed}/{world}")
            for world, share in enumerate(shares)
            if share
        )
    )
    return sum(reports, Report())


async def _soak_one(folder: Path, presses: int, seed: str) -> Report:
    rng = random.Random(seed)  # noqa: S311 - no secret
    async with World(folder, rng) as world:
        for number in range(1, presses + 1):
            fault = _choose(rng)
            if fault is not None:
                world.ledger.faults[fault.kind] += 1
                chance = random.Random(f"{seed}/{number}")  # noqa: S311 - no secret
                world.spawn(fault.happen(world, chance))
            await world.press(number)
            await asyncio.sleep(rng.uniform(0, PAUSE_S))
        report = await world.finish()
        if world.complaints:
            raise SoakError("\n".join(world.complaints))
        return report
