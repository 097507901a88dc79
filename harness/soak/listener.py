"""A client that only listens, in a process of its own, so that what it hears late the bridge has told it late."""

from dataclasses import dataclass
import time

import aiohttp

from custom_components.face_doorbell.bridge import BridgeClient, BridgeConnectionError, Ring

from .child import Line


@dataclass(frozen=True, slots=True)
class Start:
    """What a listener is started with."""

    port: int
    fingerprint: str
    token: str


@dataclass(frozen=True, slots=True)
class Heard:
    """The report of a ring, and when it was heard (`time.monotonic_ns`)."""

    ring_id: str
    heard_ns: int


@dataclass(frozen=True, slots=True)
class CutOff:
    """The report that the connection ended."""

    reason: str


async def main(line: Line, start: Start) -> None:
    """Listen until killed."""
    line.listen(lambda order: None)
    async with aiohttp.ClientSession() as session:
        client = BridgeClient(session, "127.0.0.1", start.port, start.fingerprint, start.token)
        while True:
            try:
                connection = await client.connect()
                async for message in connection:
                    if isinstance(message, Ring):
                        line.send(Heard(message.ring_id, time.monotonic_ns()))
                        await connection.ack(message.seq)
            except BridgeConnectionError as error:
                line.send(CutOff(str(error)))
