"""What photo becomes a reference photo: the same for every engine."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageFilter, ImageOps
import pytest

from custom_components.face_doorbell.model import Face, Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import (
    EngineUnavailableError,
    PhotoDoubtError,
    PhotoRefusedError,
)
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.gate import Advice, advice, look_alikes
from custom_components.face_doorbell.recognition.local import LocalEngine
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from tests.fake_rekognition import RealEyes
from tests.photos import photo, two_people
from tests.recognition.conftest import SETTINGS, Bridge, Cloud, rekognition


@pytest.fixture(params=["local", "rekognition"])
async def recognizer(
    request: pytest.FixtureRequest, gallery: Gallery, bridge: Bridge, real_cloud: Cloud
) -> Recognizer:
    """Each engine, with real faces and nobody enrolled."""
    local = Recognizer(LocalEngine(bridge, Rule()), gallery, bridge)
    recognizer = local if request.param == "local" else rekognition(SETTINGS, gallery)
    await recognizer.start({})
    return recognizer


def jpeg(image: Image.Image) -> bytes:
    target = BytesIO()
    image.convert("RGB").save(target, "JPEG", quality=92)
    return target.getvalue()


def opened(name: str) -> Image.Image:
    return Image.open(BytesIO(photo(name)))


def far_away() -> bytes:
    """Obama with a face of about 50 px."""
    canvas = Image.new("RGB", (800, 600), "grey")
    near = opened("obama")
    canvas.paste(near.resize((near.width // 6, near.height // 6)), (300, 200))
    return jpeg(canvas)


@pytest.mark.parametrize(
    ("bad", "key", "told"),
    [
        (photo("brick"), "photo_no_face", {}),
        (two_people(), "photo_several_faces", {"count": "2"}),
        (far_away(), "photo_face_too_small", {}),
        (jpeg(opened("obama").filter(ImageFilter.GaussianBlur(14))), "photo_poor_quality", {}),
        (b"not a picture", "photo_not_an_image", {}),
    ],
    ids=["no face", "two faces", "far away", "blurred", "no image"],
)
async def test_what_is_wrong_with_which_photo(
    recognizer: Recognizer, bad: bytes, key: str, told: dict[str, str]
) -> None:
    with pytest.raises(PhotoRefusedError) as refused:
        await recognizer.enrol("Barack", [photo("obama"), bad])
    assert (refused.value.key, refused.value.placeholders, refused.value.position) == (key, told, 1)
    assert recognizer.persons == ()


@pytest.mark.parametrize(("number", "name"), [(1, "biden"), (2, "obama2")])
async def test_the_face_that_is_meant_is_the_only_one_kept(
    recognizer: Recognizer, number: int, name: str
) -> None:
    person = await recognizer.enrol("Meant", [two_people()], faces={0: number})
    (kept,) = person.photos
    _, faces = await recognizer.gate.faces(await recognizer.photo(person.id, kept.id))
    assert len(faces) == 1
    (answer,) = (await recognizer.recognize(Picture(photo(name)))).faces
    assert answer.similarity is not None
    assert answer.similarity > 50


async def test_a_face_that_is_not_there_cannot_be_meant(recognizer: Recognizer) -> None:
    with pytest.raises(PhotoRefusedError) as refused:
        await recognizer.enrol("Third", [two_people()], faces={0: 3})
    assert (refused.value.key, refused.value.placeholders) == ("photo_face_number", {"count": "2"})


async def test_who_looks_like_another_person_needs_a_second_word(recognizer: Recognizer) -> None:
    barack = await recognizer.enrol("Barack", [photo("obama"), photo("obama2")])
    biden = await recognizer.enrol("Joe", [photo("biden")])
    for attempt in (
        recognizer.enrol("Bob", [photo("astronaut"), photo("obama3")]),
        recognizer.add_photos(biden.id, [photo("astronaut"), photo("obama3")]),
    ):
        with pytest.raises(PhotoDoubtError) as doubt:
            await attempt
        assert doubt.value.key == "photo_looks_like"
        assert doubt.value.placeholders["person"] == "Barack"
        assert 90 <= int(doubt.value.placeholders["similarity"]) <= 100
        assert doubt.value.position == 1
    assert [person.name for person in recognizer.persons] == ["Barack", "Joe"]
    assert len(recognizer.person(biden.id).photos) == 1

    assert len((await recognizer.add_photos(barack.id, [photo("obama3")])).photos) == 3
    twin = await recognizer.enrol("Bob", [photo("obama3")], force=True)
    assert twin.photos


@pytest.mark.parametrize(("yaw", "admitted"), [(None, True), (-44.0, True), (46.0, False), (-46.0, False)])
async def test_a_face_that_looks_away_is_no_reference(
    gallery: Gallery, bridge: Bridge, monkeypatch: pytest.MonkeyPatch, yaw: float | None, admitted: bool
) -> None:
    (seen,) = await bridge.find_faces(photo("obama"))

    async def find_faces(image: bytes) -> Sequence[Face]:
        return [Face(seen.box, embedding=seen.embedding, yaw=yaw)]

    monkeypatch.setattr(bridge, "find_faces", find_faces)
    recognizer = Recognizer(LocalEngine(bridge, Rule()), gallery, bridge)
    await recognizer.start({})
    if admitted:
        await recognizer.enrol("Barack", [photo("obama")])
    else:
        with pytest.raises(PhotoRefusedError, match="photo_turned_away"):
            await recognizer.enrol("Barack", [photo("obama")])


async def test_somebody_far_behind_does_not_count(recognizer: Recognizer) -> None:
    """A passer-by in the background is no second face that could be meant."""
    behind = opened("biden")
    front = opened("obama").convert("RGB")
    front.paste(behind.resize((behind.width // 8, behind.height // 8)), (0, 0))
    assert len((await recognizer.enrol("Barack", [jpeg(front)])).photos) == 1


async def test_a_bridge_judges_for_aws_without_costs(
    gallery: Gallery, bridge: Bridge, real_cloud: Cloud
) -> None:
    recognizer = Recognizer(rekognition(SETTINGS, gallery).engine, gallery, bridge)
    await recognizer.start({})
    await recognizer.enrol("Barack", [photo("obama")])
    assert "DetectFaces" not in real_cloud.rekognition.billed
    assert recognizer.persons[0].photos[0].embeddings
    bridge.error = EngineUnavailableError("no_doorbell")
    await recognizer.enrol("Joe", [photo("biden")])
    assert real_cloud.rekognition.billed["DetectFaces"] == 1


async def test_what_photos_are_missing_is_said(recognizer: Recognizer) -> None:
    """obama looks to the front, obama2 to the left; mirrored, to the right."""
    left = photo("obama2")
    right = jpeg(ImageOps.mirror(opened("obama2")))
    person = await recognizer.enrol("Barack", [left])
    assert advice(person) is Advice.FRONT
    person = await recognizer.add_photos(person.id, [photo("obama")])
    assert advice(person) is Advice.RIGHT
    person = await recognizer.add_photos(person.id, [right])
    assert advice(person) is None


async def test_look_alikes_in_the_household_are_named(gallery: Gallery, bridge: Bridge) -> None:
    recognizer = Recognizer(LocalEngine(bridge, Rule()), gallery, bridge)
    await recognizer.start({})
    barack = await recognizer.enrol("Barack", [photo("obama"), photo("obama2")])
    await recognizer.enrol("Joe", [photo("biden")])
    assert look_alikes(recognizer.persons, barack.id) == []
    await recognizer.enrol("Twin", [photo("obama3")], force=True)
    (twin,) = look_alikes(recognizer.persons, barack.id)
    assert twin.person.name == "Twin"
    assert twin.similarity > 80


def test_real_eyes_see_where_a_face_turns(eyes: RealEyes) -> None:
    """Otherwise the tests above would compare nothing."""
    assert eyes.look(photo("obama2"))[0].yaw < -12
