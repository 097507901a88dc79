"""What the engine answers about a visitor, and what it costs, in both modes."""

import asyncio
import base64
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path
import subprocess
import sys
import threading
from unittest.mock import patch

from PIL import ExifTags, Image
import pytest

from custom_components.face_doorbell.model import Outcome, Picture
from custom_components.face_doorbell.recognition import images
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import (
    EngineSetupError,
    EngineUnavailableError,
    PhotoRefusedError,
)
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.model import Recognition
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import Mode, RekognitionEngine
from tests.aws_faults import aws_wire
from tests.fake_rekognition import Fault, PaintedEyes, Seen, aws_server, paint
from tests.photos import ROOT, photo, two_people
from tests.recognition.conftest import SETTINGS, Cloud, rekognition, s3_with_bucket

MODES = [Mode.SEARCH, Mode.COMPARE]


def hue(number: int) -> float:
    return number * 3.6


async def household(gallery: Gallery, size: int, mode: Mode, photos: int = 1) -> RekognitionEngine:
    """Return an engine that knows persons with painted faces, `size` of them."""
    for number in range(size):
        shown = [NewPhoto(paint(hue(number), size=(160, 120), mark=mark)) for mark in range(photos)]
        gallery.add_person(f"Person {number}", shown)
    engine = RekognitionEngine(replace(SETTINGS, mode=mode), Rule())
    await engine.sync(gallery)
    return engine


def names(gallery: Gallery, answer: Recognition) -> list[str | None]:
    return [gallery.person(face.person_id).name if face.person_id else None for face in answer.faces]


@pytest.mark.parametrize("size", [1, 10, 100])
async def test_one_face_is_one_call_however_many_persons(cloud: Cloud, gallery: Gallery, size: int) -> None:
    engine = await household(gallery, size, Mode.SEARCH)
    before = cloud.rekognition.calls.copy()
    answer = await engine.recognize(Picture(paint(hue(size - 1))))
    assert names(gallery, answer) == [f"Person {size - 1}"]
    assert answer.calls == {"SearchUsersByImage": 1}
    assert cloud.rekognition.calls - before == {"SearchUsersByImage": 1}


async def test_three_faces_are_three_calls(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 10, Mode.SEARCH)
    answer = await engine.recognize(Picture(paint(hue(3), 300, hue(7))))
    assert names(gallery, answer) == ["Person 3", None, "Person 7"]
    assert answer.calls == {"SearchUsersByImage": 3}
    assert answer.outcome is Outcome.RECOGNIZED


async def test_a_crowd_costs_five_calls_and_is_counted_in_full(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 2, Mode.SEARCH)
    answer = await engine.recognize(Picture(paint(0, 60, 120, 180, 240, 300, 330, size=(1280, 360))))
    assert answer.calls == {"SearchUsersByImage": 5}
    assert names(gallery, answer) == ["Person 0", *[None] * 6]
    assert [face.similarity is None for face in answer.faces[-2:]] == [True, True]


@pytest.mark.parametrize("mode", MODES)
async def test_an_empty_doorstep_is_one_question(cloud: Cloud, gallery: Gallery, mode: Mode) -> None:
    engine = await household(gallery, 5, mode)
    answer = await engine.recognize(Picture(paint()))
    assert answer.outcome is Outcome.NO_FACE
    assert sum(answer.calls.values()) <= 2


@pytest.mark.parametrize("mode", MODES)
async def test_with_nobody_enrolled_everybody_is_a_stranger(
    cloud: Cloud, gallery: Gallery, mode: Mode
) -> None:
    engine = await household(gallery, 0, mode)
    answer = await engine.recognize(Picture(paint(0)))
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.faces[0].similarity is None
    assert (await engine.recognize(Picture(paint()))).outcome is Outcome.NO_FACE


async def test_compare_asks_once_for_each_reference_and_answers_every_face(
    cloud: Cloud, gallery: Gallery
) -> None:
    engine = await household(gallery, 4, Mode.COMPARE, photos=3)
    before = cloud.rekognition.billed
    kept = cloud.keys()
    answer = await engine.recognize(Picture(paint(hue(2), 300, hue(0))))
    assert names(gallery, answer) == ["Person 2", None, "Person 0"]
    assert answer.calls == {"CompareFaces": 12}
    assert cloud.rekognition.billed == {**before, "CompareFaces": 12}
    assert [len(face.matches) for face in answer.faces] == [4, 4, 4]
    assert cloud.keys() == kept  # the visitor's picture is not kept


@pytest.mark.parametrize("mode", MODES)
async def test_real_people_are_told_apart(real_cloud: Cloud, gallery: Gallery, mode: Mode) -> None:
    recognizer = rekognition(replace(SETTINGS, mode=mode), gallery)
    await recognizer.start({})
    await recognizer.enrol("Barack", [photo("obama"), photo("obama3")])
    joe = await recognizer.enrol("Joe", [photo("biden")])
    assert names(gallery, await recognizer.recognize(Picture(photo("obama2")))) == ["Barack"]
    assert names(gallery, await recognizer.recognize(Picture(two_people()))) == ["Barack", "Joe"]
    assert (await recognizer.recognize(Picture(photo("astronaut")))).outcome is Outcome.UNKNOWN
    assert (await recognizer.recognize(Picture(photo("coffee")))).outcome is Outcome.NO_FACE
    await recognizer.remove_person(joe.id)
    assert names(gallery, await recognizer.recognize(Picture(two_people()))) == ["Barack", None]
    await recognizer.close()


async def test_images_are_compared_by_their_largest_faces(real_cloud: Cloud) -> None:
    engine = RekognitionEngine(SETTINGS, Rule())
    assert await engine.compare(photo("obama"), photo("obama2")) > 90
    assert await engine.compare(photo("biden"), two_people()) < 50
    assert real_cloud.rekognition.calls == {"CompareFaces": 2}
    with pytest.raises(PhotoRefusedError, match="photo_no_face"):
        await engine.compare(photo("coffee"), photo("obama"))
    with pytest.raises(PhotoRefusedError, match="photo_not_an_image"):
        await engine.compare(b"nothing", photo("obama"))


async def test_users_of_other_programs_are_nobody_here(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 1, Mode.SEARCH)
    theirs = RekognitionEngine(SETTINGS, Rule())
    other = Gallery(gallery._people.parent.parent / "other")
    other.load()
    other.add_person("Stranger", [NewPhoto(paint(200))])
    await theirs.sync(other)
    answer = await engine.recognize(Picture(paint(200)))
    assert answer.outcome is Outcome.UNKNOWN


async def test_a_neighbour_in_the_crop_does_not_answer_for_a_face(
    cloud: Cloud, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await household(gallery, 1, Mode.SEARCH)
    # So much margin that the larger neighbour, who is known, is in the smaller face's crop.
    monkeypatch.setattr("custom_components.face_doorbell.recognition.images.CROP_MARGIN", 5.0)
    answer = await engine.recognize(Picture(paint(hue(0), 200)))
    assert names(gallery, answer) == ["Person 0", None]


async def test_a_deleted_collection_is_made_again_at_the_next_visit(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 3, Mode.SEARCH)
    cloud.rekognition.drop_collection()
    answers = await asyncio.gather(*(engine.recognize(Picture(paint(hue(1)))) for _ in range(3)))
    assert [names(gallery, answer) for answer in answers] == [["Person 1"]] * 3


async def test_a_failed_sync_is_made_up_for_before_anything_is_compared(
    cloud: Cloud, gallery: Gallery
) -> None:
    ann = gallery.add_person("Ann", [NewPhoto(paint(0))])
    engine = RekognitionEngine(replace(SETTINGS, mode=Mode.COMPARE), Rule())
    with cloud.failing("ListObjectsV2", "SlowDown", status=503):
        with pytest.raises(EngineUnavailableError, match="throttled"):
            await engine.sync(gallery)
        with pytest.raises(EngineUnavailableError, match="throttled"):
            await engine.recognize(Picture(paint(0)))
    assert (await engine.recognize(Picture(paint(0)))).faces[0].person_id == ann.id


async def test_a_reference_without_a_face_for_aws_spoils_nothing(cloud: Cloud, gallery: Gallery) -> None:
    gallery.add_person("Ann", [NewPhoto(paint()), NewPhoto(paint(0))])
    engine = RekognitionEngine(replace(SETTINGS, mode=Mode.COMPARE), Rule())
    await engine.sync(gallery)
    assert names(gallery, await engine.recognize(Picture(paint(0)))) == ["Ann"]
    # From now on it is not asked about.
    assert (await engine.recognize(Picture(paint(0)))).calls == {"CompareFaces": 1}


async def test_an_error_is_an_error_and_no_stranger(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 1, Mode.SEARCH)
    cloud.rekognition.fail["SearchUsersByImage"] = Fault("AccessDeniedException")
    with pytest.raises(EngineSetupError) as denied:
        await engine.recognize(Picture(paint(0)))
    assert denied.value.placeholders == {"action": "rekognition:SearchUsersByImage"}


async def test_aws_being_busy_for_a_moment_is_not_noticed(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 1, Mode.SEARCH)
    cloud.rekognition.fail["SearchUsersByImage"] = Fault("ProvisionedThroughputExceededException", times=1)
    assert (await engine.recognize(Picture(paint(0)))).outcome is Outcome.RECOGNIZED


@pytest.mark.parametrize("mode", MODES)
async def test_a_picture_is_sent_upright_and_small(
    cloud: Cloud, gallery: Gallery, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await household(gallery, 2, mode)
    sizes: list[tuple[int, int]] = []
    look = cloud.rekognition.eyes.look

    def seen(image: bytes) -> Sequence[Seen]:
        sizes.append(images.size(image))
        return look(image)

    monkeypatch.setattr(cloud.rekognition.eyes, "look", seen)
    picture = BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # lies on its side
    with Image.open(BytesIO(paint(hue(1), 300, size=(3840, 2160)))) as large:
        large.rotate(90, expand=True).save(picture, "JPEG", exif=exif)
    answer = await engine.recognize(Picture(picture.getvalue()))
    assert names(gallery, answer) == ["Person 1", None]
    assert max(sizes) == (1920, 1080)


@pytest.mark.parametrize("mode", MODES)
async def test_a_blurred_face_is_marked(cloud: Cloud, gallery: Gallery, mode: Mode) -> None:
    engine = await household(gallery, 1, mode)
    look = cloud.rekognition.eyes.look
    blurred = patch.object(
        cloud.rekognition.eyes, "look", lambda image: [replace(face, sharpness=4.0) for face in look(image)]
    )
    for context, quality in ((nullcontext(), 1.0), (blurred, 0.1)):
        with context:
            answer = await engine.recognize(Picture(paint(hue(0), 300)))
        assert [face.quality for face in answer.faces] == [quality, quality]


async def test_a_picture_is_uploaded_once_to_be_compared_often(cloud: Cloud, gallery: Gallery) -> None:
    engine = await household(gallery, 4, Mode.COMPARE)
    with aws_wire() as wire:
        await engine.recognize(Picture(paint(hue(2))))
    assert wire.sent == {"PutObject": 1, "CompareFaces": 4, "DeleteObjects": 1}


def test_no_picture_and_no_secret_is_ever_logged(tmp_path: Path) -> None:
    """Everything logs everything in there, from the start on, as in a Home Assistant whose owner looks for a fault."""
    program = [sys.executable, "-m", "tests.recognition.talkative", str(tmp_path)]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = (ended.stdout + ended.stderr).splitlines()
    assert any("DEBUG:urllib3" in line or "DEBUG:asyncio" in line for line in lines)
    assert max(map(len, lines)) < 1000
    assert "very secret" not in ended.stdout + ended.stderr
    assert base64.b64encode(paint(0))[100:160].decode() not in ended.stdout + ended.stderr


async def test_the_loop_goes_on_while_aws_thinks(gallery: Gallery) -> None:
    with aws_server(PaintedEyes()) as (url, fake):
        engine = RekognitionEngine(replace(SETTINGS, endpoint_url=url), Rule())
        s3_with_bucket(url)
        gallery.add_person("Ann", [NewPhoto(paint(0))])
        await engine.sync(gallery)
        hold = threading.Event()
        slow = fake.fail["SearchUsersByImage"] = Fault(hold=hold)
        asking = asyncio.create_task(engine.recognize(Picture(paint(0))))
        await asyncio.to_thread(slow.reached.wait)
        assert not asking.done()
        hold.set()
        assert (await asking).outcome is Outcome.RECOGNIZED
        await engine.close()


async def test_nobody_listening_is_no_stranger(gallery: Gallery) -> None:
    settings = replace(SETTINGS, endpoint_url="http://127.0.0.1:9")
    recognizer = Recognizer(RekognitionEngine(settings, Rule()), gallery)
    with pytest.raises(EngineUnavailableError, match="cannot_connect"):
        await recognizer.start({})
    with pytest.raises(EngineUnavailableError, match="cannot_connect"):
        await recognizer.recognize(Picture(paint(0)))
