"""No more calls a second are made than AWS allows in the region."""

from bisect import bisect_right
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from custom_components.face_doorbell.recognition.pace import Pace


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with patch("custom_components.face_doorbell.recognition.pace.sleep", clock.sleep):
        yield clock


@pytest.mark.parametrize(
    ("region", "operation", "allowed"),
    [
        ("eu-west-1", "CompareFaces", 100),
        ("eu-west-1", "SearchUsersByImage", 50),
        ("eu-west-1", "AssociateFaces", 5),
        ("eu-central-1", "CompareFaces", 25),
        ("eu-central-1", "IndexFaces", 5),
        ("eu-central-1", "CreateUser", 5),
    ],
)
def test_no_second_has_more_calls_than_are_allowed(
    clock: Clock, region: str, operation: str, allowed: int
) -> None:
    pace, times = Pace(region, clock), []
    for _ in range(3 * allowed):
        pace.wait(operation)
        times.append(clock.now)
    assert max(bisect_right(times, time + 0.999) - place for place, time in enumerate(times)) == allowed
    assert times[-1] - times[0] == pytest.approx(2)  # and none waits longer than it must


def test_a_visitor_waits_for_nobody_elses_turn(clock: Clock) -> None:
    pace = Pace("eu-central-1", clock)
    for _ in range(50):
        pace.wait("IndexFaces")
    before = clock.now
    for _ in range(5):
        pace.wait("SearchUsersByImage")
    assert clock.now == before
