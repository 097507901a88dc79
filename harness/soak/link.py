"""The network between the door and the household: a relay on loopback that can be cut, stall, or be down."""

import asyncio
from collections.abc import Callable
import contextlib
from typing import Self

CHUNK = 64 * 1024


class Link:
    """Relays TCP connections from `port` to `target`; use it as an async context manager."""

    def __init__(self) -> None:
        """Begin with a network that works and leads nowhere."""
        self.target = 0
        self.down = False
        self._relays: set[_Relay] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        self.cut()

    @property
    def port(self) -> int:
        """Where the household finds the door."""
        if self._server is None:
            raise RuntimeError("the link is not there yet")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Reset every connection."""
        for relay in list(self._relays):
            relay.abort()

    def stall(self) -> Callable[[], None]:
        """Let what is connected now hear nothing more, without a word; returns how to end that."""
        stalled = list(self._relays)
        for relay in stalled:
            relay.flows.clear()

        def resume() -> None:
            for relay in stalled:
                relay.flows.set()

        return resume

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        relay = _Relay((reader, writer), there)
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)


type _Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Relay:
    """One connection of each side."""

    def __init__(self, here: _Stream, there: _Stream) -> None:
        self._here, self._there = here, there
        self.flows = asyncio.Event()
        self.flows.set()

    async def run(self) -> None:
        """Relay until either side ends, and end the other one."""
        pumps = [
            asyncio.ensure_future(self._pump(self._here[0], self._there[1])),
            asyncio.ensure_future(self._pump(self._there[0], self._here[1])),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        self.flows.set()
        for _, writer in (self._here, self._there):
            writer.close()  # what was sent before still arrives
        await asyncio.wait(pumps)

    def abort(self) -> None:
        """Reset both sides."""
        self.flows.set()
        for _, writer in (self._here, self._there):
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
