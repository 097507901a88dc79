"""Viewers who read slowly, or not at all: they cost a bounded memory, and what they see is fresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
import re
import resource
import socket
import ssl

import pytest

from pi_bridge import mjpeg

from .doubles import RunningBridge
from .home import Home

FRAME_BYTES = 100_000
RECEIVE_BUFFER = 64 * 1024  # of the viewer's kernel; doubled by it
NUMBER = re.compile(rb"frame (\d+);")


def frame(number: int) -> bytes:
    return b"\xff\xd8 frame %d;" % number + bytes(FRAME_BYTES) + b"\xff\xd9"


@asynccontextmanager
async def viewer(bridge: RunningBridge, home: Home) -> AsyncIterator[asyncio.StreamReader]:
    """Ask for the live picture, and read only what the test reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (bridge.host, bridge.port))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        sock=connection, ssl=context, server_hostname="localhost", limit=1024
    )
    head = f"GET /v1/stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {home.token}\r\n\r\n"
    writer.write(head.encode())
    try:
        yield reader
    finally:
        writer.transport.abort()


async def show(bridge: RunningBridge, first: int, last: int) -> None:
    """Let the camera take frames, as fast as everybody can hear of them."""
    for number in range(first, last + 1):
        bridge.camera.show(frame(number))
        for _ in range(3):
            await asyncio.sleep(0)


def connections() -> set[str]:
    """Return the sockets of this process."""
    files = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return {file for file in files if file.startswith("socket:")}


async def until_seen(reader: asyncio.StreamReader, wanted: int) -> int:
    """Read until the frame comes; return how many bytes came before it."""
    read, tail = 0, b""
    while data := await reader.read(64 * 1024):
        tail = tail[-100:] + data
        if str(wanted).encode() in NUMBER.findall(tail):
            return read
        read += len(data)
    raise AssertionError("the stream ended")


async def test_who_looks_again_sees_now_and_not_then(bridge: RunningBridge, home: Home) -> None:
    async with viewer(bridge, home) as reader:
        bridge.camera.show(frame(0))
        await until_seen(reader, 0)
        await show(bridge, 1, 300)  # 30 MB that nobody reads
        old = await until_seen(reader, 300)
        # What the kernels on the way hold, and the frame that was being sent.
        assert old < 1_000_000


async def test_who_never_looks_costs_next_to_nothing(bridge: RunningBridge, home: Home) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(20):
            reader = await stack.enter_async_context(viewer(bridge, home))
            await reader.read(1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await show(bridge, 1, 300)  # 600 MB in all, for so many
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 60_000  # KiB; three seconds of frames are half of it
        async with home.watch() as fresh:
            part = await fresh.next()
            assert part is not None


async def test_who_never_looks_is_sent_away(
    bridge: RunningBridge, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mjpeg, "WRITE_TIMEOUT_S", 0.2)
    async with viewer(bridge, home) as reader:
        await reader.read(1)
        before = connections()
        await show(bridge, 1, 100)
        async with asyncio.timeout(5):
            while before <= connections():  # noqa: ASYNC110 - the bridge's end is one of them
                await asyncio.sleep(0.05)


async def test_a_connection_that_is_lost_twice_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    class Sender(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport
            transport.write(bytes(8_000_000))

        def resume_writing(self) -> None:
            self.transport.abort()  # as TLS does when it finds here that the viewer has gone

    server = await asyncio.get_running_loop().create_server(Sender, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
    assert not caplog.records
