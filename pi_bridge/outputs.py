"""Patterns on the LEDs and the buzzer. Each ends by itself: a client that is gone leaves nothing on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Final, NoReturn

from .errors import Refused
from .model import Output, Pattern
from .ports import Panel

# What a pattern repeats: (lit, for how many milliseconds). docs/protocol.md names the rates.
PATTERNS: Final[Mapping[Pattern, tuple[tuple[bool, int], ...]]] = {
    Pattern.ON: ((True, 1000),),
    Pattern.BLINK: ((True, 500), (False, 500)),
    Pattern.FAST: ((True, 125), (False, 125)),
    Pattern.DOUBLE: ((True, 100), (False, 100), (True, 100), (False, 700)),
}

# docs/protocol.md: an hour for a light; a minute of noise is enough for anybody.
MAX_MS: Final[Mapping[Output, int]] = {
    Output.GREEN: 3_600_000,
    Output.RED: 3_600_000,
    Output.BUZZER: 60_000,
}


@dataclass(slots=True)
class _Playing:
    pattern: Pattern
    steps: Iterator[tuple[bool, int]]
    end: asyncio.TimerHandle
    step: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        self.end.cancel()
        if self.step is not None:
            self.step.cancel()


class Outputs:
    """Plays patterns on a panel. All calls belong to the event loop.

    `changed` is called whenever `playing` has changed.
    """

    def __init__(self, panel: Panel, changed: Callable[[], None]) -> None:
        """Play on `panel`, which need not be started yet."""
        self._panel = panel
        self._changed = changed
        self._playing: dict[Output, _Playing] = {}

    @property
    def playing(self) -> dict[Output, Pattern]:
        """What each output plays now; `Pattern.OFF` for nothing."""
        return {
            output: self._playing[output].pattern if output in self._playing else Pattern.OFF
            for output in Output
        }

    def play(self, output: str, pattern: str, for_ms: int | None = None) -> None:
        """Play a pattern from now on for `for_ms` milliseconds, in place of what the output played before.

        `Pattern.OFF` ends what plays and needs no time. Raises Refused with `unknown_output`, `unknown_pattern` or
        `bad_duration`, and changes nothing then.
        """
        output, pattern = _output(output), _pattern(pattern)
        if pattern is Pattern.OFF:
            self.stop(output)
            return
        seconds = _duration_ms(output, for_ms) / 1000
        before = self.playing
        self._end(output)
        end = asyncio.get_running_loop().call_later(seconds, self.stop, output)
        self._playing[output] = _Playing(pattern, cycle(PATTERNS[pattern]), end)
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
        lit, duration_ms = next(playing.steps)
        self._panel.write(output, lit)
        playing.step = asyncio.get_running_loop().call_later(duration_ms / 1000, self._step, output)

    def _end(self, output: Output) -> None:
        playing = self._playing.pop(output, None)
        if playing is not None:
            playing.cancel()
            self._panel.write(output, False)

    def _tell(self, before: dict[Output, Pattern]) -> None:
        if self.playing != before:
            self._changed()


def _refuse(code: str, message: str) -> NoReturn:
    raise Refused(400, code, message)


def _output(value: str) -> Output:
    try:
        return Output(value)
    except ValueError:
        _refuse("unknown_output", f"output must be one of {', '.join(Output)}")


def _pattern(value: str) -> Pattern:
    try:
        return Pattern(value)
    except ValueError:
        _refuse("unknown_pattern", f"pattern must be one of {', '.join(Pattern)}")


def _duration_ms(output: Output, for_ms: int | None) -> int:
    if isinstance(for_ms, bool) or not isinstance(for_ms, int) or not 1 <= for_ms <= MAX_MS[output]:
        _refuse("bad_duration", f"for_ms must be a whole number from 1 to {MAX_MS[output]} for {output}")
    return for_ms
