"""A press becomes a ring: at once, with the right pictures, until it is acked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlite3
import time
from typing import Any

import aiohttp
import pytest

from pi_bridge import bridge as bridge_module
from pi_bridge.config import BurstConfig, Config
from pi_bridge.model import CameraState, FacesState, Output, Pattern

from .conftest import BLURRED, EMPTY, SHARP
from .doubles import FakeClock, FakeFaces, RunningBridge, running_bridge
from .home import Home


async def test_press_is_heard_at_once_with_its_picture(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        bridge.press(SHARP)
        ring, picture, burst = await line.ring()
    assert ring["seq"] == 1
    assert ring["replay"] is False
    assert ring["test"] is False
    assert 0 <= ring["age_ms"] < 1000
    assert ring["at"].endswith("Z")
    assert {message["ring_id"] for message in (ring, picture, burst)} == {ring["ring_id"]}
    assert picture["n"] == 0
    assert picture["good"] is True
    assert picture["faces"][0]["quality"] == 0.8
    assert burst["best"] == 0
    assert await (await home.ask("GET", "/v1/rings/1/0.jpg")).read() == SHARP


async def test_buzzer_sounds_and_ends(bridge: RunningBridge) -> None:
    bridge.press()
    await bridge.panel.until(Output.BUZZER, lit=True)
    await bridge.panel.until(Output.BUZZER, lit=False)


async def test_ring_is_heard_before_a_slow_card_has_stored_it(
    bridge: RunningBridge, home: Home, tmp_path: Path
) -> None:
    card = sqlite3.connect(tmp_path / "state" / "journal.sqlite", isolation_level=None)
    async with home.listen() as line:
        card.execute("BEGIN IMMEDIATE")  # from here on every write of the bridge waits
        bridge.press(SHARP)
        await line.ring()
        assert await (await home.ask("GET", "/v1/rings/1/0.jpg")).read() == SHARP
        assert card.execute("SELECT count(*) FROM rings").fetchone() == (0,)
        card.execute("ROLLBACK")
    await bridge.stop()
    assert card.execute("SELECT count(*) FROM rings").fetchone() == (1,)
    card.close()


async def test_broken_journal_does_not_stop_the_ring(
    bridge: RunningBridge, home: Home, tmp_path: Path
) -> None:
    card = sqlite3.connect(tmp_path / "state" / "journal.sqlite")
    card.executescript("DROP TABLE pictures; DROP TABLE rings;")
    card.close()
    async with home.listen() as line:
        bridge.press(SHARP)
        assert [message["type"] for message in await line.ring()] == ["ring", "picture", "burst"]
    assert await (await home.ask("GET", "/v1/rings/1/0.jpg")).read() == SHARP
    assert (await (await home.ask("GET", "/v1/health")).json())["journal"] == "failing"


async def test_first_picture_is_the_one_before_the_press(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        bridge.camera.show(SHARP)
        pressed_ns = time.monotonic_ns()
        bridge.camera.show(EMPTY)  # already gone again when the press is handled
        bridge.panel.press(pressed_ns)
        _, picture, _ = await line.ring()
    assert picture["at_ms"] <= 0
    assert await (await home.ask("GET", "/v1/rings/1/0.jpg")).read() == SHARP


async def test_a_buzzer_that_fails_does_not_stop_the_ring(
    bridge: RunningBridge, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burnt(output: Output, lit: bool, hz: float | None = None) -> None:
        raise OSError("it is burnt")

    async with home.listen() as line:
        monkeypatch.setattr(bridge.panel, "write", burnt)
        with pytest.raises(OSError, match="burnt"):
            bridge.press(SHARP)
        assert [message["type"] for message in await line.ring()] == ["ring", "picture", "burst"]
        monkeypatch.undo()


async def test_only_clearly_better_pictures_follow(tmp_path: Path, faces: FakeFaces) -> None:
    # The burst ends when the camera's time is beyond it, so the test decides how long it takes.
    config = Config(burst=BurstConfig(10))
    async with (
        running_bridge(tmp_path / "state", photos=[EMPTY], finder=faces, config=config) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            bridge.press()
            assert (await line.next("picture"))["faces"] == []
            bridge.camera.show(BLURRED)
            assert (await line.next("picture"))["n"] == 1
            bridge.camera.show(SHARP)
            better = await line.next("picture")
            assert (better["n"], better["good"]) == (2, True)
            bridge.camera.show(EMPTY)
            bridge.camera.show(EMPTY, time.monotonic_ns() + 11_000_000_000)
            assert await line.next("picture", "burst") == {
                "type": "burst",
                "seq": 1,
                "ring_id": better["ring_id"],
                "best": 2,
            }
        for n, jpeg in enumerate((EMPTY, BLURRED, SHARP)):
            assert await (await home.ask("GET", f"/v1/rings/1/{n}.jpg")).read() == jpeg


async def test_without_face_finder_a_later_picture_is_the_best(tmp_path: Path) -> None:
    config = Config(burst=BurstConfig(10))
    finder = FakeFaces(state=FacesState.OFF)
    async with (
        running_bridge(tmp_path / "state", photos=[EMPTY], finder=finder, config=config) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            assert line.hello["state"]["faces"] == "off"
            bridge.press()
            assert (await line.next("picture"))["faces"] == []
            bridge.camera.show(BLURRED)
            bridge.camera.show(SHARP, time.monotonic_ns() + 750_000_000)
            later, burst = await line.next("picture"), await line.next("burst")
        assert later["at_ms"] >= 700
        assert burst["best"] == later["n"] == 1
        assert finder.asked == []


async def test_without_camera_the_bell_rings_all_the_same(tmp_path: Path) -> None:
    async with running_bridge(tmp_path / "state") as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            assert line.hello["state"]["camera"] == "absent"
            bridge.press()
            ring, burst = await line.ring()
            assert burst == {"type": "burst", "seq": 1, "ring_id": ring["ring_id"], "best": None}


async def test_what_the_camera_saw_long_before_is_no_picture_of_a_ring(tmp_path: Path) -> None:
    async with running_bridge(tmp_path / "state") as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge)
        await home.pair()
        bridge.camera.show(SHARP, time.monotonic_ns() - 60_000_000_000)  # somebody else
        bridge.camera.become(CameraState.ABSENT)
        async with home.listen() as line:
            bridge.panel.press()
            assert [message["type"] for message in await line.ring()] == ["ring", "burst"]
            bridge.panel.press()
            bridge.camera.show(BLURRED)  # plugged in again, just in time
            _, picture, _ = await line.ring()
        assert picture["at_ms"] >= 0
        assert await (await home.ask("GET", "/v1/rings/2/0.jpg")).read() == BLURRED


async def test_two_rings_at_once_have_their_own_pictures(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        bridge.press(BLURRED)
        bridge.press(SHARP)
        messages = await line.ring() + await line.ring()
    assert [message["seq"] for message in messages if message["type"] == "ring"] == [1, 2]
    assert [message["seq"] for message in messages if message["type"] == "burst"] == [1, 2]
    assert await (await home.ask("GET", "/v1/rings/1/0.jpg")).read() == BLURRED
    assert await (await home.ask("GET", "/v1/rings/2/0.jpg")).read() == SHARP


async def test_what_is_not_acked_comes_again_and_what_is_acked_does_not(
    bridge: RunningBridge, home: Home
) -> None:
    async with home.listen() as line:
        rings = []
        for _ in range(3):
            bridge.press(SHARP)
            rings.append((await line.ring())[0]["ring_id"])
        await line.ack(2)
    async with home.listen() as line:
        assert line.hello["pending"] == 1
        again = await line.ring()
        assert [message["ring_id"] for message in again] == [rings[2]] * 3
        assert again[0]["replay"] is True
        await line.ack(3)
    async with home.listen() as line:
        assert line.hello["pending"] == 0
        bridge.press(SHARP)
        assert (await line.ring())[0]["seq"] == 4


async def test_ack_beyond_the_newest_ring_swallows_none(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        await line.ack(1000)
        bridge.press(SHARP)
        assert (await line.ring())[0]["seq"] == 1


async def test_rings_survive_a_restart_with_their_age_and_pictures(bridge: RunningBridge, home: Home) -> None:
    bridge.press(SHARP)
    async with home.listen() as line:
        before = await line.ring()
    await bridge.restart()
    async with home.listen() as line:
        after = await line.ring()
        assert after[0]["replay"] is True
        assert after[0]["age_ms"] > before[0]["age_ms"]
        changing = {"age_ms": 0, "replay": None}
        assert [{**message, **changing} for message in after] == [
            {**message, **changing} for message in before
        ]
        assert await (await home.ask("GET", "/v1/rings/1/0.jpg")).read() == SHARP
        bridge.press(SHARP)
        assert (await line.ring())[0]["seq"] == 2


async def test_burst_cut_by_a_restart_has_an_end(tmp_path: Path, faces: FakeFaces) -> None:
    config = Config(burst=BurstConfig(10))
    async with (
        running_bridge(tmp_path / "state", photos=[SHARP], finder=faces, config=config) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            bridge.press()
            await line.next("picture")
        await bridge.restart()
        async with home.listen() as line:
            assert (await line.ring())[-1]["best"] == 0


async def test_each_client_has_its_own_backlog(bridge: RunningBridge, home: Home, nobody: Home) -> None:
    bridge.press(SHARP)
    async with home.listen() as line:
        await line.ring()
    await nobody.pair("Second home")
    async with nobody.listen() as second:
        assert second.hello["pending"] == 0  # it was not there then
        bridge.press(SHARP)
        assert (await second.ring())[0]["seq"] == 2
        await second.ack(2)
    async with home.listen() as line:
        assert [(await line.ring())[0]["seq"], (await line.ring())[0]["seq"]] == [1, 2]


async def test_limits_of_storage_drop_the_oldest_rings(tmp_path: Path, faces: FakeFaces) -> None:
    from dataclasses import replace

    config = Config(burst=BurstConfig(0))
    config = replace(config, storage=replace(config.storage, rings=2))
    async with (
        running_bridge(tmp_path / "state", photos=[SHARP], finder=faces, config=config) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            for _ in range(4):
                bridge.press()
                await line.ring()
        await bridge.restart()
        async with home.listen() as line:
            assert line.hello["pending"] == 2
            assert [(await line.ring())[0]["seq"], (await line.ring())[0]["seq"]] == [3, 4]


async def test_a_ring_that_has_become_too_old_goes_though_nobody_rings(
    later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "PRUNE_AGAIN_S", 0.05)
    await later.bridge.restart()
    later.press()
    later.press()
    later.clock.wrong_by = timedelta(days=31)
    while (await (await later.home.ask("GET", "/v1/health")).json())["pending"] > 1:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.05)


async def test_state_is_told_on_change(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        assert line.hello["state"]["camera"] == "ok"
        bridge.camera.become(CameraState.STALLED)
        assert (await line.next("state"))["state"]["camera"] == "stalled"
        await line.send(type="do", id=1, output="green", pattern="blink", for_ms=60_000)
        assert (await line.next("state"))["state"]["outputs"]["green"] == Pattern.BLINK


async def test_damaged_frame_is_sent_without_faces(tmp_path: Path) -> None:
    from pi_bridge.errors import NotAnImageError
    from pi_bridge.model import FacesFound

    class Blind(FakeFaces):
        async def find(self, image: bytes, *, embed: bool = True) -> FacesFound:
            await asyncio.sleep(0)
            raise NotAnImageError("damaged")

    async with (
        running_bridge(tmp_path / "state", photos=[SHARP], finder=Blind()) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            bridge.press()
            assert [message.get("faces") for message in await line.ring()] == [None, [], None]


@dataclass
class Later:
    """What a client hears of a ring only later."""

    bridge: RunningBridge
    home: Home
    clock: FakeClock

    async def ring(self) -> tuple[dict[str, Any], timedelta]:
        """Return the message, and by how much its time is wrong."""
        async with self.home.listen() as line:
            ring, *_ = await line.ring()
        return ring, abs(datetime.fromisoformat(ring["at"]) - self.pressed_at)

    def press(self) -> None:
        self.pressed_at = datetime.now(UTC)
        self.bridge.press()


@pytest.fixture
async def later(tmp_path: Path) -> AsyncIterator[Later]:
    clock = FakeClock()
    async with running_bridge(tmp_path / "state", clock=clock) as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge)
        await home.pair()
        yield Later(bridge, home, clock)


async def test_a_wrong_clock_is_said(later: Later) -> None:
    later.clock.synchronized, later.clock.wrong_by = False, timedelta(days=-400)
    later.press()
    ring, _ = await later.ring()
    assert (ring["clock_ok"], ring["age_ok"]) == (False, True)
    assert ring["age_ms"] < 10_000


async def test_a_clock_that_was_set_since_mends_the_time_of_a_ring(later: Later) -> None:
    later.clock.synchronized, later.clock.wrong_by = False, timedelta(days=-400)
    later.press()
    later.clock.synchronized, later.clock.wrong_by = True, timedelta()
    ring, wrong_by = await later.ring()
    assert (ring["clock_ok"], ring["age_ok"]) == (True, True)
    assert wrong_by < timedelta(seconds=5)


async def test_a_ring_before_a_restart_keeps_its_age_whatever_the_clock(later: Later) -> None:
    later.press()
    later.clock.wrong_by = timedelta(days=3)
    await later.bridge.restart()
    ring, _ = await later.ring()
    assert ring["age_ok"] is True
    assert ring["age_ms"] < 60_000


async def test_a_ring_before_a_power_cut_is_never_taken_for_a_new_one(later: Later) -> None:
    later.press()
    later.clock.boot(uptime_ms=20_000)
    later.clock.synchronized, later.clock.wrong_by = False, timedelta(days=-1)
    await later.bridge.restart()
    ring, wrong_by = await later.ring()
    assert (ring["clock_ok"], ring["age_ok"]) == (True, False)
    assert ring["age_ms"] >= 20_000
    assert wrong_by < timedelta(seconds=5)


@pytest.mark.parametrize("knows_now", [False, True])
async def test_what_nobody_can_tell_is_not_made_up_of_two_wrong_clocks(later: Later, knows_now: bool) -> None:
    later.clock.synchronized, later.clock.wrong_by = False, timedelta(days=-400)
    later.press()
    later.clock.boot(uptime_ms=20_000)
    later.clock.synchronized, later.clock.wrong_by = knows_now, timedelta()
    await later.bridge.restart()
    ring, _ = await later.ring()
    assert (ring["clock_ok"], ring["age_ok"]) == (False, False)
    assert 20_000 <= ring["age_ms"] < 80_000


async def test_a_ring_of_a_time_that_nobody_knows_is_kept(later: Later) -> None:
    later.clock.synchronized, later.clock.wrong_by = False, timedelta(days=-400)
    later.press()
    later.clock.synchronized, later.clock.wrong_by = True, timedelta()
    later.press()
    async with later.home.listen() as line:
        assert [(await line.ring())[0]["seq"], (await line.ring())[0]["seq"]] == [1, 2]
    await later.bridge.restart()
    async with later.home.listen() as line:
        assert [(await line.ring())[0]["seq"], (await line.ring())[0]["seq"]] == [1, 2]
