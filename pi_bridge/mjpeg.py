"""The live picture: one viewer of `multipart/x-mixed-replace`, who gets the newest frame and never an older one."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from aiohttp import web

from .frames import Frames
from .model import Frame

BOUNDARY: Final = "frame"
RESEND_S: Final = 5.0  # Home Assistant's proxy gives a stream up after 10 s of silence
WRITE_TIMEOUT_S: Final = 10.0  # a viewer who takes no byte for so long is gone
UNSENT_BYTES: Final = 16 * 1024  # without this the kernel queues seconds of old frames for a slow viewer
TCP_NOTSENT_LOWAT: Final = 25  # linux/tcp.h; Python has had the name since 3.12 only


async def stream(request: web.Request, frames: Frames, *, resend_s: float = RESEND_S) -> web.StreamResponse:
    """Send frames until the viewer has gone, and the last one again when none comes for `resend_s` seconds."""
    response = web.StreamResponse(headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"})
    response.headers["Cache-Control"] = "no-store"
    _keep_queue_short(request)
    try:
        await response.prepare(request)
        frame = await frames.next(None)
        await _send(response, frame)  # twice: Chrome shows a picture only when the next one comes
        while True:
            await _send(response, frame)
            try:
                async with asyncio.timeout(resend_s):
                    frame = await frames.next(frame)
            except TimeoutError:
                continue
    except (ConnectionError, _ViewerStuckError):
        return response


class _ViewerStuckError(Exception):
    """The viewer's connection takes no more bytes."""


async def _send(response: web.StreamResponse, frame: Frame) -> None:
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame.jpeg)}\r\n\r\n"
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(b"".join((head.encode("ascii"), frame.jpeg, b"\r\n")))
    except TimeoutError as error:
        raise _ViewerStuckError from error


def _keep_queue_short(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    transport.set_write_buffer_limits(high=UNSENT_BYTES)  # TLS buffers half a megabyte by default
