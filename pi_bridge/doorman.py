"""Who may keep a connection: clients as long as they like, strangers a few at a time and not for long.

Without this, somebody who opens connections and says nothing, or says it very slowly, would use up the process's files,
and Home Assistant could not come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
import logging
import socket
import ssl
from typing import Final

_LOGGER: Final = logging.getLogger(__name__)

STRANGER_S: Final = 10.0  # many times a handshake and a request over a poor Wi-Fi
STRANGERS: Final = 64
STRANGERS_PER_ADDRESS: Final = 16  # so that one address alone cannot take all places
BACKLOG: Final = 128
IP_FREEBIND: Final = 15  # linux/in.h; Python does not name it
OUT_OF_FILES_S: Final = 1.0  # before looking whether there are some again


def listener_at(host: str, port: int, *, ours: bool = True) -> socket.socket:
    """Return a socket that listens at an IP address; "::" is all of IPv6 and of IPv4. Raises OSError.

    Without `ours` the machine need not have the address yet: a bell rings before there is a network.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, not ours)
        if listener.family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}: address {host}, port {port}") from error
    return listener


@dataclass(eq=False, slots=True)
class _Stranger:
    """A connection of somebody who has not shown a token yet."""

    address: str
    transport: asyncio.Transport | None = None
    known: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def gone(self) -> bool:
        return self.transport is not None and self.transport.is_closing()


class Doorman:
    """Accepts TLS connections for a server's protocol."""

    def __init__(self, context: ssl.SSLContext, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Give each connection a new `protocol`, after its TLS handshake."""
        self._context = context
        self._protocol = protocol
        self._strangers: dict[asyncio.Task[None], _Stranger] = {}  # the oldest first

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Accept within this context; yields the port. Raises OSError when the port cannot be used."""
        with closing(listener_at(host, port, ours=False)) as listener:
            listener.setblocking(False)
            async with asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(self._accept(listener))
                try:
                    yield listener.getsockname()[1]
                finally:
                    accepting.cancel()
                    for task in self._strangers:
                        task.cancel()
                    if self._strangers:
                        await asyncio.wait(self._strangers)

    def vouch(self, transport: asyncio.BaseTransport | None) -> None:
        """Let a connection stay: it has shown that it is a client's."""
        for stranger in self._strangers.values():
            if stranger.transport is transport:
                stranger.known.set()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        told = False
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # gone before it was there
            except OSError as error:
                if not told:
                    _LOGGER.warning("No connection can be accepted: %s", error)
                told = True
                await asyncio.sleep(OUT_OF_FILES_S)
                continue
            told = False
            self._make_room(address[0])
            stranger = _Stranger(address[0])
            task = asyncio.create_task(self._admit(connection, stranger))
            self._strangers[task] = stranger
            task.add_done_callback(self._strangers.pop)

    def _make_room(self, address: str) -> None:
        """Send the oldest stranger away where there are too many; so a new one always has a chance."""
        for task, stranger in self._strangers.items():
            if stranger.gone:
                task.cancel()
        here = [(task, each.address) for task, each in self._strangers.items() if not task.cancelling()]
        neighbours = [task for task, neighbour in here if neighbour == address]
        if len(neighbours) >= STRANGERS_PER_ADDRESS:
            neighbours[0].cancel()
        elif len(here) >= STRANGERS:
            here[0][0].cancel()

    async def _admit(self, connection: socket.socket, stranger: _Stranger) -> None:
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):  # no TLS, or gone, or too slow
                async with asyncio.timeout(STRANGER_S):
                    stranger.transport, _ = await loop.connect_accepted_socket(
                        self._protocol, connection, ssl=self._context, ssl_handshake_timeout=STRANGER_S
                    )
                    await stranger.known.wait()
        finally:
            if stranger.transport is not None and not stranger.known.is_set():
                stranger.transport.abort()
