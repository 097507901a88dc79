"""The live picture: one viewer of `multipart/x-mixed-replace`, who gets the newest frame and never an older one."""

from __future__ import annotations

import asyncio
from fcntl import ioctl
import socket
import sys
from typing import Final

from aiohttp import web

from .frames import Frames
from .model import Frame

BOUNDARY: Final = "frame"
RESEND_S: Final = 5.0  # Home Assistant's proxy gives a stream up after 10 s of silence
WRITE_TIMEOUT_S: Final = 10.0  # a viewer who takes no byte for so long is gone
UNSENT_BYTES: Final = 16 * 1024  # without this the kernel queues seconds of old frames for a slow viewer
TCP_NOTSENT_LOWAT: Final = 25  # linux/tcp.h; Python has had the name since 3.12 only
SIOCOUTQNSD: Final = 0x894B  # linux/sockios.h: how many bytes of a TCP connection have not been sent yet
LOOK_AGAIN_S: Final = 0.01  # nothing tells when they have; a picture is young if it is late by this


async def stream(request: web.Request, frames: Frames, *, resend_s: float = RESEND_S) -> web.StreamResponse:
    """Send frames until the viewer has gone, and the last one again when none comes for `resend_s` seconds."""
    response = web.StreamResponse(headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"})
    response.headers["Cache-Control"] = "no-store"
    try:
        connection = _with_short_queue(request)
        await response.prepare(request)
        frame = await frames.next(0)
        await _send(response, connection, frame)  # twice: Chrome shows a picture only when the next one comes
        while True:
            await _send(response, connection, frame)
            try:
                async with asyncio.timeout(resend_s):
                    frame = await frames.next(frame.taken_ns)
            except TimeoutError:
                continue
    except ConnectionError:
        return response
    except _ViewerStuckError:
        # Ending in good order would wait for the viewer to take what is on its way, for ever.
        if request.transport is not None:
            request.transport.abort()
        return response


class _ViewerStuckError(Exception):
    """The viewer's connection takes no more bytes."""


async def _send(response: web.StreamResponse, connection: socket.socket, frame: Frame) -> None:
    """Return when the frame is on its way: TLS and transport hold one more, which would be old when its turn came."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame.jpeg)}\r\n\r\n"
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(b"".join((head.encode("ascii"), frame.jpeg, b"\r\n")))
            while _unsent(connection):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError as error:
        raise _ViewerStuckError from error


def _unsent(connection: socket.socket) -> int:
    """Return how many bytes the kernel has not sent yet; none when the connection is lost."""
    if connection.fileno() < 0:
        return 0
    return int.from_bytes(ioctl(connection, SIOCOUTQNSD, bytes(4)), sys.byteorder)


def _with_short_queue(request: web.Request) -> socket.socket:
    """Return the connection of a request, in which next to nothing waits from now on; raises ConnectionError."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    transport.set_write_buffer_limits(high=UNSENT_BYTES)  # TLS buffers half a megabyte by default
    return connection
