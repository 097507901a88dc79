"""A doorbell without hardware: mock pins behind the real panel, photos or a video for a camera, and a page."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
import time
from typing import Final

from gpiozero.pins.mock import MockFactory, MockPWMPin

from ..camera import Webcam, open_video
from ..config import Config
from ..errors import Refused
from ..events import Signal
from ..frames import Frames
from ..model import CameraState, Frame, Output
from ..panel import GpioPanel
from ..ports import Camera
from . import page
from .pictures import NOBODY, PictureSource

PAGE_PORT: Final = 8468
FINGER_S: Final = 0.12  # how long a finger stays on a button
PRESSES_SHOWN: Final = 20

__all__ = ["NOBODY", "PAGE_PORT", "Simulator"]


class Simulator:
    """A door on this machine. Give `panel` and `camera` to the daemon, and run `serve` beside it."""

    def __init__(self, config: Config, source: Path, page_port: int = PAGE_PORT) -> None:
        """Show the people of a folder of photos (see `PictureSource`), or a video file.

        The page is on 127.0.0.1 and nowhere else. Raises ConfigError when there are no photos.
        """
        self._config = config
        self._page_port = page_port
        self._pins = MockFactory(pin_class=MockPWMPin)
        self._pictures = None if source.is_file() else PictureSource(config.camera, source)
        self.changed = Signal()
        self.frames = Frames(config.camera.buffer_s)
        self.presses: deque[datetime] = deque(maxlen=PRESSES_SHOWN)
        self.panel = _SeenPanel(config, self._pins, self.changed.notify)
        self.camera = _SeenCamera(
            self._pictures or Webcam(config.camera, lambda _: open_video(source)), self.frames.add
        )

    @property
    def name(self) -> str:
        """The name of the doorbell."""
        return self._config.name

    @property
    def visitors(self) -> tuple[str, ...]:
        """Who may stand at the door; nobody to choose from with a video."""
        return self._pictures.visitors if self._pictures else ()

    @property
    def visitor(self) -> str | None:
        """Who stands at the door; None with a video."""
        return self._pictures.visitor if self._pictures else None

    @property
    def outputs(self) -> dict[Output, bool]:
        """Whether current flows through each output at this moment, as the pins have it."""
        pins = {
            Output.GREEN: self._config.leds.green,
            Output.RED: self._config.leds.red,
            Output.BUZZER: self._config.buzzer.pin,
        }
        return {output: bool(self._pins.pin(pin).state) for output, pin in pins.items()}

    @property
    def hz(self) -> float | None:
        """The pitch that a passive buzzer sounds at; None when it is silent, or an active one."""
        frequency: float | None = self._pins.pin(self._config.buzzer.pin).frequency
        return frequency

    async def choose(self, visitor: str) -> None:
        """Let somebody stand at the door, and wait until the camera has seen it. Raises Refused or NotAnImageError."""
        await self._need_pictures().choose(visitor)
        self.changed.notify()
        if self.camera.state is CameraState.OK:
            await self.frames.next(time.monotonic_ns())

    async def thumbnail(self, visitor: str) -> bytes:
        """Return a small JPEG of a visitor. Raises Refused or NotAnImageError."""
        return await self._need_pictures().thumbnail(visitor)

    def press(self) -> datetime:
        """Put a finger on the button for FINGER_S; return when (UTC)."""
        at = datetime.now(UTC)
        self._touch(True)
        asyncio.get_running_loop().call_later(FINGER_S, self._touch, False)
        self.presses.appendleft(at)
        self.changed.notify()
        return at

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve the page; gives its address. Raises OSError when the port is taken."""
        async with page.listening(self, self._page_port) as port:
            yield f"http://{page.LOOPBACK}:{port}"

    async def serve(self) -> None:
        """Serve the page until cancelled. Raises OSError when the port is taken."""
        async with self.listening():
            await asyncio.get_running_loop().create_future()

    def _touch(self, down: bool) -> None:
        pin = self._pins.pin(self._config.button.pin)
        low = down is (self._config.button.pull == "up")
        (pin.drive_low if low else pin.drive_high)()

    def _need_pictures(self) -> PictureSource:
        if self._pictures is None:
            raise Refused(404, "not_found", "a video plays at the door: there is nobody to choose")
        return self._pictures


class _SeenPanel(GpioPanel):
    """The real panel, which tells when it has switched an output."""

    def __init__(self, config: Config, pins: MockFactory, switched: Callable[[], None]) -> None:
        super().__init__(config, pins)
        self._switched = switched

    def write(self, output: Output, lit: bool, hz: float | None = None) -> None:
        super().write(output, lit, hz)
        self._switched()


class _SeenCamera:
    """A camera whose frames somebody else sees too; implements `ports.Camera`."""

    def __init__(self, camera: Camera, see: Callable[[Frame], None]) -> None:
        self._camera = camera
        self._see = see

    @property
    def state(self) -> CameraState:
        return self._camera.state

    @property
    def alive(self) -> bool:
        return self._camera.alive

    async def run(self, deliver: Callable[[Frame], None], changed: Callable[[], None]) -> None:
        def both(frame: Frame) -> None:
            self._see(frame)
            deliver(frame)

        await self._camera.run(both, changed)
