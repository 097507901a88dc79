from __future__ import annotations

import asyncio
import time

import pytest

from pi_bridge.errors import Refused
from pi_bridge.melodies import STEPS, length_ms, pitch
from pi_bridge.model import Melody, Output, Pattern, Tone
from pi_bridge.outputs import Outputs

from .doubles import FakePanel

ALL_OFF = dict.fromkeys(Output, Pattern.OFF)


class Playing:
    """Outputs with their panel, and what `changed` saw each time."""

    def __init__(self, *, melodies: bool = False) -> None:
        self.panel = FakePanel()
        self.seen: list[dict[Output, Tone]] = []
        self.outputs = Outputs(self.panel, self._changed, melodies=melodies)
        self._silent = asyncio.Event()

    def _changed(self) -> None:
        self.seen.append(self.outputs.playing)
        if self.outputs.playing == ALL_OFF:
            self._silent.set()

    async def until_silent(self) -> None:
        await self._silent.wait()


@pytest.fixture
def door() -> Playing:
    return Playing()


async def test_it_plays_at_once_and_ends_by_itself(door: Playing) -> None:
    door.outputs.play("green", "on", 30)
    assert door.panel.is_lit(Output.GREEN)
    assert door.outputs.playing == ALL_OFF | {Output.GREEN: Pattern.ON}
    await door.panel.until(Output.GREEN, lit=False)
    assert door.outputs.playing == ALL_OFF
    assert door.seen == [ALL_OFF | {Output.GREEN: Pattern.ON}, ALL_OFF]


async def test_a_pattern_repeats_until_its_time_is_over(door: Playing) -> None:
    started = time.monotonic()
    door.outputs.play("red", "fast", 700)
    await door.until_silent()
    assert time.monotonic() - started >= 0.699
    levels = [lit for _, lit in door.panel.writes]
    assert levels[:4] == [True, False, True, False]
    assert not levels[-1]


@pytest.mark.parametrize(
    ("pattern", "per_second", "share_lit"),
    [
        (Pattern.ON, 1, 1.0),
        (Pattern.BLINK, 1, 0.5),
        (Pattern.FAST, 4, 0.5),
        (Pattern.DOUBLE, 2, 0.2),
    ],
)
def test_the_rates_of_the_protocol(pattern: Pattern, per_second: int, share_lit: float) -> None:
    steps = STEPS[pattern]
    total_ms = sum(step.ms for step in steps)
    assert sum(step.lit for step in steps) * 1000 / total_ms == per_second
    assert sum(step.ms for step in steps if step.lit) / total_ms == share_lit


@pytest.mark.parametrize(("note", "hz"), [("A4", 440.0), ("C4", 261.626), ("C5", 523.251), ("B6", 1975.533)])
def test_notes_have_the_pitch_of_a_piano(note: str, hz: float) -> None:
    assert pitch(note) == pytest.approx(hz, abs=0.001)


async def test_a_melody_plays_its_notes_once() -> None:
    door = Playing(melodies=True)
    started = time.monotonic()
    door.outputs.play("buzzer", "rising")
    await door.until_silent()
    assert time.monotonic() - started >= length_ms(Melody.RISING) / 1000 - 0.001
    notes = [hz for _, lit, hz in door.panel.played if lit]
    assert notes == [pitch(note) for note in ("C6", "E6", "G6", "C7")]
    assert not door.panel.is_lit(Output.BUZZER)


async def test_a_melody_repeats_for_its_time() -> None:
    door = Playing(melodies=True)
    door.outputs.play("buzzer", "alarm", 60_000)
    assert door.outputs.playing == ALL_OFF | {Output.BUZZER: Melody.ALARM}
    door.outputs.close()


@pytest.mark.parametrize(("melodies", "output"), [(False, "buzzer"), (True, "green")])
async def test_a_melody_is_for_a_passive_buzzer(melodies: bool, output: str) -> None:
    door = Playing(melodies=melodies)
    with pytest.raises(Refused) as caught:
        door.outputs.play(output, "ding_dong", 1000)
    assert caught.value.code == "unknown_pattern"
    assert not door.panel.writes


async def test_the_next_replaces_what_plays(door: Playing) -> None:
    door.outputs.play("green", "on", 20)
    door.outputs.play("green", "blink", 60_000)
    door.outputs.play("red", "on", 20)
    await door.panel.until(Output.RED, lit=False)  # as long as the first would have lasted
    assert door.outputs.playing == ALL_OFF | {Output.GREEN: Pattern.BLINK}
    door.outputs.close()


async def test_outputs_play_independently(door: Playing) -> None:
    door.outputs.play("green", "on", 60_000)
    door.outputs.play("buzzer", "double", 60_000)
    door.outputs.stop(Output.GREEN)
    assert door.outputs.playing == ALL_OFF | {Output.BUZZER: Pattern.DOUBLE}
    assert not door.panel.is_lit(Output.GREEN)
    door.outputs.close()


async def test_off_needs_no_time(door: Playing) -> None:
    door.outputs.play("green", "on", 60_000)
    door.outputs.play("green", "off")
    assert door.outputs.playing == ALL_OFF
    assert not door.panel.is_lit(Output.GREEN)


async def test_changed_is_called_only_for_a_change(door: Playing) -> None:
    door.outputs.play("green", "on", 60_000)
    door.outputs.play("green", "on", 60_000)
    door.outputs.stop(Output.RED)
    assert len(door.seen) == 1
    door.outputs.close()


async def test_close_leaves_all_dark(door: Playing) -> None:
    for output in Output:
        door.outputs.play(output, Pattern.ON, 60_000)
    door.outputs.close()
    assert not any(door.panel.is_lit(output) for output in Output)
    assert door.outputs.playing == ALL_OFF


@pytest.mark.parametrize(
    ("output", "pattern", "for_ms", "code"),
    [
        ("blue", "on", 1000, "unknown_output"),
        ("green", "disco", 1000, "unknown_pattern"),
        ("green", "on", None, "bad_duration"),
        ("green", "on", 0, "bad_duration"),
        ("green", "on", -1, "bad_duration"),
        ("green", "on", True, "bad_duration"),
        ("green", "on", 3_600_001, "bad_duration"),
        ("buzzer", "on", 60_001, "bad_duration"),
    ],
)
async def test_what_is_refused_changes_nothing(
    door: Playing, output: str, pattern: str, for_ms: int | None, code: str
) -> None:
    door.outputs.play("green", "blink", 60_000)
    with pytest.raises(Refused) as caught:
        door.outputs.play(output, pattern, for_ms)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert door.outputs.playing == ALL_OFF | {Output.GREEN: Pattern.BLINK}
    door.outputs.close()
