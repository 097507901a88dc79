"""What the LEDs at the door answer to each outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .bridge import Output, Pattern
from .model import Outcome


@dataclass(frozen=True, slots=True)
class Light:
    """One LED's part of an answer."""

    output: Output
    pattern: Pattern
    for_ms: int


# Four answers that nobody can mix up: who is known sees green, who is not sees red, and only then do both light.
ANSWERS: Final[Mapping[Outcome, tuple[Light, ...]]] = MappingProxyType(
    {
        Outcome.RECOGNIZED: (Light(Output.GREEN, Pattern.BLINK, 5_000),),
        Outcome.UNKNOWN: (Light(Output.RED, Pattern.BLINK, 5_000),),
        Outcome.NO_FACE: (Light(Output.GREEN, Pattern.ON, 3_000), Light(Output.RED, Pattern.ON, 3_000)),
        Outcome.FAILED: (Light(Output.GREEN, Pattern.FAST, 3_000), Light(Output.RED, Pattern.FAST, 3_000)),
    }
)
