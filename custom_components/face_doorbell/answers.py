"""What the LEDs and the buzzer at the door answer to each outcome."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .bridge import Output, Pattern
from .model import Outcome

CONF_ANSWERS: Final = "answers"


class Command(NamedTuple):
    """One output's part of an answer; without `for_ms` a melody plays once."""

    output: Output
    tone: str
    for_ms: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What each output plays, for so many seconds."""

    green: Pattern = Pattern.OFF
    red: Pattern = Pattern.OFF
    buzzer: str = Pattern.OFF
    seconds: float = 3

    def commands(self, tones: Container[str]) -> Iterator[Command]:
        """Yield what is to be played, except what the buzzer cannot: `tones` are what it can."""
        for_ms = round(self.seconds * 1000)
        for output, pattern in ((Output.GREEN, self.green), (Output.RED, self.red)):
            if pattern is not Pattern.OFF:
                yield Command(output, pattern, for_ms)
        if self.buzzer != Pattern.OFF and self.buzzer in tones:
            yield Command(Output.BUZZER, self.buzzer, for_ms if self.buzzer in list(Pattern) else None)


# Four answers that nobody can mix up: who is known sees green, who is not sees red, and only then do both light.
ANSWERS: Final[Mapping[Outcome, Answer]] = MappingProxyType(
    {
        Outcome.RECOGNIZED: Answer(green=Pattern.BLINK, seconds=5),
        Outcome.UNKNOWN: Answer(red=Pattern.BLINK, seconds=5),
        Outcome.NO_FACE: Answer(green=Pattern.ON, red=Pattern.ON),
        Outcome.FAILED: Answer(green=Pattern.FAST, red=Pattern.FAST),
    }
)


def chosen_answer(options: Mapping[str, Any], outcome: Outcome) -> Answer:
    """Return what the options of a doorbell's entry say, or the usual answer."""
    chosen = options.get(CONF_ANSWERS, {}).get(outcome)
    if chosen is None:
        return ANSWERS[outcome]
    return Answer(
        Pattern(chosen["green"]), Pattern(chosen["red"]), chosen["buzzer"], float(chosen["seconds"])
    )
