"""Patterns and melodies on the LEDs and the buzzer. Each ends by itself: a client that is gone leaves nothing on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Final, NoReturn

from .errors import Refused
from .melodies import STEPS, Step, length_ms
from .model import Melody, Output, Pattern, Tone
from .ports import Panel

# docs/protocol.md: an hour for a light; a minute of noise is enough for anybody.
MAX_MS: Final[Mapping[Output, int]] = {
    Output.GREEN: 3_600_000,
    Output.RED: 3_600_000,
    Output.BUZZER: 60_000,
}


@dataclass(slots=True)
class _Playing:
    tone: Tone
    steps: Iterator[Step]
    end: asyncio.TimerHandle
    step: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        self.end.cancel()
        if self.step is not None:
            self.step.cancel()


class Outputs:
    """Plays patterns on a panel, and melodies if its buzzer can. All calls belong to the event loop.

    `changed` is called whenever `playing` has changed.
    """

    def __init__(self, panel: Panel, changed: Callable[[], None], *, melodies: bool = False) -> None:
        """Play on `panel`, which need not be started yet; `melodies`: its buzzer is a passive one."""
        self._panel = panel
        self._changed = changed
        self.tones: tuple[Tone, ...] = (*Pattern, *Melody) if melodies else tuple(Pattern)
        self._playing: dict[Output, _Playing] = {}

    @property
    def playing(self) -> dict[Output, Tone]:
        """What each output plays now; `Pattern.OFF` for nothing."""
        return {
            output: self._playing[output].tone if output in self._playing else Pattern.OFF
            for output in Output
        }

    def play(self, output: str, tone: str, for_ms: int | None = None) -> None:
        """Play a pattern or melody from now on for `for_ms` milliseconds, in place of what the output played before.

        `Pattern.OFF` ends what plays and needs no time; without a time a melody plays once. Raises Refused with
        `unknown_output`, `unknown_pattern` or `bad_duration`, and changes nothing then.
        """
        output = _output(output)
        tone = self._tone(output, tone)
        if tone is Pattern.OFF:
            self.stop(output)
            return
        if for_ms is None and isinstance(tone, Melody):
            for_ms = length_ms(tone)
        seconds = _duration_ms(output, for_ms) / 1000
        before = self.playing
        self._end(output)
        end = asyncio.get_running_loop().call_later(seconds, self.stop, output)
        self._playing[output] = _Playing(tone, cycle(STEPS[tone]), end)
        self._step(output)
        self._tell(before)

    def stop(self, output: Output) -> None:
        """End what the output plays."""
        before = self.playing
        self._end(output)
        self._tell(before)

    def close(self) -> None:
        """End everything, without a word."""
        for output in Output:
            self._end(output)

    def _step(self, output: Output) -> None:
        playing = self._playing[output]
        step = next(playing.steps)
        self._panel.write(output, step.lit, step.hz)
        playing.step = asyncio.get_running_loop().call_later(step.ms / 1000, self._step, output)

    def _tone(self, output: Output, name: str) -> Tone:
        known: tuple[Tone, ...] = self.tones if output is Output.BUZZER else tuple(Pattern)
        tone = next((tone for tone in known if tone == name), None)
        if tone is None:
            _refuse("unknown_pattern", f"pattern must be one of {', '.join(known)} for {output}")
        return tone

    def _end(self, output: Output) -> None:
        playing = self._playing.pop(output, None)
        if playing is not None:
            playing.cancel()
            self._panel.write(output, False)

    def _tell(self, before: dict[Output, Tone]) -> None:
        if self.playing != before:
            self._changed()


def _refuse(code: str, message: str) -> NoReturn:
    raise Refused(400, code, message)


def _output(value: str) -> Output:
    try:
        return Output(value)
    except ValueError:
        _refuse("unknown_output", f"output must be one of {', '.join(Output)}")


def _duration_ms(output: Output, for_ms: int | None) -> int:
    if isinstance(for_ms, bool) or not isinstance(for_ms, int) or not 1 <= for_ms <= MAX_MS[output]:
        _refuse("bad_duration", f"for_ms must be a whole number from 1 to {MAX_MS[output]} for {output}")
    return for_ms
