"""Gallery and index change together or not at all; what is removed is gone everywhere."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
import threading

import pytest

from custom_components.face_doorbell.model import Outcome, Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import (
    EngineSetupError,
    EngineUnavailableError,
    PersonError,
    PhotoRefusedError,
    RecognitionError,
)
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.images import prepare
from custom_components.face_doorbell.recognition.local import LocalEngine
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import Mode
from tests.fake_rekognition import Fault, paint
from tests.photos import photo, two_people
from tests.recognition.conftest import BUCKET, SETTINGS, Bridge, Cloud, rekognition


async def started(gallery: Gallery, mode: Mode = Mode.SEARCH) -> Recognizer:
    """Return a recognizer that knows Ann, painted red."""
    recognizer = rekognition(replace(SETTINGS, mode=mode), gallery)
    await recognizer.start({})
    await recognizer.enrol("Ann", [paint(0), paint(0, mark=1)])
    return recognizer


@pytest.mark.parametrize("mode", Mode)
async def test_who_is_enrolled_is_recognized_and_who_is_removed_is_gone(
    cloud: Cloud, gallery: Gallery, mode: Mode
) -> None:
    recognizer = await started(gallery, mode)
    (ann,) = recognizer.persons
    bob = await recognizer.enrol("Bob", [paint(120)])
    assert (await recognizer.recognize(Picture(paint(120)))).faces[0].person_id == bob.id
    before = cloud.state()

    cem = await recognizer.enrol("Cem", [paint(240)])
    await recognizer.remove_person(cem.id)
    assert cloud.state() == before
    assert (await recognizer.recognize(Picture(paint(240)))).outcome is Outcome.UNKNOWN

    await recognizer.forget_everyone()
    assert cloud.keys() == set()
    collection = cloud.rekognition.collection()
    assert collection is None or not (collection.faces or collection.users)
    assert recognizer.persons == ()
    assert ann.id not in str(gallery.removed)


async def test_photos_are_added_and_removed_everywhere(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    (ann,) = recognizer.persons
    before = cloud.state()
    more = await recognizer.add_photos(ann.id, [paint(1), paint(0)])
    assert len(more.photos) == 3
    assert cloud.state() != before
    await recognizer.remove_photos(ann.id, [more.photos[2].id])
    assert cloud.state() == before
    assert await recognizer.photo(ann.id, ann.photos[0].id) == prepare(paint(0))


async def test_a_new_name_reaches_the_bucket(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    (ann,) = recognizer.persons
    await recognizer.rename_person(ann.id, "Änne")
    stored = cloud.s3.get_object(Bucket=BUCKET, Key=f"face_doorbell/people/{ann.id}/person.json")
    assert '"Änne"' in stored["Body"].read().decode()


@pytest.mark.parametrize(
    "failure",
    [
        ("ListObjectsV2", "SlowDown"),
        ("PutObject", "AccessDenied"),
        ("ListFaces", "InternalServerError"),
        ("ListUsers", "ThrottlingException"),
        ("DetectFaces", "AccessDeniedException"),
        ("IndexFaces", "InvalidS3ObjectException"),
        ("IndexFaces", "ProvisionedThroughputExceededException"),
        ("AssociateFaces", "ConflictException"),
        ("AssociateFaces", "ExpiredTokenException"),
    ],
    ids="-".join,
)
@pytest.mark.parametrize("change", ["enrol", "add photos"])
async def test_an_enrolment_that_fails_leaves_everything_as_it_was(
    cloud: Cloud, gallery: Gallery, tmp_path: Path, failure: tuple[str, str], change: str
) -> None:
    recognizer = await started(gallery)
    (ann,) = recognizer.persons
    before, files = cloud.state(), _files(tmp_path)
    changes = {
        "enrol": lambda: recognizer.enrol("Bob", [paint(120), paint(121)]),
        "add photos": lambda: recognizer.add_photos(ann.id, [paint(1), paint(2)]),
    }
    with cloud.failing(*failure, status=503), pytest.raises(RecognitionError):
        await changes[change]()
    assert recognizer.persons == (ann,)
    # What could not be taken back at once, is with the next sync.
    await recognizer.sync()
    assert cloud.state() == before
    assert _files(tmp_path) - {"removed.json"} == files - {"removed.json"}
    assert gallery.removed == set()
    # The name is free again.
    await recognizer.enrol("Bob", [paint(120)])


async def test_no_room_for_another_person(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    before, persons = cloud.state(), recognizer.persons
    cloud.rekognition.fail["CreateUser"] = Fault("ServiceQuotaExceededException")
    with pytest.raises(EngineSetupError, match="quota_exceeded"):
        await recognizer.enrol("Bob", [paint(120)])
    assert cloud.state() == before
    assert recognizer.persons == persons


async def test_an_enrolment_that_is_cancelled_leaves_everything_as_it_was(
    cloud: Cloud, gallery: Gallery
) -> None:
    recognizer = await started(gallery)
    before, persons = cloud.state(), recognizer.persons
    hold = threading.Event()
    slow = cloud.rekognition.fail["CreateUser"] = Fault(hold=hold)
    enrolling = asyncio.create_task(recognizer.enrol("Bob", [paint(120)]))
    await asyncio.to_thread(slow.reached.wait)
    enrolling.cancel()
    hold.set()
    with pytest.raises(asyncio.CancelledError):
        await enrolling
    assert cloud.state() == before
    assert recognizer.persons == persons


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (paint(), "photo_no_face"),
        (paint(0, 120), "photo_several_faces"),
        (b"no image", "photo_not_an_image"),
        (bytes(20_000_000), "photo_too_large"),
        (paint(size=(60, 60)), "photo_too_small"),
        (paint(180), "photo_other_person"),
    ],
    ids=["no face", "two faces", "no image", "20 MB", "60 px", "somebody else"],
)
async def test_one_bad_photo_of_several_refuses_all_and_is_named(
    cloud: Cloud, gallery: Gallery, content: bytes, key: str
) -> None:
    recognizer = await started(gallery)
    before, persons = cloud.state(), recognizer.persons
    with pytest.raises(PhotoRefusedError) as refused:
        await recognizer.enrol("Bob", [paint(120), content])
    assert (refused.value.key, refused.value.position) == (key, 1)
    with pytest.raises(PhotoRefusedError) as refused:
        await recognizer.add_photos(persons[0].id, [paint(2), content])
    assert (refused.value.key, refused.value.position) == (key, 1)
    assert cloud.state() == before
    assert recognizer.persons == persons


async def test_a_name_is_checked_before_anything_is_sent(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    calls = cloud.rekognition.calls.copy()
    for name, key in (("ann", "person_name_taken"), (" ", "person_name_empty")):
        with pytest.raises(PersonError, match=key):
            await recognizer.enrol(name, [paint(120)])
    assert cloud.rekognition.calls == calls


async def test_a_removal_without_aws_is_finished_later(
    cloud: Cloud, gallery: Gallery, tmp_path: Path
) -> None:
    recognizer = await started(gallery)
    (ann,) = recognizer.persons
    with cloud.failing("ListObjectsV2", "SlowDown", status=503):
        await recognizer.remove_person(ann.id)
    assert not recognizer.in_sync
    assert cloud.keys()
    # Gone here at once: AWS still knows the face, and it is nobody's.
    assert (await recognizer.recognize(Picture(paint(0)))).outcome is Outcome.UNKNOWN

    later = rekognition(SETTINGS, Gallery(tmp_path / "faces"))
    await later.start({})
    assert later.in_sync
    assert cloud.keys() == set()
    assert cloud.rekognition.collection().users == {}  # type: ignore[union-attr]  # it is there


async def test_start_makes_persons_those_of_home_assistant(
    cloud: Cloud, gallery: Gallery, tmp_path: Path
) -> None:
    recognizer = await started(gallery)
    bob = await recognizer.enrol("Bob", [paint(120)])
    (ann,) = (person for person in recognizer.persons if person.name == "Ann")
    later = rekognition(SETTINGS, Gallery(tmp_path / "faces"))
    await later.start({bob.id: "Robert", "cem-12345678": "Cem"})
    assert [(person.id, person.name, len(person.photos)) for person in later.persons] == [
        ("cem-12345678", "Cem", 0),
        (bob.id, "Robert", 1),
    ]
    assert ann.id not in str(cloud.state())


@pytest.mark.parametrize("record", [b"{", b'{"schema": 2}', None])
async def test_a_person_whose_record_is_lost_keeps_the_photos(
    cloud: Cloud, gallery: Gallery, tmp_path: Path, record: bytes | None
) -> None:
    """As after a fault of the disk, or with an older version after a newer one."""
    recognizer = await started(gallery)
    (ann,) = recognizer.persons
    await recognizer.close()
    file = tmp_path / "faces" / "people" / ann.id / "person.json"
    if record is None:
        file.unlink()
    else:
        file.write_bytes(record)
    half = file.parent / f"{'0' * 16}.jpg"
    half.write_bytes(b"half a photo")

    again = rekognition(SETTINGS, Gallery(tmp_path / "faces"))
    await again.start({ann.id: "Ann"})
    assert {photo.id for photo in again.person(ann.id).photos} == {photo.id for photo in ann.photos}
    answer = await again.recognize(Picture(paint(0)))
    assert [face.person_id for face in answer.faces] == [ann.id]
    await again.close()


async def test_start_without_aws_loses_nothing(cloud: Cloud, gallery: Gallery, tmp_path: Path) -> None:
    recognizer = await started(gallery)
    (ann,) = recognizer.persons
    before = cloud.state()
    later = rekognition(SETTINGS, Gallery(tmp_path / "faces"))
    with cloud.failing("ListFaces", "InternalServerError", status=500), pytest.raises(EngineUnavailableError):
        await later.start({ann.id: "Ann"})
    assert later.persons == (ann,)
    assert not later.in_sync
    assert cloud.state() == before
    assert (await later.recognize(Picture(paint(0)))).faces[0].person_id == ann.id


async def test_a_lost_gallery_takes_nothing_from_aws(cloud: Cloud, gallery: Gallery, tmp_path: Path) -> None:
    recognizer = await started(gallery)
    before = cloud.state()
    assert recognizer.persons
    empty = rekognition(SETTINGS, Gallery(tmp_path / "new disk"))
    await empty.start({})
    assert cloud.state() == before


async def test_a_full_disk_has_its_own_error(
    cloud: Cloud, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = await started(gallery)
    before = cloud.state()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(RecognitionError, match="storage_failed"):
            await recognizer.enrol("Bob", [paint(120)])
    assert [person.name for person in recognizer.persons] == ["Ann"]
    assert cloud.state() == before


async def test_recognition_goes_on_while_somebody_is_enrolled(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    hold = threading.Event()
    slow = cloud.rekognition.fail["CreateUser"] = Fault(hold=hold)
    enrolling = asyncio.create_task(recognizer.enrol("Bob", [paint(120)]))
    await asyncio.to_thread(slow.reached.wait)
    assert (await recognizer.recognize(Picture(paint(0)))).outcome is Outcome.RECOGNIZED
    assert not enrolling.done()
    hold.set()
    await enrolling


async def test_a_visit_that_outlives_its_recognizer_brings_nothing_back_to_aws(
    cloud: Cloud, gallery: Gallery
) -> None:
    """As when the integration is removed while somebody stands at the door."""
    recognizer = await started(gallery)
    await recognizer.forget_everyone()
    await recognizer.close()
    before = cloud.state()
    with pytest.raises(EngineUnavailableError, match="recognition_not_ready"):
        await recognizer.recognize(Picture(paint(0)))
    assert cloud.state() == before


async def test_changes_come_one_after_the_other(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    people: list[Callable[[], Awaitable[object]]] = [
        lambda: recognizer.enrol("Bob", [paint(120)]),
        lambda: recognizer.enrol("bob", [paint(240)]),
        lambda: recognizer.enrol("Cem", [paint(180)]),
    ]
    results = await asyncio.gather(*(add() for add in people), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["Person", "PersonError", "Person"]
    assert (await recognizer.recognize(Picture(paint(240)))).outcome is Outcome.UNKNOWN


async def test_local_enrolment_of_real_people(bridge: Bridge, gallery: Gallery, tmp_path: Path) -> None:
    recognizer = Recognizer(LocalEngine(bridge, Rule()), gallery)
    await recognizer.start({})
    obama = await recognizer.enrol("Barack", [photo("obama"), photo("obama3")])
    assert bridge.asked == 2  # each photo once
    assert (await recognizer.recognize(Picture(photo("obama2")))).faces[0].person_id == obama.id
    for bad, key in ((photo("coffee"), "photo_no_face"), (two_people(), "photo_several_faces")):
        with pytest.raises(PhotoRefusedError, match=key):
            await recognizer.enrol("Joe", [photo("biden"), bad])
    assert recognizer.persons == (obama,)
    await recognizer.remove_person(obama.id)
    assert (await recognizer.recognize(Picture(photo("obama2")))).outcome is Outcome.UNKNOWN
    assert _files(tmp_path) == {"forgotten.json"}  # a digest of the id, in case of a crash


async def test_without_a_bridge_nobody_can_be_enrolled_and_nothing_is_kept(
    bridge: Bridge, gallery: Gallery, tmp_path: Path
) -> None:
    recognizer = Recognizer(LocalEngine(bridge, Rule()), gallery)
    await recognizer.start({})
    bridge.error = EngineUnavailableError("no_doorbell")
    with pytest.raises(EngineUnavailableError, match="no_doorbell"):
        await recognizer.enrol("Barack", [photo("obama")])
    assert _files(tmp_path) == set()


def _files(tmp_path: Path) -> set[str]:
    root = tmp_path / "faces"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
