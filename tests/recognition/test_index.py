"""The index is made what the gallery is, once, and whatever is not ours stays."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
import uuid

from botocore.exceptions import ClientError
from botocore.stub import Stubber
import pytest

from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import (
    EngineSetupError,
    EngineUnavailableError,
    RecognitionError,
)
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto, Person
from custom_components.face_doorbell.recognition.model import SyncReport
from custom_components.face_doorbell.recognition.rekognition import Mode, RekognitionEngine
from custom_components.face_doorbell.recognition.s3 import Bucket, Layout
from tests.fake_rekognition import FakeRekognition, Fault, StoredCollection, paint
from tests.recognition.conftest import BUCKET, SETTINGS, Cloud

LISTS = {"ListFaces": 1, "ListUsers": 1}


@pytest.fixture
def people(gallery: Gallery) -> list[Person]:
    """Three painted persons with two photos each."""
    return [
        gallery.add_person(name, [NewPhoto(paint(hue, size=(160, 120), mark=mark)) for mark in range(2)])
        for name, hue in (("Ann", 0), ("Bob", 120), ("Cem", 240))
    ]


async def sync(gallery: Gallery, mode: Mode = Mode.SEARCH) -> SyncReport:
    """Sync as after a restart."""
    engine = RekognitionEngine(replace(SETTINGS, mode=mode), Rule())
    try:
        return await engine.sync(gallery)
    finally:
        await engine.close()


def stored(fake: FakeRekognition) -> StoredCollection:
    collection = fake.collection()
    assert collection is not None
    return collection


async def test_the_first_sync_puts_everything_there(
    cloud: Cloud, gallery: Gallery, people: list[Person]
) -> None:
    report = await sync(gallery)
    assert (report.added, report.removed, report.refused) == (6, 0, {})
    assert report.calls == {"IndexFaces": 6, "AssociateFaces": 3}
    assert cloud.rekognition.billed == report.calls
    assert cloud.keys() == {
        f"face_doorbell/people/{person.id}/{file}"
        for person in people
        for file in ("person.json", *(f"{photo.id}.jpg" for photo in person.photos))
    }
    collection = stored(cloud.rekognition)
    assert set(collection.users) == {person.id for person in people}
    assert {(face.external_id, face.user_id) for face in collection.faces.values()} == {
        (f"{person.id}:{photo.id}", person.id) for person in people for photo in person.photos
    }


@pytest.mark.parametrize("mode", Mode)
async def test_a_sync_with_nothing_to_do_only_lists(
    cloud: Cloud, gallery: Gallery, people: list[Person], mode: Mode
) -> None:
    await sync(gallery, mode)
    before, state = cloud.rekognition.calls.copy(), cloud.state()
    with cloud.failing("PutObject", "AccessDenied"), cloud.failing("DeleteObjects", "AccessDenied"):
        report = await sync(gallery, mode)
    assert report == SyncReport()
    assert cloud.rekognition.calls - before == (LISTS if mode is Mode.SEARCH else {"ListFaces": 1})
    assert cloud.state() == state


def _drop_collection(cloud: Cloud, ann: Person) -> None:
    cloud.rekognition.drop_collection()


def _drop_user(cloud: Cloud, ann: Person) -> None:
    collection = stored(cloud.rekognition)
    del collection.users[ann.id]
    for face in collection.faces.values():
        face.user_id = None if face.user_id == ann.id else face.user_id


def _drop_face(cloud: Cloud, ann: Person) -> None:
    collection = stored(cloud.rekognition)
    collection.faces = {
        face_id: face
        for face_id, face in collection.faces.items()
        if face.external_id != f"{ann.id}:{ann.photos[0].id}"
    }


def _drop_photo(cloud: Cloud, ann: Person) -> None:
    cloud.s3.delete_object(Bucket=BUCKET, Key=f"face_doorbell/people/{ann.id}/{ann.photos[0].id}.jpg")


def _spoil_name(cloud: Cloud, ann: Person) -> None:
    cloud.s3.delete_object(Bucket=BUCKET, Key=f"face_doorbell/people/{ann.id}/person.json")


def _add_stale_photo(cloud: Cloud, ann: Person) -> None:
    key = f"face_doorbell/people/{ann.id}/{'0' * 16}.jpg"
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=paint(0, mark=5))
    collection = stored(cloud.rekognition)
    (face,) = [
        face for face in collection.faces.values() if face.external_id == f"{ann.id}:{ann.photos[0].id}"
    ]
    face_id = str(uuid.uuid4())
    collection.faces[face_id] = replace(face, face_id=face_id, external_id=f"{ann.id}:{'0' * 16}")


@pytest.mark.parametrize(
    "damage", [_drop_collection, _drop_user, _drop_face, _drop_photo, _spoil_name, _add_stale_photo]
)
async def test_a_sync_repairs_what_is_damaged(
    cloud: Cloud, gallery: Gallery, people: list[Person], damage: Callable[[Cloud, Person], None]
) -> None:
    await sync(gallery)
    whole = cloud.state()
    damage(cloud, people[0])
    assert cloud.state() != whole
    await sync(gallery)
    assert cloud.state() == whole


@pytest.mark.parametrize("operation", ["CreateCollection", "CreateUser", "IndexFaces", "AssociateFaces"])
async def test_a_sync_that_broke_off_is_finished_by_the_next(
    cloud: Cloud, gallery: Gallery, people: list[Person], operation: str
) -> None:
    cloud.rekognition.fail[operation] = Fault("AccessDeniedException")
    with pytest.raises(EngineSetupError, match="missing_permission"):
        await sync(gallery)
    cloud.rekognition.fail.clear()
    await sync(gallery)
    before = cloud.rekognition.calls.copy()
    assert await sync(gallery) == SyncReport()
    assert cloud.rekognition.calls - before == LISTS
    assert len(stored(cloud.rekognition).faces) == 6


async def test_what_others_put_there_stays(cloud: Cloud, gallery: Gallery, people: list[Person]) -> None:
    await sync(gallery)
    collection = stored(cloud.rekognition)
    some = next(iter(collection.faces.values()))
    for name, external_id in (("a", None), ("b", "my cat.jpg"), ("c", "stranger-12345678:0123456789abcdef")):
        collection.faces[name] = replace(some, face_id=name, external_id=external_id, user_id=None)
    keys = ("notes.txt", "face_doorbell/notes.txt", "face_doorbell/people/stranger-12345678/person.json")
    for key in keys:
        cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=b"mine")
    for person in people:
        gallery.remove_person(person.id)
    report = await sync(gallery)
    assert report.removed == 6
    assert set(collection.faces) == {"a", "b", "c"}
    assert cloud.keys() == set(keys)


@pytest.mark.parametrize(
    ("operation", "code"), [("ListObjectsV2", "AccessDenied"), ("ListFaces", "ThrottlingException")]
)
async def test_a_listing_that_fails_removes_nothing(
    cloud: Cloud, gallery: Gallery, people: list[Person], operation: str, code: str
) -> None:
    await sync(gallery)
    before = cloud.state()
    gallery.remove_person(people[0].id)
    with cloud.failing(operation, code), pytest.raises(RecognitionError):
        await sync(gallery)
    assert cloud.state() == before
    assert gallery.removed == {people[0].id}
    await sync(gallery)
    assert people[0].id not in str(cloud.state())
    assert gallery.removed == set()


@pytest.mark.parametrize("operation", ["DeleteObjects", "DeleteUser", "DeleteFaces"])
async def test_a_removal_that_broke_off_is_finished_by_the_next_sync(
    cloud: Cloud, gallery: Gallery, people: list[Person], operation: str
) -> None:
    await sync(gallery)
    gallery.remove_person(people[0].id)
    with cloud.failing(operation, "SlowDown", status=503), pytest.raises(EngineUnavailableError):
        await sync(gallery)
    await sync(gallery)
    assert people[0].id not in str(cloud.state())
    assert gallery.removed == set()


def test_an_object_that_cannot_be_deleted_is_an_error(cloud: Cloud) -> None:
    # AWS answers 200 and names the failures inside.
    answer = {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "Access Denied"}]}
    bucket = Bucket(cloud.s3, Layout(BUCKET, "/face_doorbell/"))
    with Stubber(cloud.s3) as stub:
        stub.add_response("delete_objects", answer)
        with pytest.raises(ClientError, match="AccessDenied") as error:
            bucket.take_back("a", None)
    assert error.value.operation_name == "DeleteObjects"


@pytest.mark.parametrize(
    ("operation", "empty"),
    [("ListObjectsV2", {}), ("ListFaces", {"Faces": []}), ("ListUsers", {"Users": []})],
)
async def test_a_listing_that_is_empty_for_no_reason_removes_nothing(
    cloud: Cloud, gallery: Gallery, people: list[Person], operation: str, empty: dict[str, object]
) -> None:
    await sync(gallery)
    before = cloud.state()
    with cloud.answering(operation, empty):
        await sync(gallery)
    assert cloud.state() == before
    assert await sync(gallery) == SyncReport()


async def test_a_gallery_that_is_gone_removes_nothing(
    cloud: Cloud, gallery: Gallery, people: list[Person], tmp_path: Path
) -> None:
    await sync(gallery)
    before = cloud.state()
    empty = Gallery(tmp_path / "empty")
    empty.load()
    assert await sync(empty) == SyncReport()
    assert cloud.state() == before


async def test_a_photo_that_aws_refuses_is_paid_for_once(cloud: Cloud, gallery: Gallery) -> None:
    ann = gallery.add_person("Ann", [NewPhoto(paint(0)), NewPhoto(paint()), NewPhoto(paint(180))])
    report = await sync(gallery)
    assert report.refused == {ann.photos[1].id: "photo_no_face", ann.photos[2].id: "photo_other_person"}
    assert (await sync(gallery)).calls == {}
    # The photos stay the household's.
    assert len(gallery.person(ann.id).photos) == 3
    assert len(stored(cloud.rekognition).faces) == 1


async def test_a_sync_waits_until_aws_can_find_everybody(
    cloud: Cloud, gallery: Gallery, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.face_doorbell.recognition.collection.POLL_EVERY", 0)
    cloud.rekognition.updating_polls = 3
    await sync(gallery)
    assert {user.status for user in stored(cloud.rekognition).users.values()} == {"ACTIVE"}


async def test_mode_compare_keeps_no_faces_in_the_collection(
    cloud: Cloud, gallery: Gallery, people: list[Person]
) -> None:
    await sync(gallery, Mode.SEARCH)
    keys = cloud.keys()
    await sync(gallery, Mode.COMPARE)
    assert cloud.keys() == keys
    assert not stored(cloud.rekognition).faces
    assert not stored(cloud.rekognition).users
    await sync(gallery, Mode.SEARCH)
    assert len(stored(cloud.rekognition).faces) == 6


async def test_mode_compare_needs_no_collection(cloud: Cloud, gallery: Gallery, people: list[Person]) -> None:
    report = await sync(gallery, Mode.COMPARE)
    assert (report.added, report.calls) == (6, {})
    assert cloud.rekognition.collection() is None


async def test_pictures_of_visitors_that_a_crash_left_are_deleted(
    cloud: Cloud, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "face_doorbell/visits/0123.jpg"
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=b"a visitor")
    await sync(gallery)
    assert cloud.keys() == {key}  # it may be in use
    monkeypatch.setattr("custom_components.face_doorbell.recognition.index.VISIT_KEPT", timedelta(seconds=-1))
    await sync(gallery)
    assert cloud.keys() == set()


async def test_a_photo_missing_on_the_disk_is_kept_in_the_cloud(
    cloud: Cloud, gallery: Gallery, people: list[Person], caplog: pytest.LogCaptureFixture
) -> None:
    await sync(gallery)
    before = cloud.state()
    for file in gallery._people.rglob("*.jpg"):
        file.unlink()
    assert await sync(gallery) == SyncReport()
    assert cloud.state() == before
    _drop_photo(cloud, people[0])
    await sync(gallery)
    assert people[0].photos[0].id in caplog.text


async def test_a_hundred_photos_more_than_one_page(cloud: Cloud, gallery: Gallery) -> None:
    for number in range(35):
        photos = [NewPhoto(paint(number * 10, size=(80, 80), mark=mark)) for mark in range(3)]
        gallery.add_person(f"Person {number}", photos)
    await sync(gallery)
    before = cloud.rekognition.calls.copy()
    assert await sync(gallery) == SyncReport()
    assert cloud.rekognition.calls - before == {"ListFaces": 2, "ListUsers": 1}
