"""The live picture: what 50 viewers cost, how old a slow one's picture is, and what those cost who never read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
import json
import math
from pathlib import Path
import socket
import ssl
import statistics
import sys
import time
from typing import Final

import aiohttp
from aiohttp import web

from custom_components.face_doorbell.bridge import BridgeClient
from pi_bridge.certificate import load_or_make
from pi_bridge.frames import Frames
from pi_bridge.model import Frame

from ..kernel import cpu_s, memory_mb
from . import door
from .measure import Measure

VIEWERS: Final = 50  # a household with every tablet on
STUCK: Final = 10  # of those who never read: the bridge sends them away after ten seconds, and they come back
SLOW_FPS: Final = 3  # that a poor Wi-Fi carries
LINK_BYTES: Final = 32 * 1024  # on their way over it
LATE_S: Final = 0.1  # that a busy machine may make it late, and that it makes up for
WATCH_S: Final = 8.0
FAST_S: Final = 5.0
SLOW_S: Final = 20.0
WARM_UP_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a live picture is."""

    port: int
    path: str
    token: str = ""


async def measure(folder: Path) -> list[Measure]:
    """Return CPU, ages and memory."""
    async with _door(folder / "door") as (pid, source):
        idle_mb, idle_cpu = memory_mb(pid), await _cpu_percent(pid)
        async with _viewers(source, 1):
            one_cpu = await _cpu_percent(pid)
        async with _viewers(source, VIEWERS):
            all_cpu = await _cpu_percent(pid)
            all_mb = memory_mb(pid)
        fast = await _ages(source, FAST_S)
        async with (
            _plain_server(folder / "plain", source) as plain,
            _slow_link(source) as slowly,
            _slow_link(plain) as plain_slowly,
            _stuck(source),
        ):
            slow, plain_slow = await asyncio.gather(_ages(slowly, SLOW_S), _ages(plain_slowly, SLOW_S))
            stuck_mb = memory_mb(pid)
    a_core, without = "% of a core", "without viewers"
    alone = "with aiohttp alone"
    return [
        Measure("1 viewer at 15 fps of 100 kB", one_cpu, "%", 15, idle_cpu, without),
        Measure(f"{VIEWERS} viewers, {a_core}", all_cpu, "%", 60, idle_cpu, without),
        Measure(f"{VIEWERS} viewers, memory", all_mb, "MB", idle_mb + 60, idle_mb, without),
        Measure("picture of a viewer who keeps up, age", statistics.median(fast), "ms", 100),
        Measure(
            f"picture over a link for {SLOW_FPS} fps, age",
            statistics.median(slow),
            "ms",
            600,
            statistics.median(plain_slow),
            alone,
        ),
        Measure(
            f"picture over a link for {SLOW_FPS} fps, oldest",
            max(slow),
            "ms",
            1200,
            max(plain_slow),
            alone,
        ),
        Measure(f"{STUCK} viewers who never read, memory", stuck_mb, "MB", idle_mb + 60, idle_mb, without),
    ]


@asynccontextmanager
async def _door(folder: Path) -> AsyncIterator[tuple[int, Source]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        door.__name__,
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a pipe was asked for")
    try:
        hello = json.loads(await process.stdout.readline())
        async with aiohttp.ClientSession() as session:
            info = await BridgeClient.get_info(session, "127.0.0.1", hello["port"])
            client = BridgeClient(session, "127.0.0.1", hello["port"], info.fingerprint)
            token = (await client.pair(hello["code"], "Bench")).token
        yield process.pid, Source(hello["port"], "/v1/stream.mjpg", token)
    finally:
        process.stdin.close()
        await process.wait()


async def _cpu_percent(pid: int) -> float:
    await asyncio.sleep(WARM_UP_S)
    used, began = cpu_s(pid), time.monotonic()
    await asyncio.sleep(WATCH_S)
    return (cpu_s(pid) - used) / (time.monotonic() - began) * 100


# Viewers


@asynccontextmanager
async def _open(source: Source) -> AsyncIterator[asyncio.StreamReader]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", source.port, ssl=context, server_hostname="localhost"
    )
    head = f"GET {source.path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {source.token}\r\n\r\n"
    writer.write(head.encode())
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"no live picture: {status!r}")
        yield reader
    finally:
        writer.transport.abort()


async def _pictures(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the JPEGs, none of which has a marker of its end within."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            await reader.readuntil(b"Content-Length: ")
            length = int(await reader.readline())
            await reader.readline()
            yield await reader.readexactly(length)


async def _ages(source: Source, watch_s: float) -> list[float]:
    """Return how old each picture is when it has arrived, in milliseconds."""
    ages = []
    began = time.monotonic()
    async with _open(source) as reader:
        async for jpeg in _pictures(reader):
            if time.monotonic() - began > watch_s:
                break
            if time.monotonic() - began > WARM_UP_S:
                ages.append((time.monotonic_ns() - door.taken_ns(jpeg)) / 1e6)
    return ages


@asynccontextmanager
async def _viewers(source: Source, number: int) -> AsyncIterator[None]:
    """Let so many read all that comes."""

    async def watch(reader: asyncio.StreamReader) -> None:
        while await reader.read(1 << 20):
            pass

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        readers = [await stack.enter_async_context(_open(source)) for _ in range(number)]
        watching = [tasks.create_task(watch(reader)) for reader in readers]
        yield
        for task in watching:
            task.cancel()


@asynccontextmanager
async def _stuck(source: Source) -> AsyncIterator[None]:
    """Let some ask and never read, and ask again when they are sent away."""

    async def ask() -> None:
        while True:
            async with _open(source):
                await asyncio.sleep(WATCH_S)

    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask()) for _ in range(STUCK)]
        yield
        for task in asking:
            task.cancel()


@asynccontextmanager
async def _slow_link(source: Source) -> AsyncIterator[Source]:
    """Carry one viewer's bytes no faster than SLOW_FPS; what waits for that waits at the sender's side."""
    loop = asyncio.get_running_loop()
    near, far = socket.create_server(("127.0.0.1", 0)), socket.socket()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LINK_BYTES)
    for each in (near, far):
        each.setblocking(False)

    async def carry() -> None:
        viewer, _ = await loop.sock_accept(near)
        with viewer:
            await loop.sock_connect(far, ("127.0.0.1", source.port))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pump(viewer, far))
                tasks.create_task(pump(far, viewer, SLOW_FPS * door.FRAME_BYTES))

    async def pump(here: socket.socket, there: socket.socket, bytes_per_s: float = math.inf) -> None:
        due = time.monotonic()
        while data := await loop.sock_recv(here, 8 * 1024):
            due = max(due, time.monotonic() - LATE_S) + len(data) / bytes_per_s
            await asyncio.sleep(due - time.monotonic())
            await loop.sock_sendall(there, data)

    carrying = asyncio.create_task(carry())
    with near, far:
        try:
            yield replace(source, port=near.getsockname()[1])
        finally:
            carrying.cancel()
            await asyncio.wait([carrying])


# The baseline


@asynccontextmanager
async def _plain_server(folder: Path, source: Source) -> AsyncIterator[Source]:
    """Pass the same pictures on, the newest always, with nothing but aiohttp's own care for a slow viewer."""
    frames = Frames(0)

    async def take() -> None:
        async with _open(source) as reader:
            async for jpeg in _pictures(reader):
                frames.add(Frame(jpeg, door.taken_ns(jpeg)))

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        taken_ns = 0
        with suppress(ConnectionError):
            while True:
                frame = await frames.next(taken_ns)
                taken_ns = frame.taken_ns
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame.jpeg)}\r\n\r\n"
                await response.write(head.encode() + frame.jpeg + b"\r\n")
        return response

    await asyncio.to_thread(folder.mkdir)
    certificate = await asyncio.to_thread(load_or_make, folder / "certificate.pem")
    application = web.Application()
    application.router.add_get("/", stream)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    taking = asyncio.create_task(take())
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context)
        await site.start()
        yield Source(runner.addresses[0][1], "/")
    finally:
        taking.cancel()
        await runner.cleanup()
