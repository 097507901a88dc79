"""The engine without a cloud, on real photos."""

import asyncio
import itertools
import math

import pytest

from custom_components.face_doorbell.model import Box, Embedding, Face, Outcome, Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError, PhotoRefusedError
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.images import prepare
from custom_components.face_doorbell.recognition.local import LocalEngine, similarity
from tests.fake_rekognition import RealEyes
from tests.photos import photo, two_people
from tests.recognition.conftest import Bridge

BOX = Box(0.1, 0.1, 0.2, 0.2)


def enrolled(gallery: Gallery, name: str, *photos: str) -> str:
    return gallery.add_person(name, [NewPhoto(prepare(photo(each))) for each in photos]).id


def face(*vector: float, model: str = "mobilefacenet-1") -> Face:
    length = math.hypot(*vector)
    return Face(BOX, embedding=Embedding(model, tuple(part / length for part in vector)))


def seen(*faces: Face) -> Picture:
    """Return a picture whose faces the bridge has found already; there is nothing in it to look at."""
    return Picture(b"", faces)


def known(gallery: Gallery, name: str, *vector: float) -> str:
    embedding = face(*vector).embedding
    return gallery.add_person(name, [NewPhoto(name.encode(), embedding)]).id


async def test_people_are_told_apart_by_photos_that_were_not_enrolled(
    gallery: Gallery, bridge: Bridge
) -> None:
    obama = enrolled(gallery, "Barack", "obama", "obama3")
    engine = LocalEngine(bridge, Rule())
    report = await engine.sync(gallery)
    assert (report.added, report.refused) == (2, {})

    answer = await engine.recognize(Picture(photo("obama2")))
    assert [face.person_id for face in answer.faces] == [obama]
    assert answer.engine == "local"
    assert not answer.calls

    for stranger in ("biden", "astronaut"):
        answer = await engine.recognize(Picture(photo(stranger)))
        assert answer.outcome is Outcome.UNKNOWN
        assert (answer.faces[0].similarity or 100) < 50

    assert (await engine.recognize(Picture(photo("coffee")))).outcome is Outcome.NO_FACE


async def test_every_face_in_the_picture_is_answered(gallery: Gallery, bridge: Bridge) -> None:
    biden = enrolled(gallery, "Joe", "biden")
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    answer = await engine.recognize(Picture(two_people()))
    assert [face.person_id for face in answer.faces] == [None, biden]
    assert answer.outcome is Outcome.RECOGNIZED


async def test_two_images_are_compared(bridge: Bridge) -> None:
    engine = LocalEngine(bridge, Rule())
    assert await engine.compare(photo("obama"), photo("obama2")) > 90
    assert await engine.compare(photo("obama"), photo("biden")) < 50
    # Of several faces the largest counts.
    assert await engine.compare(two_people(), photo("obama3")) > 90
    with pytest.raises(PhotoRefusedError, match="photo_no_face"):
        await engine.compare(photo("obama"), photo("coffee"))


async def test_what_the_bridge_has_found_already_is_not_looked_for_again(
    gallery: Gallery, bridge: Bridge
) -> None:
    ann = known(gallery, "Ann", 1, 0)
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    answer = await engine.recognize(seen(face(1, 0.1), face(0, 1)))
    assert [face.person_id for face in answer.faces] == [ann, None]
    assert (await engine.recognize(seen())).outcome is Outcome.NO_FACE
    assert bridge.asked == 0


async def test_a_face_too_small_to_embed_is_nobody_and_no_stranger(gallery: Gallery, bridge: Bridge) -> None:
    ann = known(gallery, "Ann", 1, 0)
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    assert (await engine.recognize(seen(Face(BOX)))).outcome is Outcome.NO_FACE
    answer = await engine.recognize(seen(Face(BOX), face(1, 0)))
    assert [face.person_id for face in answer.faces] == [ann]


async def test_with_nobody_enrolled_everybody_is_a_stranger(gallery: Gallery, bridge: Bridge) -> None:
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    answer = await engine.recognize(seen(face(1, 0)))
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.faces[0].similarity is None


async def test_two_alike_are_not_told_apart(gallery: Gallery, bridge: Bridge) -> None:
    known(gallery, "Ann", 1, 0.1)
    known(gallery, "Anna", 1, -0.1)
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    answer = (await engine.recognize(seen(face(1, 0)))).faces[0]
    assert answer.person_id is None
    assert [match.similarity > 99 for match in answer.matches] == [True, True]


async def test_a_person_is_the_middle_of_the_photos(gallery: Gallery, bridge: Bridge) -> None:
    photos = [NewPhoto(bytes([number]), face(1, side, 0).embedding) for number, side in enumerate((-1, 1))]
    gallery.add_person("Ann", photos)
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    answer = (await engine.recognize(seen(face(1, 0, 0)))).faces[0]
    assert answer.similarity == pytest.approx(similarity(0, "mobilefacenet-1"))


@pytest.mark.parametrize(
    ("distance", "expected"), [(0.80, 90), (0.725, 95), (0.56, 99), (1.02, 50), (1.4, 2.2)]
)
def test_similarity_90_is_the_operating_distance(distance: float, expected: float) -> None:
    assert similarity(distance, "mobilefacenet-1") == pytest.approx(expected, abs=0.5)


def test_similarity_falls_from_100_to_0() -> None:
    values = [similarity(step / 10, "mobilefacenet-1") for step in range(21)]
    assert all(nearer > further for nearer, further in itertools.pairwise(values))
    assert 0 < values[-1] < values[0] < 100


async def test_photos_are_embedded_once(gallery: Gallery, bridge: Bridge) -> None:
    enrolled(gallery, "Barack", "obama", "obama3")
    await LocalEngine(bridge, Rule()).sync(gallery)
    asked = bridge.asked
    report = await LocalEngine(bridge, Rule()).sync(gallery)
    assert (bridge.asked - asked, report.added) == (0, 0)


async def test_another_model_on_the_bridge_embeds_the_gallery_anew(gallery: Gallery, bridge: Bridge) -> None:
    obama = enrolled(gallery, "Barack", "obama", "obama3")
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    bridge.model = "better-2"
    picture = Picture(photo("obama2"), tuple(await bridge.find_faces(photo("obama2"))))
    answer = await engine.recognize(picture)
    assert [face.person_id for face in answer.faces] == [obama]
    assert all(set(each.embeddings) == {"mobilefacenet-1", "better-2"} for each in gallery.persons[0].photos)


async def test_vectors_of_different_models_are_never_compared(gallery: Gallery, bridge: Bridge) -> None:
    known(gallery, "Ann", 1, 0)
    bridge.error = EngineUnavailableError("no_doorbell")
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    # Nobody can embed Ann by the new model now: that is an error, and not a stranger.
    with pytest.raises(EngineUnavailableError, match="no_doorbell"):
        await engine.recognize(seen(face(1, 0, model="better-2")))


async def test_a_sync_that_failed_is_made_up_for_at_the_next_visit(gallery: Gallery, bridge: Bridge) -> None:
    obama = enrolled(gallery, "Barack", "obama")
    bridge.error = EngineUnavailableError("no_doorbell")
    engine = LocalEngine(bridge, Rule())
    with pytest.raises(EngineUnavailableError):
        await engine.sync(gallery)
    bridge.error = None
    answer = await engine.recognize(Picture(photo("obama2")))
    assert [face.person_id for face in answer.faces] == [obama]


async def test_who_was_released_writes_nothing_into_a_gallery_that_another_one_has_read(
    gallery: Gallery, bridge: Bridge
) -> None:
    """As when somebody rings at a bridge with new models, and recognition is set up anew meanwhile."""
    for name, picture in (("Barack", "obama"), ("Joe", "biden")):
        enrolled(gallery, name, picture)
    engine = LocalEngine(bridge, Rule())
    syncing = asyncio.create_task(engine.sync(gallery))
    while not bridge.asked:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    await engine.close()
    closed = gallery.persons
    await syncing
    await engine.recognize(seen(face(1, 0, model="new")))
    assert gallery.persons == closed
    assert bridge.asked == 1


async def test_two_bridges_may_have_different_models(
    gallery: Gallery, bridge: Bridge, eyes: RealEyes
) -> None:
    obama = enrolled(gallery, "Barack", "obama")
    engine = LocalEngine(bridge, Rule())
    await engine.sync(gallery)
    newer = Bridge(eyes, "better-2")
    rang = Picture(photo("obama2"), tuple(await newer.find_faces(photo("obama2"))))
    answer = await engine.recognize(rang)
    assert [face.person_id for face in answer.faces] == [obama]


async def test_a_photo_that_the_new_model_sees_nobody_on_is_passed_over(
    gallery: Gallery, bridge: Bridge
) -> None:
    obama = enrolled(gallery, "Barack", "obama", "coffee")
    engine = LocalEngine(bridge, Rule())
    report = await engine.sync(gallery)
    coffee = gallery.person(obama).photos[1].id
    assert report.refused == {coffee: "photo_no_face"}
    asked = bridge.asked
    assert (await engine.sync(gallery)).refused == {}
    assert bridge.asked == asked
    assert (await engine.recognize(Picture(photo("obama2")))).outcome is Outcome.RECOGNIZED
