"""What the outputs repeat while they play, as data: patterns for all of them, melodies for a passive buzzer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from .model import Melody, Pattern, Tone

GAP_MS: Final = 30  # of silence at the end of a note, or a repeated one would sound as one long one
PAUSE_MS: Final = 600  # after a melody, before it begins again

_SEMITONES: Final = {"C": -9, "D": -7, "E": -5, "F": -4, "G": -2, "A": 0, "B": 2}  # from A, upwards


class Step(NamedTuple):
    """Lit or dark for `ms` milliseconds; `hz` is the pitch on a passive buzzer, None its usual one."""

    lit: bool
    ms: int
    hz: float | None = None


def pitch(note: str) -> float:
    """Return the pitch in Hz of a note such as "C5" (equal temperament, A4 is 440 Hz)."""
    name, octave = note[0], int(note[1:])
    return 440.0 * 2 ** (octave - 4 + _SEMITONES[name] / 12)


def _melody(beat_ms: int, *notes: tuple[str, float]) -> tuple[Step, ...]:
    """Return the steps of notes that are so many beats long."""
    steps = [
        step
        for note, beats in notes
        for step in (Step(True, round(beats * beat_ms) - GAP_MS, pitch(note)), Step(False, GAP_MS))
    ]
    return (*steps, Step(False, PAUSE_MS))


# docs/protocol.md names the rates of the patterns. The tunes are older than any copyright.
STEPS: Final[Mapping[Tone, tuple[Step, ...]]] = {
    Pattern.ON: (Step(True, 1000),),
    Pattern.BLINK: (Step(True, 500), Step(False, 500)),
    Pattern.FAST: (Step(True, 125), Step(False, 125)),
    Pattern.DOUBLE: (Step(True, 100), Step(False, 100), Step(True, 100), Step(False, 700)),
    Melody.DING_DONG: _melody(450, ("E6", 1), ("C6", 1.5)),
    Melody.CUCKOO: _melody(350, ("G5", 1), ("E5", 1.5), ("G5", 1), ("E5", 1.5)),
    Melody.RISING: _melody(160, ("C6", 1), ("E6", 1), ("G6", 1), ("C7", 2)),
    Melody.WESTMINSTER: _melody(
        400, ("E5", 1), ("C5", 1), ("D5", 1), ("G4", 2), ("G4", 1), ("D5", 1), ("E5", 1), ("C5", 2)
    ),
    Melody.ODE_TO_JOY: _melody(
        260,
        *(("E5", 1), ("E5", 1), ("F5", 1), ("G5", 1), ("G5", 1), ("F5", 1), ("E5", 1), ("D5", 1)),
        *(("C5", 1), ("C5", 1), ("D5", 1), ("E5", 1), ("E5", 1.5), ("D5", 0.5), ("D5", 2)),
    ),
    Melody.ALARM: _melody(220, ("A6", 1), ("E6", 1), ("A6", 1), ("E6", 1)),
}


def length_ms(melody: Melody) -> int:
    """Return how long a melody sounds once, without the pause after it."""
    return sum(step.ms for step in STEPS[melody]) - PAUSE_MS
