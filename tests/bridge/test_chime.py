"""What sounds at a press, as Home Assistant has chosen it, and the hours in which nothing does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
import sqlite3
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from pi_bridge.chime import QuietHours
from pi_bridge.config import BurstConfig, BuzzerConfig, BuzzerKind, Config
from pi_bridge.melodies import length_ms
from pi_bridge.model import Melody, Output, Pattern

from .doubles import BURST_S, FakeClock, RunningBridge, running_bridge
from .home import Home, Line

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"start": "22:00:00", "end": "07:00:00", "zone": "Europe/Berlin"}
AS_ON_THE_PI = {"tone": None, "for_ms": None, "quiet": None}


@pytest.mark.parametrize(
    ("start", "end", "at", "quiet"),
    [
        (time(22), time(7), "2026-11-27T21:59:59+01:00", False),
        (time(22), time(7), "2026-11-27T22:00:00+01:00", True),
        (time(22), time(7), "2026-11-28T06:59:59+01:00", True),
        (time(22), time(7), "2026-11-28T07:00:00+01:00", False),
        (time(13), time(15), "2026-11-27T14:00:00+01:00", True),
        (time(13), time(15), "2026-11-27T15:00:00+01:00", False),
        (time(13), time(13), "2026-11-27T13:00:00+01:00", False),
        # The same moment of the day in UTC, before and after summer time has ended in the night to 25 October.
        (time(22), time(7), "2026-10-24T05:30:00+00:00", False),
        (time(22), time(7), "2026-10-25T05:30:00+00:00", True),
    ],
)
def test_quiet_hours_go_by_the_clocks_on_the_wall(start: time, end: time, at: str, quiet: bool) -> None:
    assert QuietHours(start, end, BERLIN).include(datetime.fromisoformat(at).astimezone(UTC)) is quiet


@dataclass
class Door:
    """A bridge whose clock the test sets, and a client of it."""

    bridge: RunningBridge
    home: Home
    clock: FakeClock

    @property
    def sounds(self) -> str:
        return self.bridge.running.bridge.outputs.playing[Output.BUZZER]

    def set_clock(self, at: datetime) -> None:
        self.clock.wrong_by = at - datetime.now(UTC)

    async def choose(self, **chime: Any) -> dict[str, Any]:
        """Choose a chime, and return the bridge's answer."""
        async with self.home.listen() as line:
            await line.send(type="chime", id=1, **chime)
            return await line.answer(1)

    async def chosen(self) -> Any:
        async with self.home.listen() as line:
            return line.hello["chime"]


@pytest.fixture
def buzzer() -> BuzzerConfig:
    return BuzzerConfig()


@pytest.fixture
async def door(tmp_path: Path, buzzer: BuzzerConfig) -> AsyncIterator[Door]:
    clock = FakeClock()
    config = Config(buzzer=buzzer, burst=BurstConfig(BURST_S))
    async with (
        running_bridge(tmp_path / "state", config=config, clock=clock) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        yield Door(bridge, home, clock)


passive = pytest.mark.parametrize("buzzer", [BuzzerConfig(kind=BuzzerKind.PASSIVE)])


async def test_nothing_is_chosen_at_first(door: Door) -> None:
    assert await door.chosen() == AS_ON_THE_PI
    door.bridge.press()
    assert door.sounds == Pattern.ON


async def test_what_is_chosen_sounds_and_outlives_a_restart(door: Door) -> None:
    chime = {"tone": "double", "for_ms": 1500, "quiet": NIGHT}
    door.set_clock(datetime(2026, 11, 27, 12, tzinfo=BERLIN))

    assert await door.choose(**chime) == {"type": "done", "id": 1}
    await door.bridge.restart()

    assert await door.chosen() == chime
    door.bridge.press()
    assert door.sounds == Pattern.DOUBLE


async def test_a_chime_can_be_off(door: Door) -> None:
    await door.choose(tone="off")
    door.bridge.press()
    assert door.sounds == Pattern.OFF


async def test_in_quiet_hours_the_button_rings_without_a_sound(door: Door) -> None:
    await door.choose(quiet=NIGHT)
    door.set_clock(datetime(2026, 11, 27, 23, tzinfo=BERLIN))

    async with door.home.listen() as line:
        door.bridge.press()
        ring = await line.next("ring")
        assert door.sounds == Pattern.OFF
        assert not door.bridge.panel.writes
        await play(line, "buzzer", chime=True)
        assert door.sounds == Pattern.OFF
        # Lights answer, and what somebody asks for by himself sounds.
        await play(line, "green", chime=True)
        await play(line, "buzzer")

    assert ring["seq"] == 1
    assert door.bridge.panel.is_lit(Output.GREEN)
    assert door.sounds == Pattern.ON


async def test_beyond_quiet_hours_the_doorbell_answers_with_a_sound(door: Door) -> None:
    await door.choose(quiet=NIGHT)
    door.set_clock(datetime(2026, 11, 27, 12, tzinfo=BERLIN))
    async with door.home.listen() as line:
        await play(line, "buzzer", chime=True)
    assert door.sounds == Pattern.ON


async def play(line: Line, output: str, **more: Any) -> None:
    await line.send(type="do", id=2, output=output, pattern="on", for_ms=60_000, **more)
    assert (await line.answer(2))["type"] == "done"


async def test_a_client_tells_the_time_to_a_bridge_that_does_not_know_it(door: Door) -> None:
    await door.choose(quiet=NIGHT)
    door.clock.synchronized, door.clock.wrong_by = False, timedelta(days=-400)
    async with door.home.listen() as line:
        await line.send(type="time", now="2026-11-27T22:30:00+01:00")
        await line.ack(0)
        door.bridge.press()
        assert door.sounds == Pattern.OFF
        await line.send(type="time", now="2026-11-27T06:30:00Z")
        await line.ack(0)
        door.bridge.press()
        assert door.sounds == Pattern.ON


async def test_who_tells_no_proper_time_is_sent_away(door: Door) -> None:
    for now in ("half past ten", "2026-11-27T22:30:00", "0001-01-01T00:00Z", "9999-12-31T23:59-12:00", 5):
        async with door.home.listen() as line:
            await line.send(type="time", now=now)
            assert await line.ended() == 1008


async def test_who_does_not_know_the_time_rings(door: Door) -> None:
    await door.choose(quiet=NIGHT)
    door.set_clock(datetime(2026, 11, 27, 23, tzinfo=BERLIN))
    door.clock.synchronized = False
    door.bridge.press()
    assert door.sounds == Pattern.ON


@passive
async def test_a_passive_buzzer_plays_melodies(door: Door) -> None:
    await door.choose(tone="ding_dong")
    async with door.home.listen() as line:
        assert line.hello["tones"] == [*Pattern, *Melody]
        door.bridge.press()
        ring = await line.next("ring")
    assert ring["seq"] == 1
    assert door.sounds == Melody.DING_DONG


@pytest.mark.parametrize("buzzer", [BuzzerConfig(kind=BuzzerKind.PASSIVE, pattern=Melody.CUCKOO)])
async def test_the_pi_can_choose_a_melody_too(door: Door) -> None:
    door.bridge.press()
    assert door.sounds == Melody.CUCKOO


async def test_an_active_buzzer_plays_what_it_can_instead_of_a_melody(door: Door) -> None:
    """The buzzer was changed after the melody was chosen: a doorbell rings all the same."""
    await door.choose(tone="ding_dong", for_ms=2000)
    async with door.home.listen() as line:
        assert line.hello["tones"] == list(Pattern)
    door.bridge.press()
    assert door.sounds == Pattern.ON


@pytest.mark.parametrize(
    ("chime", "code"),
    [
        ({"for_ms": 0}, "bad_duration"),
        ({"for_ms": 10_001}, "bad_duration"),
        ({"for_ms": True}, "bad_request"),
        ({"for_ms": "long"}, "bad_request"),
        ({"tone": 5}, "bad_request"),
        ({"quiet": {"start": "22:00"}}, "bad_request"),
        ({"quiet": {**NIGHT, "end": "25:00"}}, "bad_request"),
        ({"quiet": {**NIGHT, "end": "07:00+01:00"}}, "bad_request"),
        ({"quiet": {**NIGHT, "zone": "Europe/Atlantis"}}, "unknown_zone"),
        ({"quiet": {**NIGHT, "zone": "../../etc/passwd"}}, "unknown_zone"),
        ({"quiet": {**NIGHT, "zone": "zone.tab"}}, "unknown_zone"),
        ({"quiet": {**NIGHT, "zone": ""}}, "unknown_zone"),
    ],
)
async def test_what_is_refused_changes_nothing(door: Door, chime: dict[str, Any], code: str) -> None:
    await door.choose(tone="double")
    assert (await door.choose(**chime))["code"] == code
    assert await door.chosen() == {**AS_ON_THE_PI, "tone": "double"}


async def test_the_last_client_takes_its_choice_along(door: Door) -> None:
    await door.choose(tone="off")
    assert (await door.home.ask("DELETE", "/v1/token")).status == 204
    await door.home.pair()
    assert await door.chosen() == AS_ON_THE_PI


async def test_a_chosen_zone_that_is_gone_leaves_a_doorbell_that_rings(tmp_path: Path, door: Door) -> None:
    await door.choose(tone="double")
    await door.bridge.stop()
    with closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite")) as journal, journal:
        gone = (
            '{"tone": "double", "for_ms": null, "quiet": {"start": "22:00", "end": "07:00", "zone": "A/B"}}'
        )
        journal.execute("UPDATE settings SET value = ?", (gone,))
    await door.bridge.start()
    assert await door.chosen() == AS_ON_THE_PI


def test_melodies_are_short_enough_for_a_door() -> None:
    assert all(500 <= length_ms(melody) <= 6000 for melody in Melody)
