"""The simulator's page, for this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import resources
import json
from typing import TYPE_CHECKING, Final

from aiohttp import web
import voluptuous as vol

from .. import mjpeg
from ..errors import NotAnImageError, Refused
from ..model import iso_utc

if TYPE_CHECKING:
    from . import Simulator

LOOPBACK: Final = "127.0.0.1"
HOSTS: Final = frozenset({LOOPBACK, "localhost"})
SHUTDOWN_S: Final = 0.5  # aiohttp would wait a minute for streams that never end

_VISITOR: Final = vol.Schema({vol.Required("visitor"): str}, extra=vol.ALLOW_EXTRA)
# Nothing of another origin is loaded, and nothing of the page appears in another one.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@asynccontextmanager
async def listening(simulator: Simulator, port: int) -> AsyncIterator[int]:
    """Serve the page of a simulator on loopback; gives the port. Raises OSError when it is taken."""
    runner = web.AppRunner(_application(simulator), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _application(simulator: Simulator) -> web.Application:
    routes = _Routes(simulator)
    app = web.Application(middlewares=[_guard])
    app.on_response_prepare.append(_add_headers)
    app.add_routes(
        [
            web.get("/", routes.page),
            web.get("/state", routes.state),
            web.get("/events", routes.events),
            web.get("/thumbnail", routes.thumbnail),
            web.get("/stream.mjpg", routes.stream),
            web.post("/press", routes.press),
            web.post("/visitor", routes.visitor),
        ]
    )
    return app


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse other sites, and names that a web site made point to this machine; turn errors into answers."""
    try:
        if request.url.host not in HOSTS:
            raise Refused(403, "forbidden", "this page answers to localhost only")
        if request.headers.get("Origin", str(request.url.origin())) != str(request.url.origin()):
            raise Refused(403, "forbidden", "this page answers to itself only")
        return await handler(request)
    except Refused as refused:
        return web.json_response({"code": refused.code, "message": refused.message}, status=refused.status)
    except NotAnImageError as error:
        return web.json_response({"code": "not_an_image", "message": str(error)}, status=415)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


class _Routes:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._html = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._html, content_type="text/html")

    async def state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._state())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send the state at once and whenever it has changed, as server-sent events."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        try:
            while True:
                changed = self._simulator.changed.next
                await response.write(f"data: {json.dumps(self._state())}\n\n".encode())
                await changed.wait()
        except ConnectionError:
            return response

    async def thumbnail(self, request: web.Request) -> web.Response:
        picture = await self._simulator.thumbnail(request.query.get("visitor", ""))
        return web.Response(body=picture, content_type="image/jpeg")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        return await mjpeg.stream(request, self._simulator.frames)

    async def press(self, _request: web.Request) -> web.Response:
        return web.json_response({"at": iso_utc(self._simulator.press())})

    async def visitor(self, request: web.Request) -> web.Response:
        try:
            body = _VISITOR(await request.json())
        except (ValueError, vol.Invalid) as error:
            raise Refused(400, "bad_request", 'wanted is {"visitor": "<name>"}') from error
        await self._simulator.choose(body["visitor"])
        return web.json_response(self._state())

    def _state(self) -> dict[str, object]:
        simulator = self._simulator
        return {
            "name": simulator.name,
            "visitor": simulator.visitor,
            "visitors": simulator.visitors,
            "outputs": simulator.outputs,
            "hz": simulator.hz,
            "presses": [iso_utc(at) for at in simulator.presses],
        }
