"""A bucket that keeps versions: nobody who is removed lives on in one, as far as the key may see to it."""

from dataclasses import replace

import pytest

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import Mode
from tests.fake_rekognition import paint

from .conftest import BUCKET, SETTINGS, Cloud, rekognition


@pytest.fixture
def versioned(cloud: Cloud) -> Cloud:
    cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return cloud


async def started(gallery: Gallery, mode: Mode = Mode.SEARCH) -> Recognizer:
    recognizer = rekognition(replace(SETTINGS, mode=mode), gallery)
    await recognizer.start({person.id: person.name for person in gallery.persons})
    return recognizer


def versions(cloud: Cloud) -> set[tuple[str, str]]:
    """Return all versions and marks of deletion by key and id."""
    listed = cloud.s3.list_object_versions(Bucket=BUCKET)
    return {
        (each["Key"], each["VersionId"])
        for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ()))
    }


async def test_a_removed_person_leaves_no_version(versioned: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    await recognizer.enrol("Bob", [paint(120)])
    before = versions(versioned)
    ann = await recognizer.enrol("Ann", [paint(0), paint(0, mark=1)])
    await recognizer.rename_person(ann.id, "Anna")  # which leaves the old name in a version
    report = await recognizer.remove_person(ann.id)
    assert report
    assert report.deleted == {"objects": 3, "versions": 1, "users": 1, "faces": 2}
    assert not report.versions_remain
    assert versions(versioned) == before


async def test_a_removed_photo_leaves_no_version(versioned: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    ann = await recognizer.enrol("Ann", [paint(0), paint(0, mark=1)])
    photo = ann.photos[0].id
    await recognizer.remove_photos(ann.id, [photo])
    assert [key for key, _ in versions(versioned) if photo in key] == []


async def test_what_a_crash_left_in_versions_is_found_later(versioned: Cloud, gallery: Gallery) -> None:
    """The objects were deleted, their versions were not."""
    recognizer = await started(gallery)
    ann = await recognizer.enrol("Ann", [paint(0)])
    keys = versioned.keys()
    for key in keys:
        versioned.s3.delete_object(Bucket=BUCKET, Key=key)
    gallery.remove_person(ann.id)
    await (await started(gallery)).close()
    assert versions(versioned) == set()


async def test_a_bucket_without_versions_needs_no_more_permissions(cloud: Cloud, gallery: Gallery) -> None:
    recognizer = await started(gallery)
    ann = await recognizer.enrol("Ann", [paint(0)])
    with cloud.denied_versions("ListObjectVersions"):
        report = await recognizer.remove_person(ann.id)
    assert report
    assert not report.versions_remain
    assert cloud.keys() == set()


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_visitor_that_was_compared_leaves_no_version(
    versioned: Cloud, gallery: Gallery, *, allowed: bool
) -> None:
    recognizer = await started(gallery, Mode.COMPARE)
    ann = await recognizer.enrol("Ann", [paint(0), paint(0, mark=1)])
    before = versions(versioned)
    if allowed:
        answer = await recognizer.recognize(Picture(paint(0)))
        assert versions(versioned) == before
    else:
        with versioned.denied_versions("DeleteObjects"):
            answer = await recognizer.recognize(Picture(paint(0)))
        assert len(versions(versioned)) == len(before) + 2  # the picture, and that it was deleted
    assert answer.faces[0].person_id == ann.id
    assert len(versioned.keys()) == 3  # nothing but the person
