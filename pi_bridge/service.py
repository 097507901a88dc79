"""The daemon as a whole: one task group in which all parts live. If one fails all end, and systemd starts anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import socket
from typing import Final

from . import certificate as certificates
from .access import Access
from .bridge import Bridge
from .certificate import Certificate
from .clock import SYSTEM_CLOCK
from .config import Config
from .control import Control
from .journal import FILE_NAME, Journal
from .mjpeg import RESEND_S
from .pairing import PressPairing
from .ports import Camera, Clock, FaceFinder, Panel
from .server import Server

WATCHDOG_FALLBACK_S: Final = 3600.0  # nobody watches


@dataclass(frozen=True, slots=True)
class Running:
    """A bridge that answers: where, with which certificate, and whom it lets in."""

    port: int
    certificate: Certificate
    bridge: Bridge
    access: Access


async def serve(
    config: Config,
    panel: Panel,
    camera: Camera,
    faces: FaceFinder,
    ready: Callable[[Running], None] = lambda running: None,
    *,
    resend_s: float = RESEND_S,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Be a doorbell until cancelled; `ready` is called once the bridge answers.

    Starts and closes `panel` and runs `camera`; `faces` stays the caller's. Raises an ExceptionGroup of what failed:
    ConfigError, HardwareError or OSError for what the owner can mend.
    """
    storage = config.storage.path
    journal = Journal(storage / FILE_NAME)
    bridge = Bridge(config, panel, camera, faces, journal, clock=clock)
    try:
        async with asyncio.TaskGroup() as tasks:
            certificate = await asyncio.to_thread(_prepare, storage)
            await journal.open()
            await bridge.start(tasks)
            pairing = PressPairing(lambda: bridge.unclaimed, bridge.invite)

            def pressed(pressed_ns: int) -> None:
                if not pairing.pressed():
                    bridge.ring(pressed_ns)

            panel.start(pressed)
            tasks.create_task(camera.run(bridge.take, bridge.camera_changed))
            tasks.create_task(_tell_when_loaded(faces, bridge))
            access = Access(bridge.clients, config.server.hosts)
            server = Server(config, bridge, access, pairing, certificate, resend_s=resend_s)
            async with server.listening(config.server.host, config.server.port) as port:
                control = Control(bridge, access, pairing, certificate, server, port=port)
                async with control.listening(storage):
                    ready(Running(port, certificate, bridge, access))
                    _tell_systemd("READY=1")
                    await _feed_watchdog(camera, journal)
    finally:
        bridge.outputs.close()
        panel.close()
        await journal.close()


async def until_stopped(work: Awaitable[None]) -> None:
    """Do `work` until SIGTERM or SIGINT; that is a clean end."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
    _tell_systemd("STOPPING=1")


def _prepare(storage: Path) -> Certificate:
    storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    return certificates.load_or_make(storage / "certificate.pem")


async def _tell_when_loaded(faces: FaceFinder, bridge: Bridge) -> None:
    await faces.ready()  # the bell does not wait for the models
    bridge.changed.notify()


async def _feed_watchdog(camera: Camera, journal: Journal) -> None:
    """Show systemd that the loop turns, and that neither the camera's thread nor the journal's is stuck.

    An absent camera and a failing disk are no reason to start anew: the bell rings without them.
    """
    period_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / 2 or WATCHDOG_FALLBACK_S
    while True:
        await journal.answers()
        if camera.alive:
            _tell_systemd("WATCHDOG=1")
        await asyncio.sleep(period_s)


def _tell_systemd(message: str) -> None:
    """Send a line to systemd, if it started us (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
            notify.sendall(message.encode())
