"""HTTPS for Home Assistant: every route of docs/protocol.md. All routes want a token but those that say otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
import json
import logging
import time
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
import voluptuous as vol

from . import __version__, mjpeg
from .access import Access, Client
from .bridge import Bridge
from .certificate import Certificate
from .config import Config
from .doorman import Doorman
from .errors import FacesOffError, JournalError, NotAnImageError, Refused
from .model import API_VERSION, Output, Pattern
from .pairing import PressPairing
from .session import Session

CLIENT: Final = web.RequestKey("client", Client)
OPEN_PATHS: Final = frozenset({"/v1/info", "/v1/pair"})
IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png"})

MAX_BODY_BYTES: Final = 16 * 1024
MAX_IMAGE_BYTES: Final = 10 * 1024 * 1024
BODY_TIMEOUT_S: Final = 30.0  # ten megabytes over a poor Wi-Fi
SHUTDOWN_S: Final = 2.0  # aiohttp would wait a minute for streams that never end
KEEP_ALIVE_S: Final = 75.0  # for a connection on which nothing is asked; aiohttp keeps it for an hour
WELCOME_MS: Final = 3000  # how long the green LED greets who was let in by a press

MAX_SOCKETS: Final = 8
MAX_STREAMS: Final = 64
MAX_FACES_REQUESTS: Final = 4  # each may hold ten megabytes while it waits for its turn


def _printable(name: str) -> str:
    """Keep what would move the cursor, or cannot be stored, out of the list of clients."""
    if not name.isprintable():
        raise vol.Invalid("not printable")
    return name


_PAIR: Final = vol.Schema(
    {
        vol.Optional("code", default=None): vol.Any(None, str),
        vol.Optional("instead_of", default=None): vol.Any(None, vol.All(str, vol.Match(r"\A[0-9a-f]{64}\Z"))),
        vol.Required("client"): vol.All(str, str.strip, vol.Length(min=1, max=60), _printable),
    },
    extra=vol.REMOVE_EXTRA,
)


class _OwnMistakes(logging.Filter):
    """Leaves out what strangers send that is no HTTP: it would fill the card, and may quote a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class _LostTwice(logging.Filter):
    """Leaves out twenty lines for a slow viewer who goes: older Pythons may end a connection twice (gh-156512)."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, AttributeError) and "._call_connection_lost(" in record.getMessage())


logging.getLogger("asyncio").addFilter(_LostTwice())
_HTTP_LOG: Final = logging.getLogger(f"{__name__}.http")
_HTTP_LOG.addFilter(_OwnMistakes())

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# What aiohttp itself refuses, in the words of the protocol.
_CODES: Final = {404: "not_found", 405: "not_found", 413: "too_large"}


class Slots:
    """A number of places; who finds none is refused (503 `busy`)."""

    def __init__(self, places: int) -> None:
        self.taken = 0
        self._places = places

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place."""
        if self.taken >= self._places:
            raise Refused(503, "busy", "Too many ask for this at the same time; try later.", retry_after=5)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Server:
    """The bridge's HTTPS side."""

    def __init__(
        self,
        config: Config,
        bridge: Bridge,
        access: Access,
        pairing: PressPairing,
        certificate: Certificate,
        *,
        resend_s: float,
    ) -> None:
        self._name = config.name
        self._bridge = bridge
        self._access = access
        self._pairing = pairing
        self._doorman: Doorman | None = None
        self._certificate = certificate
        self._resend_s = resend_s
        self._started = time.monotonic()
        self._sockets = Slots(MAX_SOCKETS)
        self._streams = Slots(MAX_STREAMS)
        self._faces = Slots(MAX_FACES_REQUESTS)
        self._one_photo = asyncio.Lock()
        self._staying: dict[asyncio.Task[Any], str] = {}

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve within this context; yields the port. Raises OSError when the address cannot be used."""
        application = web.Application(
            middlewares=[_errors_as_json, self._guard], client_max_size=MAX_BODY_BYTES
        )
        application.add_routes(self._routes())
        application.on_shutdown.append(self._stop)
        runner = web.AppRunner(
            application,
            logger=_HTTP_LOG,
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=KEEP_ALIVE_S,
            auto_decompress=False,  # no client compresses, and little can become much
        )
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("aiohttp has set up no server")
        self._doorman = Doorman(self._certificate.context, runner.server)
        try:
            async with self._doorman.listening(host, port) as listening_port:
                yield listening_port
        finally:
            await runner.cleanup()

    async def revoke(self, token_hash: str) -> None:
        """Forget a client and end what it still has open, also when JournalError says that a restart brings it back."""
        try:
            await self._bridge.remove_client(token_hash)
        finally:
            for task, owner in list(self._staying.items()):
                if owner == token_hash and task is not asyncio.current_task():
                    task.cancel()

    def send_all_away(self) -> None:
        """End what clients have open; who is still known may come back."""
        for task in list(self._staying):
            task.cancel()

    def health(self) -> dict[str, Any]:
        """Return the bridge's numbers and the server's."""
        return {
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._started),
            "viewers": self._streams.taken,
            "sessions": self._sockets.taken,
            **self._bridge.health(),
        }

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/info", self._info),
            web.post("/v1/pair", self._pair),
            web.get("/v1/ws", self._ws, allow_head=False),
            web.get(r"/v1/rings/{seq:\d{1,15}}/{n:\d{1,5}}.jpg", self._picture),
            web.post("/v1/faces", self._find_faces),
            web.get("/v1/frame.jpg", self._frame),
            web.get("/v1/stream.mjpg", self._stream, allow_head=False),
            web.get("/v1/health", self._health),
            web.delete("/v1/token", self._forget_token),
        ]

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self._access.check_origin(request.headers.get("Host"), request.headers.get("Origin"))
        if request.path not in OPEN_PATHS:
            authorization = request.headers.get("Authorization")
            if not self._bridge.clients_known and self._access.known(authorization) is None:
                raise Refused(503, "busy", "The bridge cannot read who is paired; look at its log.")
            request[CLIENT] = self._access.client(authorization, request.remote or "")
            self._let_stay(request)
        return await handler(request)

    def _let_stay(self, request: web.Request) -> None:
        if self._doorman is not None:
            self._doorman.vouch(request.transport)

    async def _info(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "id": self._certificate.bridge_id,
                "name": self._name,
                "api": API_VERSION,
                "version": __version__,
                "paired": bool(self._bridge.clients),
                "press": self._pairing.possible,
                "fingerprint": self._certificate.fingerprint,
            }
        )

    async def _pair(self, request: web.Request) -> web.Response:
        try:
            asked = _PAIR(json.loads(await _read_body(request, MAX_BODY_BYTES)))
        except (ValueError, RecursionError, vol.Invalid) as error:
            raise Refused(400, "bad_request", f"Send the client's name, and a code: {error}") from error
        if asked["code"] is None:
            await self._wait_for_press(request)
        else:
            self._access.redeem(asked["code"], request.remote or "")
        before = self._access.proven(asked["instead_of"], self._certificate.fingerprint)
        token = await self._bridge.add_client(asked["client"], before)
        if before is not None:
            with suppress(JournalError):  # then it is forgotten until the next start only
                await self.revoke(before.token_hash)
        return web.json_response(
            {
                "token": token,
                "id": self._certificate.bridge_id,
                "name": self._name,
                "fingerprint": self._certificate.fingerprint,
            }
        )

    async def _wait_for_press(self, request: web.Request) -> None:
        """Return once somebody presses the doorbell; raises Refused."""
        address = request.remote or ""
        self._access.failed_pairings.check(address)

        def is_here() -> bool:
            return request.transport is not None and not request.transport.is_closing()

        if self._pairing.possible:
            self._let_stay(request)
        try:
            with self._stay():
                await self._pairing.wait(is_here)
        except Refused as refused:
            if refused.code != "not_pressed":
                self._access.failed_pairings.count(address)
            raise
        self._bridge.outputs.play(Output.GREEN, Pattern.ON, WELCOME_MS)

    async def _ws(self, request: web.Request) -> web.StreamResponse:
        with self._sockets.take(), self._stay(request[CLIENT].token_hash):
            session = Session(self._bridge, request[CLIENT], self._name, self._certificate.bridge_id)
            return await session.run(request)

    async def _picture(self, request: web.Request) -> web.Response:
        seq, n = int(request.match_info["seq"]), int(request.match_info["n"])
        jpeg = await self._bridge.picture(seq, n)
        if jpeg is None:
            raise Refused(404, "not_found", f"Ring {seq} has no picture {n}.")
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _find_faces(self, request: web.Request) -> web.Response:
        if request.content_type not in IMAGE_TYPES:
            raise Refused(415, "not_an_image", f"Send one of {', '.join(sorted(IMAGE_TYPES))}.")
        with self._faces.take():
            image = await _read_body(request, MAX_IMAGE_BYTES)
            try:
                async with self._one_photo:  # so a ring waits for one at most
                    found = await self._bridge.faces.find(image)
            except FacesOffError as error:
                raise Refused(503, "no_faces", "The face models are not available on this bridge.") from error
            except NotAnImageError as error:
                raise Refused(415, "not_an_image", "This is no picture that can be read.") from error
        faces = [face.to_json() for face in found.faces]
        return web.json_response({"width": found.width, "height": found.height, "faces": faces})

    async def _frame(self, request: web.Request) -> web.Response:
        frame = self._bridge.frame
        if frame is None:
            raise Refused(503, "no_camera", "There is no picture from the camera.")
        return web.Response(body=frame.jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        with self._streams.take(), self._stay(request[CLIENT].token_hash):
            return await mjpeg.stream(request, self._bridge.live, resend_s=self._resend_s)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response(self.health())

    async def _forget_token(self, request: web.Request) -> web.Response:
        await self.revoke(request[CLIENT].token_hash)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    @contextmanager
    def _stay(self, token_hash: str = "") -> Iterator[None]:
        """Make known that this task does not end soon, so that it can be ended; its client, if there is one."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled in a task")
        self._staying[task] = token_hash
        try:
            yield
        finally:
            del self._staying[task]

    async def _stop(self, application: web.Application) -> None:
        self.send_all_away()


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return _error(refused.status, refused.code, refused.message, refused.retry_after)
    except JournalError:
        return _error(503, "busy", "The bridge's storage cannot be used; look at its log.", None)
    except web.HTTPException as refused:
        return _error(refused.status, _CODES.get(refused.status, "bad_request"), refused.reason, None)


def _error(status: int, code: str, message: str, retry_after: int | None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    answer = web.json_response({"code": code, "message": message}, status=status, headers=headers)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        answer.force_close()  # who was a client, or has waited to become one, could stay as long as he likes
    return answer


async def _read_body(request: web.Request, limit: int) -> bytes:
    """Return the body; raises Refused when it is larger than `limit` bytes, takes too long or does not come."""
    if (request.content_length or 0) > limit:
        raise Refused(413, "too_large", f"At most {limit} bytes are taken.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise Refused(413, "too_large", f"At most {limit} bytes are taken.")
    except TimeoutError as error:
        raise Refused(400, "bad_request", "The request took too long to arrive.") from error
    except (ConnectionError, HttpProcessingError) as error:
        raise Refused(400, "bad_request", "The request did not arrive as a whole.") from error
    return bytes(body)
