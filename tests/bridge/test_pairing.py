"""Pairing by pressing the doorbell: who is let in by which press, and what that press does at the door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from pi_bridge import pairing
from pi_bridge.control import ask
from pi_bridge.errors import Refused
from pi_bridge.model import Output, Pattern
from pi_bridge.pairing import PressPairing

from .conftest import SHARP
from .doubles import RunningBridge, running_bridge
from .home import Home, stranger


class Scene:
    """The rule alone: who is paired, what time it is, and whether the LEDs blink."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.nobody_is_paired = False
        self.blinking = False
        self.pairing = PressPairing(
            lambda: self.nobody_is_paired, lambda on: setattr(self, "blinking", on), clock=lambda: self.now
        )
        self.waiting: list[asyncio.Task[None]] = []

    async def ask(self, *, is_here: bool = True) -> asyncio.Task[None]:
        task = asyncio.create_task(self.pairing.wait(lambda: is_here))
        self.waiting.append(task)
        await asyncio.sleep(0)
        return task


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    for task in scene.waiting:
        task.cancel()


async def refusal(task: asyncio.Task[None]) -> str:
    with pytest.raises(Refused) as refused:
        await task
    assert refused.value.status == 403
    return refused.value.code


async def test_press_pairs_while_nobody_is_paired(scene: Scene) -> None:
    scene.nobody_is_paired = True
    asking = await scene.ask()
    assert scene.blinking
    assert scene.pairing.pressed()
    await asking
    assert not scene.blinking


async def test_press_pairs_within_two_minutes_of_the_owners_word_and_once(scene: Scene) -> None:
    assert await refusal(await scene.ask()) == "pairing_closed"
    scene.pairing.open()
    scene.now += 119
    asking = await scene.ask()
    assert scene.pairing.pressed()
    await asking
    assert await refusal(await scene.ask()) == "pairing_closed"
    scene.pairing.open()
    scene.now += 120
    assert await refusal(await scene.ask()) == "pairing_closed"


async def test_press_after_the_two_minutes_rings(scene: Scene) -> None:
    scene.pairing.open()
    await scene.ask()
    scene.now += 120
    assert not scene.pairing.pressed()


async def test_press_rings_when_nobody_asks(scene: Scene) -> None:
    scene.pairing.open()
    assert not scene.pairing.pressed()
    asking = await scene.ask()
    asking.cancel()
    await asyncio.wait([asking])
    assert not scene.pairing.pressed()
    assert not scene.blinking


async def test_of_two_who_ask_nobody_is_let_in(scene: Scene) -> None:
    scene.pairing.open()
    first = await scene.ask()
    second = await scene.ask()
    assert await refusal(second) == "contested"
    assert await refusal(first) == "contested"
    assert not scene.blinking
    assert not scene.pairing.pressed()


@pytest.mark.parametrize("nobody_is_paired", [False, True])
async def test_who_has_lost_a_race_does_not_win_the_next_one(scene: Scene, nobody_is_paired: bool) -> None:
    scene.nobody_is_paired = nobody_is_paired
    scene.pairing.open()
    first = await scene.ask()
    assert await refusal(await scene.ask()) == "contested"
    assert await refusal(first) == "contested"
    scene.now += 119
    assert await refusal(await scene.ask()) == "pairing_closed"
    scene.now += 1
    assert scene.pairing.possible is nobody_is_paired
    scene.pairing.open()
    assert scene.pairing.possible


async def test_who_has_gone_is_in_nobodys_way_and_not_let_in(scene: Scene) -> None:
    scene.pairing.open()
    await scene.ask(is_here=False)
    assert not scene.pairing.pressed()
    asking = await scene.ask()
    await asyncio.sleep(0)
    assert scene.blinking
    assert scene.pairing.pressed()
    await asking


# The real bridge


async def until_invited(bridge: RunningBridge) -> None:
    for light in (Output.GREEN, Output.RED):
        await bridge.panel.until(light, lit=True)


async def ask_to_pair(home: Home, name: str = "Home") -> aiohttp.ClientResponse:
    return await home.ask("POST", "/v1/pair", json={"client": name})


async def test_first_client_is_let_in_by_a_press_that_does_not_ring(
    bridge: RunningBridge, nobody: Home
) -> None:
    assert (await (await nobody.ask("GET", "/v1/info")).json())["press"] is True
    asking = asyncio.create_task(ask_to_pair(nobody))
    await until_invited(bridge)
    assert bridge.running.bridge.outputs.playing[Output.RED] is Pattern.BLINK
    bridge.press(SHARP)
    answer = await asking
    nobody.token = (await answer.json())["token"]
    assert (await (await nobody.ask("GET", "/v1/info")).json())["press"] is False
    assert not bridge.panel.is_lit(Output.BUZZER)
    assert not bridge.panel.is_lit(Output.RED)
    async with nobody.listen() as line:
        assert line.hello["pending"] == 0
        bridge.press(SHARP)  # and this one does ring
        assert (await line.ring())[0]["seq"] == 1


async def test_with_somebody_paired_a_press_lets_in_nobody_without_the_owner(
    bridge: RunningBridge, home: Home, nobody: Home, tmp_path: Path
) -> None:
    answer = await ask_to_pair(nobody)
    assert (answer.status, (await answer.json())["code"]) == (403, "pairing_closed")
    await ask(tmp_path / "state", "POST", "pair", "press")
    asking = asyncio.create_task(ask_to_pair(nobody, "Second home"))
    await until_invited(bridge)
    bridge.press()
    assert (await asking).status == 200
    assert [client["name"] for client in await ask(tmp_path / "state", "GET", "clients")] == [
        "Home",
        "Second home",
    ]


async def test_who_was_not_let_in_keeps_no_connection(
    bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "WAIT_S", 0.1)
    request = b'POST /v1/pair HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 22\r\n\r\n{"client": "Somebody"}'
    async with stranger(bridge, tls=True) as somebody, asyncio.timeout(5):
        await somebody.say(request)
        assert b" 403 " in await somebody.answer()
        await somebody.sent_away()


async def test_race_of_two_clients_lets_in_none(bridge: RunningBridge, nobody: Home) -> None:
    async with aiohttp.ClientSession() as session:
        first = asyncio.create_task(ask_to_pair(nobody))
        await until_invited(bridge)
        second = asyncio.create_task(ask_to_pair(Home(session, bridge)))
        answers = [await first, await second]
    assert [(answer.status, (await answer.json())["code"]) for answer in answers] == [(403, "contested")] * 2
    bridge.press()
    await bridge.panel.until(Output.BUZZER, lit=True)
    assert not bridge.running.bridge.clients


async def test_closed_tries_are_limited(home: Home, nobody: Home) -> None:
    for _ in range(5):
        assert (await ask_to_pair(nobody)).status == 403
    assert (await ask_to_pair(nobody)).status == 429


async def test_after_a_damaged_journal_a_press_lets_in_nobody(bridge: RunningBridge, tmp_path: Path) -> None:
    await bridge.stop()
    await asyncio.to_thread((tmp_path / "state" / "journal.sqlite").write_bytes, b"damaged" * 1000)
    await bridge.start()
    async with aiohttp.ClientSession() as session:
        stranger = Home(session, bridge)
        assert (await (await stranger.ask("GET", "/v1/info")).json())["press"] is False
        assert (await ask_to_pair(stranger)).status == 403


async def test_who_pairs_again_keeps_name_and_backlog(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        bridge.press(SHARP)
        await line.ring()
        await home.pair()  # with the token of before
        await line.ended()
    assert [client.name for client in bridge.running.bridge.clients.values()] == ["Home"]
    async with home.listen() as line:
        assert (await line.ring())[0]["seq"] == 1


async def test_certificate_can_be_renewed_and_the_bridge_stays_the_same(
    bridge: RunningBridge, home: Home, tmp_path: Path
) -> None:
    before, bridge_id = bridge.fingerprint, bridge.bridge_id
    async with home.listen() as line:
        answer = await ask(tmp_path / "state", "POST", "certificate")
        await line.ended()
    assert answer["id"] == bridge_id
    assert bridge.fingerprint != before
    with pytest.raises(aiohttp.ServerFingerprintMismatch):
        await home.ask("GET", "/v1/health")
    async with aiohttp.ClientSession() as session:
        again = Home(session, bridge, home.token)
        assert (await again.ask("GET", "/v1/health")).status == 200
        info = await (await again.ask("GET", "/v1/info")).json()
    assert (info["id"], info["fingerprint"]) == (bridge_id, bridge.fingerprint)
    after = bridge.fingerprint
    await bridge.restart()
    assert (bridge.fingerprint, bridge.bridge_id) == (after, bridge_id)


async def test_unreadable_storage_tells_nobody_that_his_token_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "state" / "journal.sqlite").mkdir(parents=True)  # no file can be opened there
    async with running_bridge(tmp_path / "state") as bridge, aiohttp.ClientSession() as session:
        answer = await Home(session, bridge, "token").ask("GET", "/v1/health")
        assert (answer.status, (await answer.json())["code"]) == (503, "busy")
        assert (await (await Home(session, bridge).ask("GET", "/v1/info")).json())["press"] is False
        bridge.press()
        await bridge.panel.until(Output.BUZZER, lit=True)
