"""Every billed call is counted, whoever makes it, and none is made beyond the budget."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.aws import AwsSettings
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError, RecognitionError
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.ledger import Ledger
from custom_components.face_doorbell.recognition.prices import PRICES, cost
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import RekognitionEngine, check
from custom_components.face_doorbell.recognition.usage import MonthUsage, Usage
from tests.fake_rekognition import BILLED, Fault, PaintedEyes, aws_server, paint
from tests.recognition.conftest import SETTINGS, Cloud


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def usage(clock: Clock) -> Usage:
    return Usage(clock)


@pytest.fixture
def recognizer(cloud: Cloud, gallery: Gallery, usage: Usage) -> Recognizer:
    return Recognizer(RekognitionEngine(SETTINGS, Rule(), usage), gallery)


def test_the_prices_are_of_what_the_engine_calls() -> None:
    assert set(PRICES) == BILLED - {"SearchFacesByImage"}  # which it does not call


async def test_every_kind_of_work_is_counted(cloud: Cloud, recognizer: Recognizer, usage: Usage) -> None:
    await check(SETTINGS, usage)
    assert usage.month.calls == cloud.rekognition.billed
    await recognizer.start({})
    await recognizer.enrol("Ann", [paint(0), paint(0, mark=1)])
    await recognizer.recognize(Picture(paint(0, 120)))
    await recognizer.compare(paint(0), paint(120))
    assert usage.month.calls == cloud.rekognition.billed
    assert usage.month.cost == pytest.approx(0.001 * sum(cloud.rekognition.billed.values()))
    await recognizer.close()


async def test_a_call_that_aws_refuses_is_not_billed(
    cloud: Cloud, recognizer: Recognizer, usage: Usage
) -> None:
    await recognizer.start({})
    cloud.rekognition.fail["SearchUsersByImage"] = Fault("AccessDeniedException")
    with pytest.raises(RecognitionError, match="missing_permission"):
        await recognizer.recognize(Picture(paint(0)))
    assert usage.month.calls == {}
    with pytest.raises(RecognitionError, match="photo_no_face"):
        await recognizer.compare(paint(), paint())
    assert usage.month.calls == {"CompareFaces": 1}  # it has looked
    await recognizer.close()


async def test_nothing_is_called_beyond_the_budget(
    cloud: Cloud, recognizer: Recognizer, usage: Usage, clock: Clock
) -> None:
    await recognizer.start({})
    usage.budget = 0.002
    assert usage.spent == 0
    await recognizer.recognize(Picture(paint(0)))
    assert usage.spent == pytest.approx(0.5)
    await recognizer.recognize(Picture(paint(0)))
    with pytest.raises(EngineUnavailableError, match="budget_spent"):
        await recognizer.recognize(Picture(paint(0)))
    assert cloud.rekognition.billed == usage.month.calls == {"SearchUsersByImage": 2}

    usage.lift()
    await recognizer.recognize(Picture(paint(0)))
    assert usage.month.lifted
    clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert usage.month == MonthUsage("2026-12")
    await recognizer.close()


async def test_many_at_once_do_not_share_the_last_cent(
    cloud: Cloud, recognizer: Recognizer, usage: Usage
) -> None:
    await recognizer.start({})
    usage.budget = 0.005
    answers = await asyncio.gather(
        *(recognizer.recognize(Picture(paint(0))) for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(answer, EngineUnavailableError) for answer in answers) == 7
    assert cloud.rekognition.billed == {"SearchUsersByImage": 5}
    await recognizer.close()


def test_what_was_kept_goes_on_in_the_same_month_only(clock: Clock) -> None:
    usage = Usage(clock)
    usage.restore([MonthUsage("2026-11", {"CompareFaces": 7})])
    usage.reserve("CompareFaces")
    usage.reserve("ListFaces")
    assert usage.month == MonthUsage("2026-11", {"CompareFaces": 8})
    usage.restore([MonthUsage("2026-10", {"CompareFaces": 7})])
    assert usage.month == MonthUsage("2026-11")


@pytest.mark.parametrize("wrong", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2036, 2, 3, tzinfo=UTC)])
def test_a_clock_that_is_wrong_for_a_while_forgets_no_call(
    clock: Clock, tmp_path: Path, wrong: datetime
) -> None:
    """A machine without a clock of its own starts in 1970, and asks AWS before it has asked the network."""
    ledger = Ledger(tmp_path / "usage.sqlite")
    usage = Usage(clock, keep=ledger.save)
    usage.budget = 0.003
    right = clock.now
    for clock.now in (right, right, wrong, right):
        usage.reserve("CompareFaces")
    again = Usage(clock)
    again.restore(ledger.load())
    again.budget = 0.003
    for counted in (usage, again):
        assert counted.month == MonthUsage("2026-11", {"CompareFaces": 3})
        with pytest.raises(EngineUnavailableError, match="budget_spent"):
            counted.reserve("CompareFaces")
    ledger.close()


def test_every_change_is_told() -> None:
    told: list[float] = []
    counted = Usage(changed=lambda: told.append(counted.month.cost))
    counted.reserve("CompareFaces")
    counted.refund("CompareFaces")
    assert told == [cost({"CompareFaces": 1}), 0]


@pytest.fixture
def server() -> Iterator[AwsSettings]:
    """AWS over real sockets, throttled once for each answer."""
    with aws_server(PaintedEyes()) as (url, fake):
        fake.fail["CompareFaces"] = Fault("ThrottlingException", times=1)
        yield replace(SETTINGS, endpoint_url=url)


async def test_a_call_that_botocore_tries_again_counts_once(server: AwsSettings, usage: Usage) -> None:
    engine = RekognitionEngine(server, Rule(), usage)
    assert await engine.compare(paint(0), paint(0)) > 99
    assert usage.month.calls == {"CompareFaces": 1}
    await engine.close()
