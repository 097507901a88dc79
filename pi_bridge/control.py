"""The owner's door: a Unix socket that only the daemon's user and root can open, for the command line on the Pi."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import errno
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp import web
from yarl import URL

from .access import Access
from .bridge import Bridge
from .certificate import Certificate
from .errors import BridgeError, JournalError, Refused
from .model import Pattern, iso_utc
from .pairing import PressPairing
from .server import SHUTDOWN_S, Server

SOCKET_NAME: Final = "control.sock"
ANSWER_TIMEOUT_S: Final = 5.0
MAX_PATH_BYTES: Final = 107  # unix(7)
PLAY_MS: Final = 500  # long enough to be seen and heard


class NotRunningError(BridgeError):
    """No daemon answers at the socket."""


class NotAllowedError(BridgeError):
    """The daemon's owner and root may ask it, but not this user."""


class Control:
    """Answers the owner."""

    def __init__(
        self,
        bridge: Bridge,
        access: Access,
        pairing: PressPairing,
        certificate: Certificate,
        server: Server,
        *,
        port: int,
    ) -> None:
        self._bridge = bridge
        self._access = access
        self._pairing = pairing
        self._certificate = certificate
        self._server = server
        self._port = port

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """Serve within this context; raises OSError when the socket cannot be made."""
        path = folder / SOCKET_NAME
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise OSError(f"{folder}: the path of the storage is too long for a socket")
        application = web.Application()
        application.add_routes(
            [
                web.post("/pair", self._pair),
                web.post("/pair/press", self._pair_by_press),
                web.post("/certificate", self._renew_certificate),
                web.get("/clients", self._clients),
                web.delete("/clients/{name}", self._revoke),
                web.get("/health", self._health),
                web.post("/play/{output}", self._play),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            before = os.umask(0o177)  # the socket is born with its rights
            try:
                await web.UnixSite(runner, path).start()
            finally:
                os.umask(before)
            yield
        finally:
            await runner.cleanup()
            path.unlink(missing_ok=True)

    async def _pair(self, request: web.Request) -> web.Response:
        return web.json_response({"code": self._access.open_pairing(), **self._who()})

    async def _pair_by_press(self, request: web.Request) -> web.Response:
        self._pairing.open()
        return web.json_response(self._who())

    async def _renew_certificate(self, request: web.Request) -> web.Response:
        try:
            self._certificate.renew()
        except OSError as error:
            return web.json_response({"message": f"The certificate cannot be written: {error}"}, status=503)
        self._server.send_all_away()
        return web.json_response(self._who())

    def _who(self) -> dict[str, Any]:
        return {
            "port": self._port,
            "id": self._certificate.bridge_id,
            "fingerprint": self._certificate.short_fingerprint,
        }

    async def _clients(self, request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "name": client.name,
                    "created": iso_utc(client.created),
                    "last_seen": iso_utc(client.last_seen),
                    "acked_seq": client.acked_seq,
                }
                for client in self._bridge.clients.values()
            ]
        )

    async def _revoke(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        hashes = [client.token_hash for client in self._bridge.clients.values() if client.name == name]
        try:
            for token_hash in hashes:
                await self._server.revoke(token_hash)
        except JournalError as error:
            return web.json_response({"message": f"The journal cannot be written: {error}"}, status=503)
        if not hashes:
            return web.json_response({"message": f'There is no client named "{name}".'}, status=404)
        return web.Response(status=204)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response(self._server.health())

    async def _play(self, request: web.Request) -> web.Response:
        """Switch an output on for PLAY_MS, and answer when it is over."""
        try:
            self._bridge.outputs.play(request.match_info["output"], Pattern.ON, PLAY_MS)
        except Refused as refused:
            return web.json_response({"message": refused.message}, status=refused.status)
        await asyncio.sleep(PLAY_MS / 1000)
        return web.Response(status=204)


async def ask(folder: Path, method: str, *path: str) -> Any:
    """Ask the running daemon.

    Raises NotRunningError, NotAllowedError, and BridgeError with the daemon's message when it refuses.
    """
    socket_path = folder / SOCKET_NAME
    url = URL("http://localhost/" + "/".join(quote(part, safe="") for part in path), encoded=True)
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    connector = aiohttp.UnixConnector(str(socket_path))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, url) as response,
        ):
            answer: Any = await response.json() if response.content_length else None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise NotAllowedError(f"You are not allowed to ask the bridge at {folder}: try sudo") from error
        raise NotRunningError(f"No bridge answers at {socket_path}: is it running?") from error
    if not response.ok:
        raise BridgeError(answer["message"])
    return answer
