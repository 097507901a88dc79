"""What a stranger sends: bytes over TLS, well-formed or not, and what comes back."""

import asyncio
from collections.abc import Mapping
import contextlib
from dataclasses import dataclass, field
import json
import ssl
from typing import Any, Final, Self

ANSWER_S: Final = 15.0  # longer than the bridge lets a stranger stay
PATIENCE_S: Final = 0.2  # for an answer to something that may be unfinished for ever

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the bridge is, and from which address of this machine it is asked: tries are counted by address."""

    port: int
    source: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bridge answered; `status` is 0 when it only closed the connection, or said nothing."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether nothing was given."""
        return self.status == 0 or 400 <= self.status < 500 or self.status == 503

    @property
    def crashed(self) -> bool:
        """Whether the bridge did not know what to say."""
        return self.status >= 500 and self.status != 503

    @property
    def code(self) -> str:
        """The code of a refusal."""
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return str(json.loads(self.body)["code"])
        return ""


SILENCE: Final = Answer()


class Wire:
    """A connection to the bridge that is opened when it is needed, and again when the bridge has closed it."""

    def __init__(self, address: Address) -> None:
        """Remember where to go; use it as an async context manager."""
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        """Connect nowhere yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave without a word."""
        self.leave()

    def leave(self) -> None:
        """Leave without a word."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1",
                self._address.port,
                ssl=_tls(),
                server_hostname="localhost",
                local_addr=(self._address.source, 0),
            )
        writer = self._streams[1]
        writer.write(data)
        await writer.drain()

    async def exchange(self, data: bytes, patience: float = ANSWER_S) -> Answer:
        """Send bytes and return the answer; raises TimeoutError when a whole request is not answered at all."""
        try:
            async with asyncio.timeout(patience):
                await self.send(data)
                return await self._answer()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self.leave()
            if isinstance(error, TimeoutError) and patience == ANSWER_S:
                raise
            return SILENCE

    async def read(self, patience: float) -> bytes:
        """Return what comes within a while."""
        if self._streams is None:
            return b""
        heard = b""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(patience):
                while data := await self._streams[0].read(64 * 1024):
                    heard += data
        return heard

    async def read_some(self) -> bytes:
        """Return the first that comes."""
        if self._streams is None:
            return b""
        async with asyncio.timeout(ANSWER_S):
            return await self._streams[0].read(4096)

    async def ended(self, patience: float) -> bool:
        """Return whether the bridge ends the connection within a while."""
        if self._streams is None:
            return True
        try:
            async with asyncio.timeout(patience):
                await self._streams[0].read()
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    async def _answer(self) -> Answer:
        if self._streams is None:
            return SILENCE
        reader = self._streams[0]
        status = 100
        while status == 100:  # "go on", says the bridge
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split()[1])
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.leave()
        return Answer(status, body, headers)


def request(
    method: str,
    path: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    kind: str = JSON,
) -> bytes:
    """Return a request as it goes over the wire; nothing in it is checked."""
    lines = {"Host": "127.0.0.1", **({"Authorization": f"Bearer {token}"} if token else {})}
    if body:
        lines |= {"Content-Type": kind, "Content-Length": str(len(body))}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


def pair(client: str = "Stranger", **more: Any) -> bytes:
    """Return a request to pair."""
    return request("POST", "/v1/pair", body=json.dumps({"client": client, **more}).encode())


def upgrade(token: str) -> bytes:
    """Return a request for the WebSocket."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    return request("GET", "/v1/ws", token=token, headers=headers)


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
