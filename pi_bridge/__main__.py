"""The command line: run the doorbell, simulate one, and what its owner does on the Pi."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
import logging
import os
from pathlib import Path
import socket
import sys
from typing import Any, Final

from . import __version__, config as configuration
from .config import Config
from .control import NotRunningError, ask
from .discovery import announced
from .errors import BridgeError, ConfigError, HardwareError
from .faces import Faces
from .model import FacesState
from .service import Running, serve, until_stopped

PROGRAM: Final = "face-doorbell-bridge"
PAGE_PORT: Final = 8468
FIRST_FRAME_S: Final = 5.0  # a webcam that starts slowly takes three
FAILED: Final = 1
WRONG_CONFIG: Final = 2  # the unit does not start anew on this one: it would not get better by itself

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - what `--advertise` is for


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code; every failure that can be mended is one line."""
    options = _parser().parse_args(arguments)
    try:
        config = configuration.load(options.config)
        if options.state is not None:
            config = replace(config, storage=replace(config.storage, path=options.state.absolute()))
        code: int = asyncio.run(options.command(config, options))
    except (BridgeError, OSError) as error:
        return _complain([error])
    except BaseExceptionGroup as group:
        ours, others = group.split((BridgeError, OSError))
        if ours is None or others is not None:
            raise
        return _complain(_leaves(ours))
    return code


async def _run(config: Config, _options: argparse.Namespace) -> int:
    # OpenCV and gpiozero take a second to load on a Pi, and the other commands need neither.
    from .camera import Webcam  # noqa: PLC0415
    from .panel import GpioPanel  # noqa: PLC0415

    _log()
    with closing(Faces(enabled=config.faces.enabled)) as faces:
        await until_stopped(serve(config, GpioPanel(config), Webcam(config.camera), faces))
    return 0


async def _simulate(config: Config, options: argparse.Namespace) -> int:
    from .simulator import Simulator  # noqa: PLC0415

    _log()
    if options.state is None:
        config = replace(config, storage=replace(config.storage, path=_state_folder()))
    host = EVERYWHERE if options.advertise else LOOPBACK
    port = config.server.port if options.port is None else options.port
    config = replace(config, server=replace(config.server, host=host, port=port))
    simulator = Simulator(config, options.photos or options.video, options.page_port)

    async def live() -> None:
        started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
            tasks.create_task(serve(config, simulator.panel, simulator.camera, faces, started.set_result))
            running = await started
            page = await stack.enter_async_context(simulator.listening())
            if options.advertise:
                bridge_id = running.certificate.bridge_id
                await stack.enter_async_context(announced(config.name, bridge_id, running.port))
            _say(f"Doorbell      {host if host == LOOPBACK else socket.gethostname()}, port {running.port}")
            _say(f"Page          {page}")
            _say(f"Pairing code  {running.access.open_pairing()}")
            _say(f"Fingerprint   {running.certificate.short_fingerprint}")
            await asyncio.get_running_loop().create_future()

    with closing(Faces(enabled=config.faces.enabled)) as faces:
        await until_stopped(live())
    return 0


async def _pair(config: Config, _options: argparse.Namespace) -> int:
    answer = await ask(config.storage.path, "POST", "pair")
    _say(f"Pairing code  {answer['code']}   (for the next 5 minutes, works once)")
    _say(f"Address       {socket.gethostname()}.local, port {answer['port']}")
    _say(f"Fingerprint   {answer['fingerprint']}")
    return 0


async def _clients(config: Config, _options: argparse.Namespace) -> int:
    clients = await ask(config.storage.path, "GET", "clients")
    for client in clients:
        _say(f"{client['name']}   paired {client['created']}, last here {client['last_seen']}")
    if not clients:
        _say(f"Nobody is paired. {PROGRAM} pair prints a code.")
    return 0


async def _revoke(config: Config, options: argparse.Namespace) -> int:
    await ask(config.storage.path, "DELETE", "clients", options.name)
    _say(f"{options.name} is no longer let in.")
    return 0


async def _check(config: Config, _options: argparse.Namespace) -> int:
    _say(configuration.describe(config).rstrip())
    try:
        health = await ask(config.storage.path, "GET", "health")
    except NotRunningError:
        probes: dict[str, Awaitable[str]] = {"pins": _probe_pins(config), "camera": _probe_camera(config)}
    else:
        # The daemon holds pins and camera: ask it instead of fighting for them.
        probes = {"bridge": _from_health(health, "journal"), "camera": _from_health(health, "camera")}
    probes["faces"] = _probe_faces(config)
    results = [await _probed(what, probe) for what, probe in probes.items()]
    return 0 if all(results) else FAILED


async def _probed(what: str, probe: Awaitable[str]) -> bool:
    try:
        _say(f"{what:8} ok: {await probe}")
    except HardwareError as error:
        _say(f"{what:8} NOT OK: {error}")
        return False
    return True


async def _probe_pins(config: Config) -> str:
    from .panel import GpioPanel  # noqa: PLC0415

    panel = GpioPanel(config)
    panel.start(lambda _pressed_ns: None)
    panel.close()
    leds, button, buzzer = config.leds, config.button, config.buzzer
    return f"button {button.pin}, buzzer {buzzer.pin}, green {leds.green}, red {leds.red} (BCM)"


async def _probe_camera(config: Config) -> str:
    from .camera import open_v4l2  # noqa: PLC0415

    def first_picture() -> int:
        capture = open_v4l2(config.camera)
        try:
            picture = capture.jpeg() if capture.grab() else None
        finally:
            capture.release()
        if picture is None:
            raise HardwareError("the camera is there but gives no picture: try another cable, port or size")
        return len(picture)

    size = await asyncio.to_thread(first_picture)
    return f"a picture of {size // 1000} kB"


async def _probe_faces(config: Config) -> str:
    if not config.faces.enabled:
        return "switched off in the configuration"
    with closing(Faces()) as faces:
        if await faces.ready() is FacesState.OFF:
            raise HardwareError(
                f"the face models cannot be loaded: reinstall the package (version {_installed()})"
            )
    return "the models are loaded"


async def _from_health(health: dict[str, Any], part: str) -> str:
    if health[part] != "ok":
        raise HardwareError(f"{part} {health[part]}; journalctl -u {PROGRAM} says more")
    return f"{part} of the running bridge (version {health['version']})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The doorbell on the Raspberry Pi.")
    parser.add_argument("--version", action="version", version=__version__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, help=f"the configuration (default: {configuration.DEFAULT_PATH})"
    )
    common.add_argument("--state", type=Path, metavar="DIR", help="the folder of journal and certificate")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Callable[..., Awaitable[int]], meaning: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=meaning, description=meaning)
        added.set_defaults(command=command)
        return added

    add("run", _run, "be the doorbell")
    simulate = add("simulate", _simulate, "be a doorbell without hardware, with a page to press the button")
    picture = simulate.add_mutually_exclusive_group(required=True)
    picture.add_argument("--photos", type=Path, metavar="DIR", help="who may stand at the door")
    picture.add_argument("--video", type=Path, metavar="FILE", help="what the camera sees")
    simulate.add_argument("--port", type=int, help="the port of the doorbell")
    simulate.add_argument("--page-port", type=int, default=PAGE_PORT, help=f"the page (default: {PAGE_PORT})")
    simulate.add_argument(
        "--advertise", action="store_true", help="announce it in the network, and listen there too"
    )
    add("pair", _pair, "let one client pair within the next five minutes")
    add("clients", _clients, "show who is paired")
    add("revoke", _revoke, "no longer let a client in").add_argument("name")
    add("check", _check, "show the configuration and try pins, camera and face models")
    return parser


def _state_folder() -> Path:
    """Return where the simulator keeps its state (XDG base directories)."""
    return (
        Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "face-doorbell-simulator"
    )


def _installed() -> str:
    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return __version__


def _log() -> None:
    """Log to stderr; on the Pi, journald adds the time."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the owner asked for


def _complain(errors: Sequence[BaseException]) -> int:
    for error in errors:
        for line in str(error).splitlines():
            print(f"{PROGRAM}: {line}", file=sys.stderr)  # noqa: T201
    return WRONG_CONFIG if any(isinstance(error, ConfigError) for error in errors) else FAILED


def _leaves(group: BaseExceptionGroup[BaseException]) -> Sequence[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


if __name__ == "__main__":
    sys.exit(main())
