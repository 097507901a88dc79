"""Try everything that a doorbell needs, and say in plain words what is wrong and how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
import ipaddress
from pathlib import Path
import time
from typing import Any, Final
from xml.sax.saxutils import escape

import cv2
import numpy as np

from .camera import Opener, webcams
from .clock import SYSTEM_CLOCK
from .config import AUTO, CameraConfig, Config, ServerConfig
from .control import PLAY_MS, NotRunningError, ask
from .discovery import AVAHI_FILE, own_address
from .doorman import listener_at
from .errors import HardwareError
from .faces import Faces
from .journal import FILE_NAME, damaged_file
from .jpeg import whole
from .model import CameraState, FacesState, Output
from .panel import GpioPanel

FIRST_PICTURE_S: Final = 5.0  # a webcam that starts slowly takes three
CONNECT_TIMEOUT_S: Final = 5.0
BLACK: Final = 32  # of 255; a lens that is covered gives noise, a room at night has something brighter
AVAHI_PID: Final = Path("/run/avahi-daemon/pid")

_LOG: Final = "journalctl -u face-doorbell-bridge"
_RESTART: Final = "sudo systemctl restart face-doorbell-bridge"
_NO_PICTURE: Final = "try another cable or USB port, and a smaller camera.width and camera.height"
_NOTHING_HAPPENS: Final = {
    Output.GREEN: "Dark? The LED is the wrong way round, or on another pin",
    Output.RED: "Dark? The LED is the wrong way round, or on another pin",
    Output.BUZZER: "Silent, or only a click? It is the wrong way round, on another pin, or of the other buzzer.kind",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    text: str


async def findings(config: Config, *, play: bool) -> AsyncIterator[Finding]:
    """Yield what is found out, part by part; with `play`, each output is on for PLAY_MS after its finding.

    Raises NotAllowedError for a user who may not ask the bridge.
    """
    try:
        health = await ask(config.storage.path, "GET", "health")
    except NotRunningError as error:
        yield Finding("bridge", False, f"{error} {_LOG} tells why it ended. All parts are tried without it.")
        parts = _without_bridge(config, play)
    else:
        # The bridge holds pins and camera: it is asked instead of fighting for them.
        yield Finding("bridge", True, f"version {health['version']} is running")
        parts = _with_bridge(config, health, play)
    async for finding in parts:
        yield finding
    yield await _tried("mdns", _announcement(config))


async def _with_bridge(config: Config, health: dict[str, Any], play: bool) -> AsyncIterator[Finding]:
    async def flash(output: Output) -> None:
        await ask(config.storage.path, "POST", "play", output)

    yield _button(config, pressed=health["button"] == "pressed")
    async for finding in _outputs(config, flash if play else None):
        yield finding
    yield await _tried("camera", _camera_of_bridge(config, health))
    yield await _tried("journal", _journal(config, health))
    yield await _tried("faces", _faces(config, FacesState(health["faces"])))
    yield await _tried("clock", _clock(synchronized=health["clock_ok"]))
    yield await _tried("network", _reachable(config))


async def _without_bridge(config: Config, play: bool) -> AsyncIterator[Finding]:
    async def flash(output: Output) -> None:
        panel.write(output, True)
        await asyncio.sleep(PLAY_MS / 1000)
        panel.write(output, False)

    with closing(GpioPanel(config)) as panel:
        try:
            panel.start(lambda _pressed_ns: None)
        except HardwareError as error:
            yield Finding("pins", False, str(error))
        else:
            await asyncio.sleep(0)  # the panel takes its first look at the button
            yield _button(config, pressed=panel.pressed)
            async for finding in _outputs(config, flash if play else None):
                yield finding
    yield await _tried("camera", asyncio.to_thread(_first_picture, config.camera))
    with closing(Faces(enabled=config.faces.enabled)) as faces:
        yield await _tried("faces", _faces(config, await faces.ready()))
    yield await _tried("clock", _clock(synchronized=SYSTEM_CLOCK.synchronized))
    yield await _tried("network", _free_port(config))


async def _tried(part: str, probe: Awaitable[str]) -> Finding:
    try:
        return Finding(part, True, await probe)
    except HardwareError as error:
        return Finding(part, False, str(error))


def _button(config: Config, *, pressed: bool) -> Finding:
    pin, pull = config.button.pin, config.button.pull
    if not pressed:
        return Finding("button", True, f"GPIO{pin} is not pressed")
    touches, other = ("ground", "down") if pull == "up" else ("3.3 V", "up")
    return Finding(
        "button",
        False,
        f"GPIO{pin} is pressed. If nobody does, its wire touches {touches}, or it opens when pressed "
        f'(then set button.pull = "{other}" and connect it to the other side)',
    )


async def _outputs(
    config: Config, flash: Callable[[Output], Awaitable[None]] | None
) -> AsyncIterator[Finding]:
    pins = {Output.GREEN: config.leds.green, Output.RED: config.leds.red, Output.BUZZER: config.buzzer.pin}
    for output, pin in pins.items():
        if flash is None:
            yield Finding(output, True, f"GPIO{pin} can be used; check --play shows what is connected to it")
        else:
            yield Finding(output, True, f"GPIO{pin} is on for half a second now. {_NOTHING_HAPPENS[output]}")
            await flash(output)


def _first_picture(config: CameraConfig) -> str:
    try:
        capture = Opener().open(config)
    except HardwareError as error:
        if config.device != AUTO and (found := sorted(webcams())):
            raise HardwareError(f"{error}. camera.device may be {', '.join(found)}, or {AUTO}") from error
        raise
    try:
        deadline = time.monotonic() + FIRST_PICTURE_S
        while time.monotonic() < deadline:
            data = capture.jpeg() if capture.grab() else None
            picture = whole(data) if data else None
            image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
            if picture and image is not None:
                height, width = image.shape[:2]
                covered = "; it is black: is the lens covered?" if np.percentile(image, 99) < BLACK else ""
                return f"a picture of {width}x{height} pixels and {len(picture) // 1000} kB{covered}"
    finally:
        capture.release()
    raise HardwareError(f"it is plugged in but gives no picture: {_NO_PICTURE}")


async def _camera_of_bridge(config: Config, health: dict[str, Any]) -> str:
    match health["camera"]:
        case CameraState.OK:
            return f"{health['fps']} pictures a second"
        case CameraState.STALLED:
            raise HardwareError(f"it is plugged in but gives no picture: {_NO_PICTURE}")
    # The bridge has none, so it can be tried: what comes of it tells why.
    await asyncio.to_thread(_first_picture, config.camera)
    raise HardwareError(f"it gives pictures, but not to the bridge: {_LOG} says why")


async def _journal(config: Config, health: dict[str, Any]) -> str:
    if health["journal"] != "ok":
        raise HardwareError(f"rings are not stored: is the card full (df -h) or worn? {_LOG} says more")
    damaged = damaged_file(config.storage.path / FILE_NAME)
    aside = (
        f"; {damaged} was damaged and is of no use, but has pictures: delete it" if damaged.exists() else ""
    )
    return f"{health['pending']} rings wait for Home Assistant{aside}"


async def _faces(config: Config, state: FacesState) -> str:
    if not config.faces.enabled:
        return "switched off in the configuration"
    if state is FacesState.OFF:
        raise HardwareError("the face models cannot be loaded: run packaging/install.sh again")
    return "the models are loaded"


async def _clock(*, synchronized: bool) -> str:
    if not synchronized:
        raise HardwareError("the time is not synchronised: is the Pi online? timedatectl says more")
    return "the time is synchronised"


async def _reachable(config: Config) -> str:
    address = _address(config.server)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address, config.server.port)
    except OSError as error:
        raise HardwareError(
            f"the bridge does not answer at {address}, port {config.server.port} ({error}): is server.host right? "
            f"After a change of the configuration: {_RESTART}"
        ) from error
    writer.close()
    return f"the bridge answers at {address}, port {config.server.port}"


async def _free_port(config: Config) -> str:
    address, (host, port) = _address(config.server), (config.server.host, config.server.port)
    try:
        listener_at(host, port).close()
    except OSError as error:
        raise HardwareError(
            f"port {port} of {host} cannot be used ({error}): stop what uses it (ss -ltnp), or choose server.port"
        ) from error
    return f"port {port} is free at {address}"


def _address(config: ServerConfig) -> str:
    """Return the address by which Home Assistant reaches the bridge."""
    host = ipaddress.ip_address(config.host)
    if host.is_loopback:
        raise HardwareError(f'nobody else can reach it at server.host = "{host}": leave that out')
    if not host.is_unspecified:
        return config.host
    try:
        return own_address()
    except OSError as error:
        raise HardwareError(
            f"there is no network ({error}): is the Wi-Fi set up (nmtui), the cable in?"
        ) from error


async def _announcement(config: Config) -> str:
    try:
        announced = await asyncio.to_thread(AVAHI_FILE.read_text, encoding="utf-8")
    except OSError as error:
        raise HardwareError(
            f"Home Assistant will not find the doorbell by itself: {error}. Run packaging/install.sh again"
        ) from error
    if f"name={escape(config.name)}<" not in announced or f"<port>{config.server.port}<" not in announced:
        raise HardwareError("the announced name or port is an old one: run packaging/install.sh again")
    if not AVAHI_PID.exists():
        raise HardwareError("Avahi does not run: sudo systemctl enable --now avahi-daemon")
    return f'announced as "{config.name}"'
