"""A press: how soon a real Home Assistant rings, of which moment the picture is, and what memory it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
import statistics
from typing import Final

import aiohttp

from custom_components.face_doorbell.bridge import BridgeClient, Connection, Ring, RingPicture

from ..demo import DOMAIN, FLOWS
from ..doorbell import Doorbell
from ..home_assistant import HomeAssistant, WebSocket
from ..kernel import memory_mb
from ..photos import KNOWN, lay_out_photos
from ..process import free_port
from .measure import Measure

PRESSES: Final = 40
PAUSE_S: Final = 1.0  # longer than the lockout, and than the bridge needs for the picture
EVENT: Final = "event.front_door_doorbell"
NO_EVENT: Final = ("unknown", "unavailable")


async def measure(folder: Path) -> list[Measure]:
    """Return latencies, moments and memory."""
    photos = await lay_out_photos(folder / "photos")
    async with Doorbell(folder / "bridge", photos.door) as doorbell:
        await doorbell.put_at_the_door(KNOWN)
        async with HomeAssistant(folder / "home", free_port()) as home:
            address, code = (
                {"host": "127.0.0.1", "port": doorbell.port},
                {"code": await doorbell.pairing_code()},
            )
            await home.run_flow(FLOWS, {"handler": DOMAIN}, {"next_step_id": "doorbell"}, address, code)
            before_mb = memory_mb(doorbell.pid)
            async with _beside(doorbell) as connection:
                measures = await _press(home, doorbell, connection)
            after_mb = memory_mb(doorbell.pid)
    memory = Measure(f"memory after {PRESSES} presses", after_mb, "MB", before_mb + 60, before_mb, "before")
    return [*measures, memory]


async def _press(home: HomeAssistant, doorbell: Doorbell, connection: Connection) -> list[Measure]:
    in_home, beside, moments = [], [], []
    async with home.websocket() as socket:
        await socket.subscribe_events("state_changed")
        for number in range(PRESSES + 1):
            press = await doorbell.press()
            heard, moment = await _hear(connection)
            fired = await _fired(socket)
            if number:  # the first one warms up
                in_home.append((fired - press.at).total_seconds() * 1000)
                beside.append((heard - press.at).total_seconds() * 1000)
                moments.append(moment)
            await asyncio.sleep(PAUSE_S)
    alone = "a bare client"
    return [
        Measure(
            "press to ring event, p50", statistics.median(in_home), "ms", 50, statistics.median(beside), alone
        ),
        Measure(
            "press to ring event, p95",
            statistics.quantiles(in_home, n=20)[-1],
            "ms",
            250,
            statistics.quantiles(beside, n=20)[-1],
            alone,
        ),
        Measure("first picture, ms after the press, p50", statistics.median(moments), "ms", 0),
        Measure("first picture, ms after the press, latest", max(moments), "ms", 0),
        Measure("first picture, ms before the press, oldest", -min(moments), "ms", 200),
    ]


async def _fired(socket: WebSocket) -> datetime:
    """Return when Home Assistant has fired the next ring."""
    while True:
        event = await socket.event()
        if event["data"]["entity_id"] == EVENT and event["data"]["new_state"]["state"] not in NO_EVENT:
            return datetime.fromisoformat(event["time_fired"])


async def _hear(connection: Connection) -> tuple[datetime, int]:
    """Return when a ring was heard, and of which moment its first picture is."""
    heard = datetime.now(UTC)
    async for message in connection:
        match message:
            case Ring():
                heard = datetime.now(UTC)
                seq = message.seq
            case RingPicture(n=0, at_ms=at_ms):
                await connection.ack(seq)
                return heard, at_ms
    raise RuntimeError("the connection ended")


@asynccontextmanager
async def _beside(doorbell: Doorbell) -> AsyncIterator[Connection]:
    """Pair a client that only listens."""
    async with aiohttp.ClientSession() as session:
        info = await BridgeClient.get_info(session, "127.0.0.1", doorbell.port)
        client = BridgeClient(session, "127.0.0.1", doorbell.port, info.fingerprint)
        token = (await client.pair(await doorbell.pairing_code(), "Bench")).token
        connection = await BridgeClient(
            session, "127.0.0.1", doorbell.port, info.fingerprint, token
        ).connect()
        try:
            yield connection
        finally:
            await connection.close()
