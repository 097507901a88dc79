"""The last seconds of the camera, so that a ring gets the picture of the very moment of the press."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from .model import Frame

# Bounds beside the time: a camera that sends far more, or far larger, pictures than it was asked for.
MAX_FRAMES: Final = 600
MAX_BYTES: Final = 64 * 1024 * 1024


class Frames:
    """Frames of the last `buffer_s` seconds. All calls belong to the event loop.

    However many wait for the next frame, a new one costs a wake-up each and no copy: all share the same bytes, and a
    slow reader finds the newest frame, never a queue.
    """

    def __init__(self, buffer_s: float) -> None:
        """Keep `buffer_s` seconds of frames."""
        self._buffer_ns = int(buffer_s * 1e9)
        self._frames: deque[Frame] = deque(maxlen=MAX_FRAMES)
        self._bytes = 0
        self._arrived = asyncio.Event()

    @property
    def latest(self) -> Frame | None:
        """The newest frame, however old; None before the first."""
        return self._frames[-1] if self._frames else None

    def add(self, frame: Frame) -> None:
        """Take in a frame that is newer than all before it, and wake up all who wait."""
        if len(self._frames) == MAX_FRAMES:
            self._forget()
        self._frames.append(frame)
        self._bytes += len(frame.jpeg)
        while len(self._frames) > 1 and self._too_much(frame.taken_ns):
            self._forget()
        self._arrived.set()
        self._arrived = asyncio.Event()

    def at(self, t_ns: int) -> Frame | None:
        """Return the newest frame taken at or before `t_ns` (`time.monotonic_ns`), else the earliest after it.

        A frame more than the buffer's length before `t_ns` shows another moment, perhaps another visitor: it is never
        returned.
        """
        before = [frame for frame in self._frames if t_ns - self._buffer_ns <= frame.taken_ns <= t_ns]
        if before:
            return before[-1]
        return next((frame for frame in self._frames if frame.taken_ns > t_ns), None)

    async def next(self, after_ns: int) -> Frame:
        """Return the newest frame as soon as it was taken after `after_ns`; frames in between are skipped."""
        while True:
            latest = self.latest
            if latest is not None and latest.taken_ns > after_ns:
                return latest
            await self._arrived.wait()

    def _too_much(self, now_ns: int) -> bool:
        return self._bytes > MAX_BYTES or now_ns - self._frames[0].taken_ns > self._buffer_ns

    def _forget(self) -> None:
        self._bytes -= len(self._frames.popleft().jpeg)
