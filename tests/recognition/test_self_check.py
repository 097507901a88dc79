"""Whether a gallery tells its persons apart."""

from datetime import UTC, datetime
import math

import pytest

from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError
from custom_components.face_doorbell.recognition.gallery import Gallery, Person, Photo
from custom_components.face_doorbell.recognition.local import LocalEngine
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.self_check import Harm, check_persons
from tests.photos import photo
from tests.recognition.conftest import SETTINGS, Bridge, Cloud, rekognition

ADDED = datetime(2026, 11, 22, tzinfo=UTC)


def person(name: str, *degrees: float) -> Person:
    """Return a person with a photo in each of these directions of a plane."""
    photos = tuple(
        Photo(f"{number:016}", ADDED, {"m": (math.cos(math.radians(d)), math.sin(math.radians(d)))})
        for number, d in enumerate(degrees)
    )
    return Person(name.lower(), name, photos)


def test_persons_who_are_far_apart_need_no_other_threshold() -> None:
    check = check_persons([person("Ann", 0, 4, 8), person("Bob", 180, 184, 188)], Rule())
    assert (check.tested, check.recognized) == (6, 6)
    assert (list(check.pairs), list(check.harmful)) == ([], [])
    assert check.threshold == 90
    assert check.above is not None
    assert check.below is not None
    assert check.above < 1
    assert check.below > 99


def test_look_alikes_need_a_higher_threshold() -> None:
    """42 degrees are a distance of 0.72, within the limit of 0.80; own photos lie within 4."""
    ann, bob = person("Ann", 0, 2, 4), person("Bob", 46, 48, 50)
    check = check_persons([ann, bob], Rule())
    (pair,) = check.pairs
    assert [pair.first, pair.second] == [ann, bob]
    assert pair.similarity == pytest.approx(check.above)
    assert 90 < pair.similarity < 97
    assert check.threshold is not None
    assert pair.similarity < check.threshold < check.below  # type: ignore[operator]  # there is one


def test_a_photo_of_somebody_else_is_found() -> None:
    ann, bob = person("Ann", 0, 4, 8, 182), person("Bob", 180, 184, 188)
    (harmful,) = check_persons([ann, bob], Rule()).harmful
    assert (harmful.person, harmful.photo, harmful.harm, harmful.other) == (
        ann,
        ann.photos[3],
        Harm.LOOKS_LIKE_OTHER,
        bob,
    )


def test_a_photo_unlike_the_others_is_found() -> None:
    ann, bob = person("Ann", 0, 4, 8, 90), person("Bob", 180, 184, 188)
    (harmful,) = check_persons([ann, bob], Rule()).harmful
    assert (harmful.photo, harmful.harm, harmful.other) == (ann.photos[3], Harm.UNLIKE_OWN, None)


def test_where_no_threshold_separates_none_is_named() -> None:
    """Ann's photos are as alike as Ann and Bob are, and Cem's still less."""
    persons = [person("Ann", 0, 55), person("Bob", -57, -59), person("Cem", 180, 240)]
    check = check_persons(persons, Rule())
    assert list(check.harmful) == []
    assert check.threshold is None


def test_one_photo_has_nothing_to_be_compared_with() -> None:
    ann, nobody = person("Ann", 0), person("Nobody")
    check = check_persons([ann, nobody], Rule())
    assert (check.tested, list(check.alone), check.threshold) == (0, [ann], None)
    assert check_persons([], Rule()).model is None


async def test_real_photos_are_told_apart(gallery: Gallery, bridge: Bridge) -> None:
    recognizer = Recognizer(LocalEngine(bridge, Rule()), gallery, bridge)
    await recognizer.start({})
    await recognizer.enrol("Barack", [photo("obama"), photo("obama2"), photo("obama3")])
    joe = await recognizer.enrol("Joe", [photo("biden")])
    check = await recognizer.check(Rule())
    assert (check.tested, check.recognized, list(check.harmful)) == (3, 3, [])
    assert check.threshold == Rule().threshold

    # Two people under one name: both photos are in doubt, and without them there is nobody to tell apart.
    await recognizer.add_photos(joe.id, [photo("astronaut")])
    check = await recognizer.check(Rule())
    assert (check.tested, check.recognized) == (5, 3)
    assert {each.person.id for each in check.harmful} == {joe.id}
    assert check.threshold is None


async def test_with_aws_a_doorbell_compares_and_nothing_is_billed(
    gallery: Gallery, bridge: Bridge, real_cloud: Cloud
) -> None:
    bridge.error = EngineUnavailableError("no_doorbell")
    recognizer = Recognizer(rekognition(SETTINGS, gallery).engine, gallery, bridge)
    await recognizer.start({})
    await recognizer.enrol("Barack", [photo("obama"), photo("obama2")])
    billed = dict(real_cloud.rekognition.billed)
    with pytest.raises(EngineUnavailableError, match="check_needs_doorbell"):
        await recognizer.check(Rule())

    bridge.error = None
    check = await recognizer.check(Rule())
    assert (check.tested, check.recognized) == (2, 2)
    assert dict(real_cloud.rekognition.billed) == billed
