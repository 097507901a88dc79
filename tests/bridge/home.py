"""A stand-in for Home Assistant: a client that pairs, asks and listens over the bridge's real HTTPS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import ssl
from typing import Any, Protocol, TypeAlias

import aiohttp

from pi_bridge.access import hash_token, proof

Stream: TypeAlias = aiohttp.MultipartReader | aiohttp.multipart.MultipartResponseWrapper


class Doorbell(Protocol):
    """Where a bridge is to be reached."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def pairing_code(self) -> str: ...


class Home:
    """A client of one bridge; without a token it is nobody."""

    def __init__(self, session: aiohttp.ClientSession, bridge: Doorbell, token: str | None = None) -> None:
        self._session = session
        self._bridge = bridge
        self._pin = aiohttp.Fingerprint(bytes.fromhex(bridge.fingerprint))
        self.token = token

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        json: Any = None,
        data: bytes | None = None,
    ) -> aiohttp.ClientResponse:
        """Return the answer, its body read."""
        response = await self._session.request(
            method,
            self._url(path),
            ssl=self._pin,
            headers=self._headers(token, headers),
            json=json,
            data=data,
        )
        await response.read()
        return response

    async def pair(self, name: str = "Home", code: str | None = None) -> None:
        """Become a client of the bridge, in the place of what this one was before."""
        body = {"code": code or self._bridge.pairing_code(), "client": name}
        if self.token:
            body["instead_of"] = proof(hash_token(self.token), self._bridge.fingerprint)
        response = await self.ask("POST", "/v1/pair", json=body)
        assert response.status == 200, await response.text()
        self.token = (await response.json())["token"]

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[Line]:
        """Open the WebSocket and read the hello."""
        async with self._session.ws_connect(
            self._url("/v1/ws"), ssl=self._pin, headers=self._headers()
        ) as socket:
            yield Line(socket, await socket.receive_json())

    @asynccontextmanager
    async def watch(
        self,
    ) -> AsyncIterator[Stream]:
        """Open the live picture."""
        url = self._url("/v1/stream.mjpg")
        async with self._session.get(url, ssl=self._pin, headers=self._headers()) as response:
            yield aiohttp.MultipartReader.from_response(response)

    def _url(self, path: str) -> str:
        return f"https://{self._bridge.host}:{self._bridge.port}{path}"

    def _headers(self, token: str | None = None, more: dict[str, str] | None = None) -> dict[str, str]:
        token = token or self.token
        return {**({"Authorization": f"Bearer {token}"} if token else {}), **(more or {})}


class Line:
    """An open WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, hello: dict[str, Any]) -> None:
        self._socket = socket
        self.hello = hello

    async def next(self, *kinds: str) -> dict[str, Any]:
        """Return the next message of one of these types; any type without."""
        while True:
            message: dict[str, Any] = await self._socket.receive_json()
            if not kinds or message["type"] in kinds:
                return message

    async def ring(self) -> list[dict[str, Any]]:
        """Return the next messages about rings, to the end of the first burst."""
        messages = [await self.next("ring", "picture", "burst")]
        while messages[-1]["type"] != "burst":
            messages.append(await self.next("ring", "picture", "burst"))
        return messages

    async def send(self, **message: Any) -> None:
        await self._socket.send_json(message)

    async def send_text(self, text: str) -> None:
        await self._socket.send_str(text)

    async def answer(self, request_id: int) -> dict[str, Any]:
        """Return the answer to a request."""
        while True:
            message = await self.next("done", "failed")
            if message["id"] == request_id:
                return message

    async def ack(self, seq: int) -> None:
        """Ack, and return once the bridge has taken it in."""
        await self.send(type="ack", seq=seq)
        await self.send(type="do", id=1_000_000 + seq, output="green", pattern="off")
        await self.answer(1_000_000 + seq)

    async def ended(self) -> int | None:
        """Wait for the end; returns the close code."""
        async with asyncio.timeout(20):
            while (await self._socket.receive()).type not in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSING,
            ):
                pass
        return self._socket.close_code


class Stranger:
    """A connection of somebody else, on which the test says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, text: bytes) -> None:
        self._writer.write(text)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """Return the head of an answer."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def sent_away(self) -> bool:
        """Wait for the end of the connection."""
        try:
            return await self._reader.read() == b""
        except ConnectionError:
            return True

    @property
    def is_here(self) -> bool:
        return not self._reader.at_eof() and self._reader.exception() is None

    def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def stranger(
    bridge: Doorbell, *, tls: bool = False, address: str = "127.0.0.1"
) -> AsyncIterator[Stranger]:
    """Connect, from any address of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    streams = await asyncio.open_connection(
        bridge.host, bridge.port, ssl=context if tls else None, local_addr=(address, 0)
    )
    visitor = Stranger(*streams)
    try:
        yield visitor
    finally:
        visitor.leave()
