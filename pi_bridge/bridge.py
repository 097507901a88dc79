"""The heart: a press becomes a ring. Every client hears it at once, and again until it has acked it. Knows no HTTP."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
import json
import logging
import time
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

from .access import Client, hash_token, new_token
from .burst import Shot, shots
from .chime import Chime
from .config import BuzzerKind, CameraConfig, Config
from .errors import JournalError, Refused
from .events import EventLog, Signal
from .frames import Frames
from .journal import Journal
from .model import BridgeState, Burst, CameraState, Frame, Melody, Moment, Output, Pattern, Ring, RingPicture
from .outputs import Outputs
from .ports import Camera, Clock, FaceFinder, Panel

_LOGGER = logging.getLogger(__name__)

PICTURES_IN_MEMORY: Final = 32  # the newest: a client asks for a picture before a slow card has stored it
FRAMES_FOR_RATE: Final = 30
INVITATION_MS: Final = 60_000  # outlasts a request by far; it is ended by a call
CHIME: Final = "chime"  # the name of its setting in the journal
PRUNE_AGAIN_S: Final = 3600.0  # at an empty house nobody rings, and what is too old goes all the same
STORE_AGAIN_S: Final = 30.0  # room on a full card is made by people; until then nobody may ring


class Bridge:
    """Rings, clients and outputs of one doorbell. All calls belong to the event loop."""

    def __init__(
        self,
        config: Config,
        panel: Panel,
        camera: Camera,
        faces: FaceFinder,
        journal: Journal,
        *,
        clock: Clock,
    ) -> None:
        self._config = config
        self._panel = panel
        self._camera = camera
        self._journal = journal
        self._clock = clock
        self._clients: dict[str, Client] = {}
        self._newest_seq = 0
        self._pictures: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._frame_times: deque[int] = deque(maxlen=FRAMES_FOR_RATE)
        self._faces_ms: float | None = None
        self._booted: datetime | None = None  # by a client's clock
        self._tasks: asyncio.TaskGroup | None = None
        self.boot = clock.boot_id
        self.faces = faces
        self.frames = Frames(config.camera.buffer_s)
        self.live = Frames(0)
        self._no_picture = b""
        self.events = EventLog()
        self.changed = Signal()
        passive = config.buzzer.kind is BuzzerKind.PASSIVE
        self.outputs = Outputs(panel, self.changed.notify, melodies=passive)
        self.chime = Chime()

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Read what the clients have not acked; bursts will run in `tasks`."""
        self._tasks = tasks
        self._clients.update({client.token_hash: client for client in await self._journal.clients()})
        self._newest_seq = await self._journal.newest_seq()
        self.chime = await self._stored_chime()
        ring: Ring | None = None
        best: int | None = None
        for event in await self._journal.rings_after(self._acked_by_all):
            if isinstance(event, Ring):
                if ring is not None:
                    self.events.append(Burst(ring.seq, ring.ring_id, best))
                ring, best = event, None
            else:
                best = event.n
            self.events.append(event)
        if ring is not None:
            self.events.append(Burst(ring.seq, ring.ring_id, best))
        tasks.create_task(self._store_again())
        tasks.create_task(self._prune_again())
        self._no_picture = await asyncio.to_thread(_no_picture, self._config.camera)
        self.camera_changed()

    # What happens at the door

    def take(self, frame: Frame) -> None:
        """Take in a frame of the camera."""
        self._frame_times.append(frame.taken_ns)
        self.frames.add(frame)
        self.live.add(frame)

    def camera_changed(self) -> None:
        """Tell everybody how the camera is now; viewers see when there is none."""
        if self._camera.state is CameraState.ABSENT:
            self.live.add(Frame(self._no_picture, time.monotonic_ns()))
        self.changed.notify()

    def ring(self, pressed_ns: int, *, test: bool = False) -> None:
        """Ring: somebody pressed the button at `pressed_ns` (`time.monotonic_ns`)."""
        if self._tasks is None:
            raise RuntimeError("the bridge has not been started")
        ago_ms = (time.monotonic_ns() - pressed_ns) // 1_000_000
        self._newest_seq += 1
        ring = Ring(
            seq=self._newest_seq,
            ring_id=str(uuid4()),
            at=self._clock.now() - timedelta(milliseconds=ago_ms),
            boot=self.boot,
            uptime_ms=self._clock.uptime_ms() - ago_ms,
            clock_ok=self._clock.synchronized,
            test=test,
        )
        self.events.append(ring)
        self.changed.notify()
        _store(self._journal.add_ring(ring))
        self._tasks.create_task(self._burst(ring, pressed_ns, self.frames.at(pressed_ns)))
        self._sound()  # last, and in the same breath: whatever becomes of the buzzer, the ring is on its way

    def _sound(self) -> None:
        """Sound as Home Assistant has chosen, or as the configuration says where it has not or the buzzer cannot."""
        if self.quiet:
            return
        chime, buzzer = self.chime, self._config.buzzer
        tone = next((tone for tone in self.outputs.tones if tone == chime.tone), buzzer.pattern)
        usual_ms = None if isinstance(tone, Melody) else buzzer.ring_ms
        self.outputs.play(Output.BUZZER, tone, chime.for_ms or usual_ms)

    def invite(self, invited: bool) -> None:
        """Let both LEDs blink for as long as a press would let a client in."""
        for light in (Output.GREEN, Output.RED):
            if invited:
                self.outputs.play(light, Pattern.BLINK, INVITATION_MS)
            else:
                self.outputs.stop(light)

    async def _burst(self, ring: Ring, pressed_ns: int, first: Frame | None) -> None:
        """Publish the pictures of a ring, each better than the one before, and then which is the best."""
        numbers = count()
        best: int | None = None
        first_ms: float | None = None
        async for shot in shots(first, pressed_ns, self._config.burst.seconds, self.frames, self.faces):
            best = next(numbers)
            self._publish_picture(ring, best, pressed_ns, shot)
            if first_ms is None:
                first_ms = (time.monotonic_ns() - pressed_ns) / 1e6
        self.events.append(Burst(ring.seq, ring.ring_id, best))
        self.changed.notify()
        _LOGGER.info(
            "ring %d: first picture after %s ms (judged in %s ms), %d pictures, stored in %s ms",
            ring.seq,
            "no" if first_ms is None else round(first_ms),
            "no" if self._faces_ms is None else round(self._faces_ms),
            0 if best is None else best + 1,
            self._journal.commit_ms,
        )
        await self._prune()

    def _publish_picture(self, ring: Ring, n: int, pressed_ns: int, shot: Shot) -> None:
        at_ms = (shot.frame.taken_ns - pressed_ns) // 1_000_000
        picture = RingPicture(ring.seq, ring.ring_id, n, at_ms, shot.found.good, shot.found.faces)
        self._faces_ms = shot.judged_ms
        self._pictures[ring.seq, n] = shot.frame.jpeg
        if len(self._pictures) > PICTURES_IN_MEMORY:
            self._pictures.popitem(last=False)
        self.events.append(picture)
        self.changed.notify()
        _store(self._journal.add_picture(picture, shot.frame.jpeg))

    async def _prune(self) -> None:
        keep = self._config.storage
        # A wrong clock must not make every ring look old.
        clock = self._clock
        before = clock.now() - timedelta(days=keep.days) if clock.synchronized else None
        deleted: list[int] = []
        with suppress(JournalError):  # the journal has said so
            deleted = await self._journal.prune(rings=keep.rings, megabytes=keep.megabytes, before=before)
        self.events.prune(keep.rings, deleted)

    async def _prune_again(self) -> None:
        while True:
            await self._prune()
            await asyncio.sleep(PRUNE_AGAIN_S)

    async def _stored_chime(self) -> Chime:
        stored = await self._journal.setting(CHIME)
        if stored is None:
            return Chime()
        try:
            return await asyncio.to_thread(Chime.from_json, json.loads(stored))
        # All but the first: the card has garbled it.
        except (Refused, ValueError, KeyError, TypeError) as error:
            _LOGGER.warning("The chosen chime cannot be used: %s.", error)
            return Chime()

    async def _store_again(self) -> None:
        """Store what a full disk refused as soon as it has room again.

        Raises JournalError when it had none at the start and has now: to start anew is the way back to the file.
        """
        while True:
            await asyncio.sleep(STORE_AGAIN_S)
            if self._journal.in_memory and await self._journal.file_is_back():
                raise JournalError("the storage can be used again: starting anew with it")
            if not self._journal.healthy:
                _store(self._journal.store_owed())

    # What clients ask

    @property
    def state(self) -> BridgeState:
        """How the bridge is now."""
        return BridgeState(self._camera.state, self.faces.state, self.outputs.playing)

    @property
    def frame(self) -> Frame | None:
        """What the camera sees now; None when it sees nothing."""
        return self.frames.latest if self._camera.state is CameraState.OK else None

    @property
    def clients(self) -> Mapping[str, Client]:
        """All clients by the hash of their token."""
        return MappingProxyType(self._clients)

    @property
    def clients_known(self) -> bool:
        """Whether the clients could be read at the start."""
        return self._journal.clients_known

    @property
    def unclaimed(self) -> bool:
        """Whether nobody is paired, and nobody has been forgotten with a damaged journal."""
        return not self._clients and not self._journal.clients_lost

    @property
    def clock_ok(self) -> bool:
        """Whether the wall clock is right."""
        return self._clock.synchronized

    @property
    def quiet(self) -> bool:
        """Whether these are quiet hours, in which the doorbell does not sound by itself."""
        return self.chime.is_quiet(self._now)

    def take_time(self, now: datetime) -> None:
        """Take a client's word for what time it is: a Pi without battery may have no network time either."""
        self._booted = now - timedelta(milliseconds=self._clock.uptime_ms())

    @property
    def _now(self) -> datetime | None:
        """What time it is; None as long as neither this machine nor a client has known it since boot."""
        if self._clock.synchronized:
            return self._clock.now()
        return self._booted and self._booted + timedelta(milliseconds=self._clock.uptime_ms())

    async def choose_chime(self, chime: Chime) -> None:
        """Sound so from now on, and after a restart too; raises JournalError."""
        self.chime = chime
        await self._journal.save_setting(CHIME, json.dumps(chime.to_json()))

    def moment(self, ring: Ring) -> Moment:
        """Return when a ring was; exact within a boot, else by the wall clock."""
        now, uptime_ms, clock_ok = self._clock.now(), self._clock.uptime_ms(), self._clock.synchronized
        if ring.boot != self.boot:
            age_ok = ring.clock_ok and clock_ok
            age_ms = (now - ring.at) // timedelta(milliseconds=1) if age_ok else 0
            # Whatever the clocks say, it rang before this boot.
            return Moment(ring.at, max(uptime_ms, age_ms), ring.clock_ok, age_ok)
        age_ms = uptime_ms - ring.uptime_ms
        if clock_ok and not ring.clock_ok:  # the clock was set since
            return Moment(now - timedelta(milliseconds=age_ms), age_ms, clock_ok=True, age_ok=True)
        return Moment(ring.at, age_ms, ring.clock_ok, age_ok=True)

    async def picture(self, seq: int, n: int) -> bytes | None:
        """Return the JPEG of the `n`-th picture of a ring; raises JournalError."""
        return self._pictures.get((seq, n)) or await self._journal.picture(seq, n)

    def ack(self, token_hash: str, seq: int) -> None:
        """Remember that a client has stored the visits of all rings up to `seq`."""
        client = self._clients.get(token_hash)
        if client is None or seq <= client.acked_seq:
            return
        self._save(replace(client, acked_seq=min(seq, self._newest_seq)))
        self.events.forget(self._acked_by_all)

    def seen(self, token_hash: str) -> None:
        """Remember that a client is here."""
        if client := self._clients.get(token_hash):
            self._save(replace(client, last_seen=self._clock.now()))

    async def add_client(self, name: str, instead_of: Client | None = None) -> str:
        """Let in a new client and return its token; raises JournalError.

        It will hear of the rings from now on; in place of another client, of those too that that one has not acked.
        """
        token, now = new_token(), self._clock.now()
        taken = {client.name for client in self._clients.values() if client is not instead_of}
        free = next(choice for choice in _choices(name) if choice not in taken)
        acked_seq = instead_of.acked_seq if instead_of else self._newest_seq
        client = Client(hash_token(token), free, now, now, acked_seq)
        await self._journal.save_client(client)
        self._clients[client.token_hash] = client
        return token

    async def remove_client(self, token_hash: str) -> None:
        """Forget a client, and with the last one what it has chosen; raises JournalError."""
        self._clients.pop(token_hash, None)
        self.events.forget(self._acked_by_all)
        await self._journal.remove_client(token_hash)
        if not self._clients:
            await self.choose_chime(Chime())

    def health(self) -> dict[str, Any]:
        """Return numbers for diagnostics."""
        times, latest = self._frame_times, self.frames.latest
        span_s = (times[-1] - times[0]) / 1e9 if times else 0
        return {
            "button": "pressed" if self._panel.pressed else "released",
            "camera": self._camera.state,
            "fps": round((len(times) - 1) / span_s, 1) if span_s else 0.0,
            "frame_age_ms": (time.monotonic_ns() - latest.taken_ns) // 1_000_000 if latest else None,
            "faces": self.faces.state,
            "faces_ms": None if self._faces_ms is None else round(self._faces_ms, 1),
            "journal": "ok" if self._journal.healthy else "failing",
            "commit_ms": self._journal.commit_ms,
            "pending": self.events.pending(self._acked_by_all),
            "clients": len(self._clients),
            "clock_ok": self._clock.synchronized,
        }

    @property
    def _acked_by_all(self) -> int:
        return min((client.acked_seq for client in self._clients.values()), default=self._newest_seq)

    def _save(self, client: Client) -> None:
        self._clients[client.token_hash] = client
        _store(self._journal.save_client(client))


def _no_picture(config: CameraConfig) -> bytes:
    from .no_picture import no_picture  # noqa: PLC0415 - the command line needs no OpenCV, which takes a second to load

    return no_picture(config.width, config.height)


def _choices(name: str) -> Iterator[str]:
    """Yield the name, then the name with a number."""
    yield name
    for number in count(2):
        yield f"{name} ({number})"


def _store(write: asyncio.Future[None]) -> None:
    """Let a write go on by itself: nobody waits for the card, and the journal reports what fails."""
    write.add_done_callback(lambda done: done.cancelled() or done.exception())
