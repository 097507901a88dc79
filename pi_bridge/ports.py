"""The seams of the bridge: what its heart needs of the hardware, so that tests can stand in for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from .model import CameraState, FacesFound, FacesState, Frame, Output


class Panel(Protocol):
    """Button, buzzer and LEDs."""

    @property
    def pressed(self) -> bool:
        """Whether the button is down."""

    def start(self, on_press: Callable[[int], None]) -> None:
        """Claim the pins; `on_press` is called in the event loop with the press's `time.monotonic_ns`."""

    def write(self, output: Output, lit: bool, hz: float | None = None) -> None:
        """Light or sound an output, or end it; `hz` is the pitch of a passive buzzer. Never blocks."""

    def close(self) -> None:
        """Switch everything off and release the pins."""


class Camera(Protocol):
    """A source of frames that never gives up."""

    @property
    def state(self) -> CameraState:
        """How the camera is now."""

    @property
    def alive(self) -> bool:
        """Whether what reads the camera still goes on, with or without pictures."""

    async def run(self, deliver: Callable[[Frame], None], changed: Callable[[], None]) -> None:
        """Deliver frames in the event loop until cancelled; call `changed` when `state` has changed."""


class FaceFinder(Protocol):
    """Finds, judges and embeds faces."""

    @property
    def state(self) -> FacesState:
        """Whether the models are there."""

    async def ready(self) -> FacesState:
        """Wait until `state` is final, and return it."""

    async def find(self, image: bytes, *, embed: bool = True) -> FacesFound:
        """Return the faces of a JPEG or PNG; raises NotAnImageError, and FacesOffError when `state` is OFF."""


class Clock(Protocol):
    """What time it is, and for how long the machine has been on."""

    @property
    def boot_id(self) -> str:
        """What tells this boot from all others."""

    @property
    def synchronized(self) -> bool:
        """Whether `now` is right."""

    def now(self) -> datetime:
        """Return the wall clock's time in UTC, which may jump."""

    def uptime_ms(self) -> int:
        """Return milliseconds since boot, which never jump."""
