"""One client's WebSocket: hello, then everything the client has not heard yet, and what it asks for in between."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
import json
import time
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web
import voluptuous as vol

from . import __version__
from .access import Client
from .bridge import Bridge
from .chime import Chime
from .errors import JournalError, Refused
from .model import API_VERSION, BridgeState, Burst, Output, Ring, RingEvent, RingPicture, iso_utc

HEARTBEAT_S: Final = 10.0  # with the wait for the pong, half as long, a dead link is noticed after 15 s
MAX_MESSAGE_BYTES: Final = 4096  # many times the longest message that a client has to say
YEARS: Final = range(
    2020, 2200
)  # of a client's clock; at the ends of Python's calendar there is no arithmetic
CLOSE_TIMEOUT_S: Final = 1.0  # a client that is asked to leave answers at once, or is gone


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise vol.Invalid("not a number")
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise vol.Invalid("not a moment")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise vol.Invalid("not a moment") from error
    if moment.tzinfo is None or moment.year not in YEARS:
        raise vol.Invalid("not a moment of our time with its time zone")
    return moment


_REQUESTS: Final = {
    "ack": vol.Schema({vol.Required("seq"): _number}, extra=vol.REMOVE_EXTRA),
    "time": vol.Schema({vol.Required("now"): _moment}, extra=vol.REMOVE_EXTRA),
    "do": vol.Schema(
        {
            vol.Required("id"): _number,
            vol.Required("output"): str,
            vol.Required("pattern"): str,
            vol.Optional("for_ms", default=None): vol.Any(None, int),
            vol.Optional("chime", default=False): bool,
        },
        extra=vol.REMOVE_EXTRA,
    ),
    "chime": vol.Schema(
        {
            vol.Required("id"): _number,
            vol.Optional("tone", default=None): vol.Any(None, str),
            vol.Optional("for_ms", default=None): vol.Any(None, _number),
            vol.Optional("quiet", default=None): vol.Any(
                None,
                vol.Schema(
                    {vol.Required(key): str for key in ("start", "end", "zone")}, extra=vol.REMOVE_EXTRA
                ),
            ),
        },
        extra=vol.REMOVE_EXTRA,
    ),
    "press": vol.Schema({vol.Required("id"): _number}, extra=vol.REMOVE_EXTRA),
}


class _MalformedError(Exception):
    """The client does not speak the protocol; there is no request to answer."""


class Session:
    """A connected client."""

    def __init__(self, bridge: Bridge, client: Client, bridge_name: str, bridge_id: str) -> None:
        self._bridge = bridge
        self._client = client
        self._name = bridge_name
        self._id = bridge_id
        self._socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_TIMEOUT_S
        )

    async def run(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the client until it leaves or this task is cancelled."""
        await self._socket.prepare(request)
        self._bridge.seen(self._client.token_hash)
        try:
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._send())
                await self._receive()
                sender.cancel()
        except* ConnectionError:
            pass  # the client has gone
        except* _MalformedError as group:
            reason = str(group.exceptions[0]).encode()
            await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason)
        finally:
            with suppress(ConnectionError):
                await self._socket.close(code=WSCloseCode.GOING_AWAY)
        return self._socket

    async def _send(self) -> None:
        position, hello_position = 0, self._bridge.events.end
        state = self._bridge.state
        await self._socket.send_json(self._hello(state))
        while True:
            changed = self._bridge.changed.next
            for place, event in self._bridge.events.since(position, self._acked_seq):
                await self._socket.send_json(self._event(event, replay=place < hello_position))
                position = place + 1
            if state != self._bridge.state:
                state = self._bridge.state
                await self._socket.send_json({"type": "state", "state": _state(state)})
            await changed.wait()

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                raise _MalformedError("Messages are JSON objects in text frames.")
            answer = await self._answer(_parse(message.data))
            if answer is not None:
                await self._socket.send_json(answer)

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        kind = request.get("type")
        schema = _REQUESTS.get(kind) if isinstance(kind, str) else None
        if schema is None:
            return None  # a newer client may say more than this bridge knows
        try:
            asked = schema(request)
        except vol.Invalid as error:
            if not isinstance(request.get("id"), int):
                raise _MalformedError(f"{kind}: {error}") from error
            return _failed(request["id"], "bad_request", str(error))
        if kind == "ack":
            self._bridge.ack(self._client.token_hash, asked["seq"])
            return None
        if kind == "time":
            self._bridge.take_time(asked["now"])
            return None
        try:
            match kind:
                case "do":
                    self._do(asked)
                case "chime":
                    await self._bridge.choose_chime(await asyncio.to_thread(Chime.from_json, asked))
                case "press":
                    self._bridge.ring(time.monotonic_ns(), test=True)
        except JournalError:
            pass  # it holds until a restart, and the client will say it again
        except Refused as refused:
            return _failed(asked["id"], refused.code, refused.message)
        return {"type": "done", "id": asked["id"]}

    def _do(self, asked: dict[str, Any]) -> None:
        if asked["chime"] and asked["output"] == Output.BUZZER and self._bridge.quiet:
            return
        self._bridge.outputs.play(asked["output"], asked["pattern"], asked["for_ms"])

    @property
    def _acked_seq(self) -> int:
        client = self._bridge.clients.get(self._client.token_hash, self._client)
        return client.acked_seq

    def _hello(self, state: BridgeState) -> dict[str, Any]:
        return {
            "type": "hello",
            "api": API_VERSION,
            "id": self._id,
            "name": self._name,
            "version": __version__,
            "boot": self._bridge.boot,
            "clock_ok": self._bridge.clock_ok,
            "pending": self._bridge.events.pending(self._acked_seq),
            "state": _state(state),
            "tones": self._bridge.outputs.tones,
            "chime": self._bridge.chime.to_json(),
        }

    def _event(self, event: RingEvent, *, replay: bool) -> dict[str, Any]:
        which = {"seq": event.seq, "ring_id": event.ring_id}
        match event:
            case Ring():
                moment = self._bridge.moment(event)
                return {
                    "type": "ring",
                    **which,
                    "at": iso_utc(moment.at),
                    "age_ms": moment.age_ms,
                    "replay": replay,
                    "clock_ok": moment.clock_ok,
                    "age_ok": moment.age_ok,
                    "test": event.test,
                }
            case RingPicture():
                faces = [face.to_json() for face in event.faces]
                about = {"n": event.n, "at_ms": event.at_ms, "good": event.good, "faces": faces}
                return {"type": "picture", **which, **about}
            case Burst():
                return {"type": "burst", **which, "best": event.best}


def _parse(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _MalformedError("Messages are JSON objects.") from error
    if not isinstance(request, dict):
        raise _MalformedError("Messages are JSON objects.")
    return request


def _failed(request_id: int, code: str, message: str) -> dict[str, Any]:
    return {"type": "failed", "id": request_id, "code": code, "message": message}


def _state(state: BridgeState) -> dict[str, Any]:
    return {"camera": state.camera, "faces": state.faces, "outputs": state.outputs}
