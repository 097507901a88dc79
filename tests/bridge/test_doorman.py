"""Strangers who connect and say nothing, or say it slowly, are sent away; clients stay."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
import resource
import socket

import pytest

from pi_bridge import doorman

from .conftest import SHARP
from .doubles import RunningBridge
from .home import Home, stranger

HALF = b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "STRANGER_S", 0.3)


@pytest.mark.usefixtures("short_patience")
@pytest.mark.parametrize(("tls", "says"), [(False, b""), (False, b"\x16\x03\x01"), (True, b""), (True, HALF)])
async def test_who_shows_no_token_is_sent_away_after_a_while(
    bridge: RunningBridge, tls: bool, says: bytes
) -> None:
    async with stranger(bridge, tls=tls) as visitor:
        await visitor.say(says)
        assert await visitor.sent_away()


@pytest.mark.usefixtures("short_patience")
async def test_clients_stay(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line, home.watch() as reader:
        async with stranger(bridge) as visitor:  # who came after them
            await visitor.sent_away()
        bridge.press(SHARP)
        assert (await line.ring())[0]["seq"] == 1
        assert await reader.next() is not None


async def test_one_address_takes_only_its_own_places(bridge: RunningBridge, home: Home) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(stranger(bridge, address="127.0.0.2"))
        many = [
            await stack.enter_async_context(stranger(bridge, tls=True))
            for _ in range(3 * doorman.STRANGERS_PER_ADDRESS)
        ]
        for visitor in many[: -doorman.STRANGERS_PER_ADDRESS]:
            assert await visitor.sent_away()
        async with home.listen() as line:
            assert line.hello["type"] == "hello"
        assert other.is_here


async def test_places_are_limited_over_all_addresses(bridge: RunningBridge, home: Home) -> None:
    async with AsyncExitStack() as stack:
        many = [
            await stack.enter_async_context(stranger(bridge, address=f"127.0.0.{number % 200 + 2}"))
            for number in range(2 * doorman.STRANGERS)
        ]
        for visitor in many[: doorman.STRANGERS]:
            assert await visitor.sent_away()
        async with home.listen() as line:
            assert line.hello["type"] == "hello"


async def test_places_of_those_who_left_are_free(bridge: RunningBridge) -> None:
    async with stranger(bridge, tls=True) as first:
        for _ in range(2 * doorman.STRANGERS_PER_ADDRESS):
            async with stranger(bridge, tls=True) as visitor:
                await visitor.say(b"GET /v1/info HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                assert not await visitor.sent_away()  # it got an answer first
        assert first.is_here


async def test_who_is_revoked_keeps_no_connection(bridge: RunningBridge, home: Home) -> None:
    ask = f"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {home.token}\r\n\r\n".encode()
    async with stranger(bridge, tls=True) as client, asyncio.timeout(5):
        await client.say(ask)
        assert b" 200 OK" in await client.answer()
        await home.ask("DELETE", "/v1/token")
        await client.say(ask)
        assert b" 401 " in await client.answer()
        await client.sent_away()


async def test_without_a_free_file_it_waits_and_says_so_once(
    bridge: RunningBridge, home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorman, "OUT_OF_FILES_S", 0.01)
    loop = asyncio.get_running_loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as visitor:
        visitor.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (visitor.fileno() + 1, hard))
        try:
            await loop.sock_connect(visitor, (bridge.host, bridge.port))
            while not caplog.records:  # noqa: ASYNC110 - a log wakes nobody
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # ten times more
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [record.name for record in caplog.records] == ["pi_bridge.doorman"]
    assert (await home.ask("GET", "/v1/health")).status == 200


async def test_all_addresses_of_ipv6_are_those_of_ipv4_too(bridge: RunningBridge) -> None:
    context = bridge.running.certificate.context
    async with doorman.Doorman(context, asyncio.Protocol).listening("::", 0) as port:
        for address in ("127.0.0.1", "::1"):
            _, writer = await asyncio.open_connection(address, port)
            writer.close()


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::9"])
async def test_an_address_that_the_network_has_not_given_yet_is_no_reason_not_to_ring(
    bridge: RunningBridge, address: str
) -> None:
    with pytest.raises(OSError, match=f"Cannot assign requested address: address {address}"):
        doorman.listener_at(address, 0)  # who asks whether it is this machine's hears that it is not
    async with doorman.Doorman(bridge.running.certificate.context, asyncio.Protocol).listening(
        address, 0
    ) as port:
        assert port
