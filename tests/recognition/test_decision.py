"""The rule for all engines."""

import pytest

from custom_components.face_doorbell.model import Box, Outcome
from custom_components.face_doorbell.recognition.decision import Certainty, Rule, certainty, decide
from custom_components.face_doorbell.recognition.model import Match, Recognition

BOX = Box(0.1, 0.1, 0.2, 0.2)


@pytest.mark.parametrize(
    ("similarities", "known"),
    [
        ({"ann": 90.0}, "ann"),
        ({"ann": 89.9}, None),
        ({"ann": 99.0, "bob": 97.0}, "ann"),
        ({"ann": 99.0, "bob": 97.1}, None),
        ({"bob": 97.1, "ann": 99.5}, "ann"),
        ({"ann": 91.0, "bob": 20.0, "cem": 10.0}, "ann"),
        ({}, None),
    ],
)
def test_a_face_is_somebody_above_the_threshold_and_ahead_of_the_second(
    similarities: dict[str, float], known: str | None
) -> None:
    answer = decide(BOX, [Match(*item) for item in similarities.items()], Rule())
    assert answer.person_id == known
    assert answer.similarity == max(similarities.values(), default=None)
    assert [match.similarity for match in answer.matches] == sorted(similarities.values(), reverse=True)


def test_the_user_may_be_stricter() -> None:
    assert decide(BOX, [Match("ann", 95.0)], Rule(threshold=99)).person_id is None
    assert decide(BOX, [Match("ann", 99.0), Match("bob", 90.0)], Rule(margin=10)).person_id is None


@pytest.mark.parametrize("rule", [(0, 2), (101, 2), (90, -1), (float("nan"), 2)])
def test_a_rule_that_makes_no_sense_is_refused(rule: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Rule(*rule)


@pytest.mark.parametrize(
    ("similarity", "words"),
    [(100, "sure"), (95, "sure"), (94.9, "probably"), (90, "probably"), (89.9, "not_sure"), (0, "not_sure")],
)
def test_certainty_in_words(similarity: float, words: str) -> None:
    assert certainty(similarity, Rule()) is Certainty(words)


@pytest.mark.parametrize(
    ("persons", "outcome"),
    [((), "no_face"), ((None,), "unknown"), ((None, "ann"), "recognized"), (("ann",), "recognized")],
)
def test_one_known_face_makes_the_visit_recognized(persons: tuple[str | None, ...], outcome: str) -> None:
    faces = tuple(
        decide(BOX, [Match(person, 99.0)] if person else [Match("bob", 10.0)], Rule()) for person in persons
    )
    assert Recognition("local", faces).outcome is Outcome(outcome)
