"""The one rule that turns similarities into an answer, for every engine, and the words for how sure it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..model import Box
from .model import FaceAnswer, Match

DEFAULT_THRESHOLD = 90.0  # each engine maps its own scale so that this is its recommended operating point
LEAST_THRESHOLD = 50  # below this an engine confuses strangers with persons
DEFAULT_MARGIN = 2.0  # two look-alikes closer than this are not told apart


@dataclass(frozen=True, slots=True)
class Rule:
    """When a face is somebody, on the scale of similarity, 0 to 100.

    `threshold` is the least similarity, `margin` the least lead over the second person.
    """

    threshold: float = DEFAULT_THRESHOLD
    margin: float = DEFAULT_MARGIN

    def __post_init__(self) -> None:
        """Refuse what could never or always hold."""
        if not 0 < self.threshold <= 100 or not 0 <= self.margin <= 100:
            raise ValueError(f"threshold must be in (0, 100] and margin in [0, 100]: {self}")


class Certainty(StrEnum):
    """How sure an answer is, in words; the number is for the details."""

    SURE = "sure"
    PROBABLY = "probably"
    NOT_SURE = "not_sure"


def decide(box: Box, matches: Iterable[Match], rule: Rule, quality: float | None = None) -> FaceAnswer:
    """Return whose face it is; `matches` in any order, at most one for each person."""
    ranked = tuple(sorted(matches, key=lambda match: match.similarity, reverse=True))
    if not ranked:
        return FaceAnswer(box, None, None, quality=quality)
    best = ranked[0]
    lead = best.similarity - (ranked[1].similarity if len(ranked) > 1 else 0.0)
    known = best.similarity >= rule.threshold and lead >= rule.margin
    return FaceAnswer(box, best.person_id if known else None, best.similarity, ranked, quality)


def certainty(similarity: float, rule: Rule) -> Certainty:
    """Return how sure a similarity is: sure in the upper half of what the rule accepts, not sure below it."""
    if similarity >= (rule.threshold + 100) / 2:
        return Certainty.SURE
    return Certainty.PROBABLY if similarity >= rule.threshold else Certainty.NOT_SURE
