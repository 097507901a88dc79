"""Stand-ins for the bridge's hardware, and the real bridge running on them over loopback TLS.

For the integration's tests too::

    async with running_bridge(tmp_path, photos=[jpeg]) as bridge:
        code = bridge.pairing_code()
        bridge.press()                       # the camera takes a frame, then the finger presses
        await bridge.panel.until(Output.BUZZER, lit=True)
        await bridge.restart()               # same storage, same port, same certificate
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
import time
from uuid import uuid4

from pi_bridge.clock import SYSTEM_CLOCK
from pi_bridge.config import BurstConfig, Config, ServerConfig
from pi_bridge.errors import FacesOffError
from pi_bridge.mjpeg import RESEND_S
from pi_bridge.model import Box, CameraState, Face, FacesFound, FacesState, Frame, Output
from pi_bridge.ports import Clock, FaceFinder
from pi_bridge.service import Running, serve

BURST_S = 0.2


class FakePanel:
    """A panel that remembers what was written to it, and that a test can press."""

    def __init__(self) -> None:
        self.writes: list[tuple[Output, bool]] = []
        self.played: list[tuple[Output, bool, float | None]] = []
        self.closed = False
        self.pressed = False
        self._lit = dict.fromkeys(Output, False)
        self._written = asyncio.Event()
        self._on_press: Callable[[int], None] | None = None

    def start(self, on_press: Callable[[int], None]) -> None:
        self._on_press = on_press

    def write(self, output: Output, lit: bool, hz: float | None = None) -> None:
        self.writes.append((output, lit))
        self.played.append((output, lit, hz))
        self._lit[output] = lit
        self._written.set()
        self._written = asyncio.Event()

    def close(self) -> None:
        self.closed = True

    def press(self, pressed_ns: int | None = None) -> None:
        """Press the button, now or at a `time.monotonic_ns`."""
        assert self._on_press is not None
        self._on_press(time.monotonic_ns() if pressed_ns is None else pressed_ns)

    def is_lit(self, output: Output) -> bool:
        return self._lit[output]

    async def until(self, output: Output, *, lit: bool) -> None:
        """Wait until the output is lit, or dark."""
        while self._lit[output] is not lit:
            await self._written.wait()


class FakeCamera:
    """A camera that takes a frame when the test says so."""

    def __init__(self) -> None:
        self.jpeg: bytes | None = None
        self.alive = True
        self._state = CameraState.ABSENT
        self._deliver: Callable[[Frame], None] | None = None
        self._changed: Callable[[], None] | None = None

    @property
    def state(self) -> CameraState:
        return self._state

    async def run(self, deliver: Callable[[Frame], None], changed: Callable[[], None]) -> None:
        self._deliver, self._changed = deliver, changed
        if self.jpeg is not None:
            self.show(self.jpeg)
        await asyncio.Event().wait()

    def show(self, jpeg: bytes, taken_ns: int | None = None) -> None:
        """Take this frame, now or at a `time.monotonic_ns`; it is what stands before the camera from now on."""
        self.jpeg = jpeg
        if self._deliver is not None:
            self.become(CameraState.OK)
            self._deliver(Frame(jpeg, time.monotonic_ns() if taken_ns is None else taken_ns))

    def become(self, state: CameraState) -> None:
        """Change the state, as when the plug is pulled."""
        changed = state is not self._state
        self._state = state
        if changed and self._changed is not None:
            self._changed()


@dataclass
class FakeFaces:
    """A face finder that answers by the book: `answers` by JPEG, and no face for all others."""

    answers: Mapping[bytes, FacesFound] = field(default_factory=dict)
    state: FacesState = FacesState.OK
    asked: list[bytes] = field(default_factory=list)

    async def ready(self) -> FacesState:
        return self.state

    async def find(self, image: bytes, *, embed: bool = True) -> FacesFound:
        self.asked.append(image)
        await asyncio.sleep(0)
        if self.state is FacesState.OFF:
            raise FacesOffError("switched off by the test")
        return self.answers.get(image, FacesFound(640, 480, ()))


def one_face(quality: float) -> FacesFound:
    """Return what a finder says of a picture with one face."""
    return FacesFound(640, 480, (Face(Box(0.4, 0.2, 0.2, 0.3), 0.9, quality),))


class FakeClock:
    """A clock that jumps when the test says so, and a Pi that boots; in between time goes on as everywhere."""

    def __init__(self) -> None:
        self.synchronized = True
        self.wrong_by = timedelta()
        self.boot()

    def boot(self, uptime_ms: int = 0) -> None:
        """Boot anew, so long ago."""
        self.boot_id = str(uuid4())
        self.booted_ms = SYSTEM_CLOCK.uptime_ms() - uptime_ms

    def now(self) -> datetime:
        return datetime.now(UTC) + self.wrong_by

    def uptime_ms(self) -> int:
        return SYSTEM_CLOCK.uptime_ms() - self.booted_ms


class RunningBridge:
    """The real bridge on stand-ins."""

    def __init__(
        self, config: Config, finder: FaceFinder, photo: bytes | None, resend_s: float, clock: Clock
    ) -> None:
        self.config = config
        self.faces = finder
        self.panel = FakePanel()
        self.camera = FakeCamera()
        self.camera.jpeg = photo
        self._resend_s = resend_s
        self._clock = clock
        self._running: Running | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> Running:
        assert self._running is not None, "the bridge is stopped"
        return self._running

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return self.config.server.port

    @property
    def fingerprint(self) -> str:
        return self.running.certificate.fingerprint

    @property
    def bridge_id(self) -> str:
        return self.running.certificate.bridge_id

    def press(self, photo: bytes | None = None) -> None:
        """Take a frame (of `photo`, or of what stands before the camera) and press the button."""
        jpeg = photo or self.camera.jpeg
        if jpeg is not None:
            self.camera.show(jpeg)
        self.panel.press()

    def pairing_code(self) -> str:
        """Open pairing and return its code, as `face-doorbell-bridge pair` does."""
        return self.running.access.open_pairing()

    async def start(self) -> None:
        """Start, and return once it answers."""
        ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(
            serve(
                self.config,
                self.panel,
                self.camera,
                self.faces,
                ready.set_result,
                resend_s=self._resend_s,
                clock=self._clock,
            )
        )

        def failed(task: asyncio.Task[None]) -> None:
            if not ready.done():
                ready.set_exception(task.exception() or AssertionError("the bridge ended"))

        self._task.add_done_callback(failed)
        self._running = await ready
        self.config = replace(self.config, server=replace(self.config.server, port=self._running.port))

    async def stop(self) -> None:
        """Stop as SIGTERM does; a second time does nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            task, self._task, self._running = self._task, None, None
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def failure(self) -> BaseException | None:
        """Wait until it ends by itself, and return what it fails with."""
        assert self._task is not None
        await asyncio.wait([self._task])
        task, self._task, self._running = self._task, None, None
        return task.exception()

    async def restart(self) -> None:
        """Stop and start on the same storage and port; panel and camera are new, the picture before them is not."""
        photo = self.camera.jpeg
        await self.stop()
        self.panel, self.camera = FakePanel(), FakeCamera()
        self.camera.jpeg = photo
        await self.start()


@asynccontextmanager
async def running_bridge(
    storage: Path,
    *,
    photos: Sequence[bytes] = (),
    finder: FaceFinder | None = None,
    config: Config | None = None,
    resend_s: float = RESEND_S,
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncIterator[RunningBridge]:
    """Run the real bridge over loopback TLS; the first of `photos` stands before the camera.

    `config` is used but for address, port and storage; by default a burst takes only `BURST_S`.
    """
    config = config or Config(burst=BurstConfig(BURST_S))
    config = replace(
        config,
        server=ServerConfig(host="127.0.0.1", port=0, hosts=config.server.hosts),
        storage=replace(config.storage, path=storage),
    )
    bridge = RunningBridge(config, finder or FakeFaces(), photos[0] if photos else None, resend_s, clock)
    await bridge.start()
    try:
        yield bridge
    finally:
        await bridge.stop()


@contextmanager
def unusable(path: Path) -> Iterator[None]:
    """Let nobody open a file within this context."""
    away = path.rename(path.with_suffix(".away"))
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        away.rename(path)
