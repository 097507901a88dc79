"""The command line: run the doorbell, simulate one, and what its owner does on the Pi.

Each command imports what it needs: on a Pi the server takes seconds to load, and `outputs-off` is in a hurry.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
import logging
import os
from pathlib import Path
import socket
import sys
from typing import TYPE_CHECKING, Final

from . import __version__, config as configuration
from .config import Config
from .errors import BridgeError, ConfigError

if TYPE_CHECKING:
    from .service import Running

PROGRAM: Final = "face-doorbell-bridge"
PAGE_PORT: Final = 8468
MAX_PORT: Final = 65535
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
    from .camera import Webcam
    from .faces import Faces
    from .panel import GpioPanel
    from .service import serve, until_stopped

    _log()
    with closing(Faces(enabled=config.faces.enabled)) as faces:
        await until_stopped(serve(config, GpioPanel(config), Webcam(config.camera), faces))
    return 0


async def _simulate(config: Config, options: argparse.Namespace) -> int:
    from .discovery import announced
    from .faces import Faces
    from .service import serve, until_stopped
    from .simulator import Simulator

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


async def _pair(config: Config, options: argparse.Namespace) -> int:
    from .control import ask

    if options.press:
        answer = await ask(config.storage.path, "POST", "pair", "press")
        _say("Within the next 2 minutes: choose in Home Assistant to press the doorbell, then press it.")
    else:
        answer = await ask(config.storage.path, "POST", "pair")
        _say(f"Pairing code  {answer['code']}   (for the next 5 minutes, works once)")
    _say(f"Address       {socket.gethostname()}.local, port {answer['port']}")
    _say(f"Fingerprint   {answer['fingerprint']}")
    return 0


async def _renew_certificate(config: Config, _options: argparse.Namespace) -> int:
    from .control import ask

    answer = await ask(config.storage.path, "POST", "certificate")
    _say("The doorbell has a new certificate: pair every client again.")
    _say(f"Fingerprint   {answer['fingerprint']}")
    return 0


async def _clients(config: Config, _options: argparse.Namespace) -> int:
    from .control import ask

    clients = await ask(config.storage.path, "GET", "clients")
    for client in clients:
        _say(f"{client['name']}   paired {client['created']}, last here {client['last_seen']}")
    if not clients:
        _say(f"Nobody is paired. {PROGRAM} pair prints a code.")
    return 0


async def _revoke(config: Config, options: argparse.Namespace) -> int:
    from .control import ask

    await ask(config.storage.path, "DELETE", "clients", options.name)
    _say(f"{options.name} is no longer let in.")
    return 0


async def _check(config: Config, options: argparse.Namespace) -> int:
    from .check import findings

    _say(configuration.describe(config))
    all_ok = True
    async for finding in findings(config, play=options.play):
        _say(f"{finding.part:8} {'ok' if finding.ok else 'NOT OK'}: {finding.text}")
        all_ok &= finding.ok
    return 0 if all_ok else FAILED


async def _outputs_off(config: Config, _options: argparse.Namespace) -> int:
    from .panel import GpioPanel

    GpioPanel(config).switch_off()
    return 0


async def _avahi(config: Config, _options: argparse.Namespace) -> int:
    from .certificate import load_or_make
    from .discovery import avahi_service

    bridge_id = load_or_make(config.storage.path / "certificate.pem").bridge_id
    _say(avahi_service(config.name, bridge_id, config.server.port))
    return 0


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
    simulate.add_argument("--port", type=_port, help="the port of the doorbell")
    simulate.add_argument(
        "--page-port", type=_port, default=PAGE_PORT, help=f"the port of the page (default: {PAGE_PORT})"
    )
    simulate.add_argument(
        "--advertise", action="store_true", help="announce it in the network, and listen there too"
    )
    pair = add("pair", _pair, "let one client pair within the next five minutes, with a code")
    pair.add_argument(
        "--press", action="store_true", help="instead of a code, within two minutes the doorbell is pressed"
    )
    add("clients", _clients, "show who is paired")
    add("revoke", _revoke, "no longer let a client in").add_argument("name")
    add("renew-certificate", _renew_certificate, "make a new certificate; every client has to pair again")
    check = add("check", _check, "show the configuration, try every part, and say how to mend what is wrong")
    check.add_argument("--play", action="store_true", help="light each LED and sound the buzzer, too")
    add("outputs-off", _outputs_off, "switch off what a bridge that died has left on; systemd calls it")
    add("avahi", _avahi, "print the file by which Avahi announces the doorbell; install.sh calls it")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 (any free port) to {MAX_PORT}")
    return int(text)


def _state_folder() -> Path:
    """Return where the simulator keeps its state (XDG base directories)."""
    return (
        Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "face-doorbell-simulator"
    )


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
