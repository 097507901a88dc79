"""The WebSocket of one bridge: what happens there comes in, acks and commands go out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from typing import Final

import aiohttp

from .errors import BridgeAnswerError, BridgeConnectionError, BridgeRefusedError
from .messages import Chime, Done, Hello, Json, Message, Output, read_message

SILENCE_S: Final = 15  # the bridge pings every 10 s, so that a link as silent as this is dead
HELLO_S: Final = 10  # the bridge speaks first and at once; a slow Pi that is still starting gets this long
ANSWER_S: Final = 5  # a command is carried out in milliseconds; no answer in this time will never come


class Connection:
    """An open connection, after the hello.

    Iterate over it for the bridge's messages. Somebody must, or the answers to commands are not read either. The
    iterator and every method but `close` raise BridgeConnectionError when the connection has ended.
    """

    hello: Hello

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take a socket on which nothing was read yet."""
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Done]] = {}

    async def read_hello(self) -> Hello:
        """Wait for the bridge's first message and keep it as `hello`."""
        try:
            async with asyncio.timeout(HELLO_S):
                message = await self._read()
        except TimeoutError as err:
            raise BridgeConnectionError("The bridge does not say hello") from err
        if not isinstance(message, Hello):
            raise BridgeConnectionError("The bridge does not say hello")
        self.hello = message
        return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield messages until the connection ends."""
        try:
            while not self._socket.closed:
                match await self._read():
                    case Done() as done:
                        self._answer(done)
                    case Hello() | None:
                        pass
                    case message:
                        yield message
        finally:
            self._fail_waiting()

    async def ack(self, seq: int) -> None:
        """Tell the bridge that the visits of all rings up to `seq` are stored."""
        await self._send({"type": "ack", "seq": seq})

    async def tell_time(self) -> None:
        """Tell the bridge what time it is; a Pi may not know."""
        await self._send({"type": "time", "now": datetime.now(UTC).isoformat()})

    async def do(self, output: Output, tone: str, for_ms: int | None = None, *, chime: bool = False) -> None:
        """Play a pattern or melody on an output for so many milliseconds (none for `off`, or for a melody once).

        `chime`: the doorbell sounds by itself, which it does not in quiet hours. Raises BridgeRefusedError.
        """
        command: dict[str, str | int] = {"type": "do", "output": output, "pattern": tone, "chime": chime}
        await self._command(command if for_ms is None else {**command, "for_ms": for_ms})

    async def choose_chime(self, chime: Chime) -> None:
        """Choose what sounds at a press; raises BridgeRefusedError. A bridge too old for it does not answer."""
        await self._command({"type": "chime", **asdict(chime)})

    async def press(self) -> None:
        """Ring as if the button was pressed, marked as a test; raises BridgeRefusedError."""
        await self._command({"type": "press"})

    async def close(self) -> None:
        """End the connection and fail what still waits for an answer."""
        self._fail_waiting()
        await self._socket.close()

    async def _command(self, command: Json) -> None:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({**command, "id": number})
            async with asyncio.timeout(ANSWER_S):
                done = await answer
        except TimeoutError as err:
            raise BridgeConnectionError("The bridge does not answer a command") from err
        finally:
            self._waiting.pop(number, None)
        if done.code is not None:
            raise BridgeRefusedError(done.code, done.message)

    async def _send(self, message: Json) -> None:
        if self._socket.closed:
            raise BridgeConnectionError("The connection is closed")
        try:
            await self._socket.send_json(message)
        except (aiohttp.ClientError, ConnectionError) as err:
            raise BridgeConnectionError("The connection broke") from err

    async def _read(self) -> Hello | Message | Done | None:
        try:
            frame = await self._socket.receive(SILENCE_S)
        except TimeoutError as err:
            raise BridgeConnectionError("The bridge has fallen silent") from err
        except (
            aiohttp.ClientError,
            ConnectionError,
        ) as err:  # it has gone, and its last ping cannot be answered
            raise BridgeConnectionError("The connection broke") from err
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise BridgeConnectionError("The connection ended")
        try:
            data = frame.json()
        except ValueError as err:
            raise BridgeAnswerError("The bridge sent something unreadable") from err
        return read_message(data) if isinstance(data, dict) else None

    def _answer(self, done: Done) -> None:
        answer = self._waiting.get(done.id)
        if answer is not None and not answer.done():
            answer.set_result(done)

    def _fail_waiting(self) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(BridgeConnectionError("The connection ended"))
