"""One stream of a camera for any number of viewers, each of whom gets the newest frame that there is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
import logging

from .bridge import BridgeError

_LOGGER = logging.getLogger(__name__)

type NextFrame = Callable[[], Awaitable[bytes | None]]


class LiveView:
    """Opens the stream for the first viewer and closes it after the last one."""

    def __init__(self, open_stream: Callable[[], AsyncGenerator[bytes]]) -> None:
        """Take what opens the stream."""
        self._open_stream = open_stream
        self._viewers = 0
        self._upstream: asyncio.Task[None] | None = None
        self._frame: bytes | None = None
        self._number = 0
        self._news = asyncio.Event()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[NextFrame]:
        """Give a function that waits for a frame newer than its last one; it returns None at the end of the stream."""
        seen = 0
        if self._upstream is None:
            seen = self._number
            self._upstream = asyncio.create_task(self._run(), name="camera stream")
        mine = self._upstream

        async def next_frame() -> bytes | None:
            nonlocal seen
            while self._number == seen and self._upstream is mine:
                await self._news.wait()
            if self._upstream is not mine:
                return None
            seen = self._number
            return self._frame

        self._viewers += 1
        try:
            yield next_frame
        finally:
            self._viewers -= 1
            if not self._viewers:
                self.close()

    def close(self) -> None:
        """End the stream for all who watch it; who comes next opens another one."""
        if self._upstream:
            self._upstream.cancel()
            self._upstream = None
            self._announce()

    async def _run(self) -> None:
        try:
            async with aclosing(self._open_stream()) as frames:
                async for self._frame in frames:
                    self._number += 1
                    self._announce()
        except BridgeError as err:
            _LOGGER.debug("The camera stream ended: %s", err)
        finally:
            if self._upstream is asyncio.current_task():
                self._upstream = None
                self._announce()

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
