"""Persons are taken over from a bucket or from a file; nothing that is taken over is trusted."""

from collections.abc import AsyncGenerator
import io
import json
from pathlib import Path
from typing import Any
import zipfile

import pytest

from custom_components.face_doorbell.recognition.adoption import (
    Newcomer,
    Report,
    from_bucket,
    from_file,
    person_name,
    take_over,
)
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import EngineSetupError, GalleryFileError
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.gallery_file import INDEX, KIND, SCHEMA, read_gallery
from custom_components.face_doorbell.recognition.local import LocalEngine
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from tests.photos import photo, two_people
from tests.recognition.conftest import BUCKET, SETTINGS, Bridge, Cloud


async def new_recognizer(root: Path, bridge: Bridge) -> Recognizer:
    recognizer = Recognizer(LocalEngine(bridge, Rule()), Gallery(root), bridge)
    await recognizer.start({})
    return recognizer


@pytest.fixture
async def recognizer(tmp_path: Path, bridge: Bridge) -> Recognizer:
    return await new_recognizer(tmp_path / "faces", bridge)


async def taken(
    recognizer: Recognizer, newcomers: AsyncGenerator[Newcomer], report: Report, *, force: bool = False
) -> Report:
    async def present() -> Recognizer:
        return recognizer

    await take_over(present, newcomers, report, force=force)
    return report


async def adopted(recognizer: Recognizer, prefix: str = "", *, force: bool = False) -> Report:
    report = Report()
    return await taken(recognizer, from_bucket(SETTINGS, prefix, report), report, force=force)


def known(recognizer: Recognizer) -> dict[str, int]:
    return {person.name: len(person.photos) for person in recognizer.persons}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("alice.jpg", "Alice"),
        ("alice_2.jpg", "Alice"),
        ("Alice (3).JPEG", "Alice"),
        ("alice-02.png", "Alice"),
        ("bob_smith.jpg", "Bob Smith"),
        ("Bob%20Smith.jpg", "Bob Smith"),
        ("faces/carol.jpg", "Carol"),
        ("images/known/carol_1.jpg", "Carol"),
        ("José Müller/IMG_1.jpg", "José Müller"),
        ("people/mcDonald/1.jpg", "mcDonald"),
        ("007.jpg", "007"),
    ],
)
def test_whose_photo_it_is_stands_in_the_key(key: str, name: str) -> None:
    assert person_name(key) == name


async def test_a_bucket_is_adopted(recognizer: Recognizer, cloud: Cloud) -> None:
    objects = {
        "faces/": b"",
        "faces/barack_1.jpg": photo("obama"),
        "faces/barack_2.jpg": photo("obama2"),
        "faces/joe_biden/IMG_0001.JPG": photo("biden"),
        "faces/joe_biden/notes.txt": b"my notes",
        "faces/crowd.jpg": two_people(),
        "faces/wall.png": photo("brick"),
        "faces/broken.jpg": b"not a picture",
        "faces/huge.jpg": bytes(11_000_000),
        "other/astronaut.png": photo("astronaut"),
    }
    for key, content in objects.items():
        cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    cloud.s3.put_object(
        Bucket=BUCKET, Key="faces/x1.jpg", Body=photo("astronaut"), Metadata={"FullName": "Eileen Collins"}
    )

    report = await adopted(recognizer, "faces")

    assert known(recognizer) == {"Barack": 2, "Eileen Collins": 1, "Joe Biden": 1}
    assert sorted(person.name for person in report.added) == ["Barack", "Eileen Collins", "Joe Biden"]
    assert report.photos == {"Barack": 2, "Eileen Collins": 1, "Joe Biden": 1}
    assert {refusal.source: refusal.error.key for refusal in report.refused} == {
        "faces/crowd.jpg": "photo_several_faces",
        "faces/wall.png": "photo_no_face",
        "faces/broken.jpg": "photo_not_an_image",
        "faces/huge.jpg": "photo_too_large",
    }
    assert report.ignored == 1

    again = await adopted(recognizer, "faces/")
    assert (again.added, again.photos) == ([], {})
    assert known(recognizer) == {"Barack": 2, "Eileen Collins": 1, "Joe Biden": 1}


async def test_a_prefix_may_be_how_names_begin(recognizer: Recognizer, cloud: Cloud) -> None:
    for key in ("x/barack1.jpg", "x/brick.jpg", "x/joe.jpg"):
        cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=photo("obama"))
    await adopted(recognizer, "x/bar")
    assert known(recognizer) == {"Barack": 1}


async def test_who_looks_like_another_person_is_not_adopted(recognizer: Recognizer, cloud: Cloud) -> None:
    await recognizer.enrol("Barack", [photo("obama"), photo("obama2")])
    cloud.s3.put_object(Bucket=BUCKET, Key="twin.jpg", Body=photo("obama3"))
    report = await adopted(recognizer)
    assert [refusal.error.key for refusal in report.refused] == ["photo_looks_like"]
    assert (await adopted(recognizer, force=True)).photos == {"Twin": 1}


async def test_a_bucket_that_is_not_there_is_said(recognizer: Recognizer, cloud: Cloud) -> None:
    cloud.s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(EngineSetupError, match="bucket_missing"):
        await adopted(recognizer)


async def test_another_home_assistant_takes_over(
    recognizer: Recognizer, bridge: Bridge, tmp_path: Path
) -> None:
    await recognizer.enrol("Barack Öbama", [photo("obama"), photo("obama2")])
    await recognizer.enrol("Joe", [photo("biden")])
    file = tmp_path / "gallery.zip"
    assert await recognizer.export(file) == 3
    assert file.stat().st_mode & 0o077 == 0

    other = await new_recognizer(tmp_path / "other", bridge)
    report = await taken(other, from_file(read_gallery(file)), Report())
    assert [person.id for person in other.persons] == [person.id for person in recognizer.persons]
    assert known(other) == known(recognizer)
    assert report.refused == []
    for person in recognizer.persons:
        for each in person.photos:
            assert await other.photo(person.id, each.id) == await recognizer.photo(person.id, each.id)

    asked = bridge.asked
    again = await taken(other, from_file(read_gallery(file)), Report())
    assert (again.added, again.photos, again.refused) == ([], {}, [])
    assert bridge.asked == asked


async def test_who_was_renamed_is_the_same_person(recognizer: Recognizer, tmp_path: Path) -> None:
    person = await recognizer.enrol("Barack", [photo("obama")])
    await recognizer.export(tmp_path / "gallery.zip")
    await recognizer.rename_person(person.id, "Barry")
    await taken(recognizer, from_file(read_gallery(tmp_path / "gallery.zip")), Report())
    assert known(recognizer) == {"Barry": 1}


def packed(index: Any, files: dict[str, bytes] | None = None) -> io.BytesIO:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(INDEX, index if isinstance(index, str) else json.dumps(index))
        for name, content in (files or {}).items():
            archive.writestr(name, content)
    return target


def damaged(archive: bytes) -> bytes:
    """Return an archive in which the first member, a compressed one, cannot be unpacked."""
    start = archive.index(INDEX.encode()) + len(INDEX)
    return archive[:start] + b"\xff" * 8 + archive[start + 8 :]


def index(*persons: Any, **changes: Any) -> dict[str, Any]:
    return {"kind": KIND, "schema": SCHEMA, "persons": list(persons), **changes}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"not a zip", "gallery_file_unreadable"),
        (packed("{").getvalue(), "gallery_file_unreadable"),
        (packed([]).getvalue(), "gallery_file_unreadable"),
        (packed({"kind": "something else"}).getvalue(), "gallery_file_unreadable"),
        (packed(index(schema=SCHEMA + 1)).getvalue(), "gallery_file_too_new"),
        (packed(index({"name": "Ann"})).getvalue(), "gallery_file_unreadable"),
        (packed(index("Ann")).getvalue(), "gallery_file_unreadable"),
        (
            packed(index(*[{"id": None, "name": "A", "photos": []}] * 2000)).getvalue(),
            "gallery_file_too_large",
        ),
        (packed(index()).getvalue()[:-30], "gallery_file_unreadable"),
        (damaged(packed(index()).getvalue()), "gallery_file_unreadable"),
        (
            packed(index(), {"é": b""}).getvalue().replace("é".encode(), b"\xff\xff"),
            "gallery_file_unreadable",
        ),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, content: bytes, key: str) -> None:
    file = tmp_path / "file.zip"
    file.write_bytes(content)
    with pytest.raises(GalleryFileError, match=key):
        read_gallery(file)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "bomb.zip"
    zeros = bytes(64 * 1024 * 1024)
    file.write_bytes(packed(index(), {f"{number}.jpg": zeros for number in range(17)}).getvalue())
    assert file.stat().st_size < 2_000_000
    with pytest.raises(GalleryFileError, match="gallery_file_too_large"):
        read_gallery(file)


def outside(folder: Path) -> set[Path]:
    """Return what is near the gallery but not in it."""
    return {path for path in folder.parent.rglob("*") if "faces" not in path.parts}


async def test_nothing_is_written_outside_of_the_gallery(recognizer: Recognizer, tmp_path: Path) -> None:
    """Names in the file say nothing about names on the disk."""
    file = tmp_path / "slip.zip"
    persons = [
        {"id": "../../evil", "name": "Barack", "photos": ["../../../evil.jpg", "/etc/passwd", "missing.jpg"]},
        {"id": "joe-1", "name": "../Joe", "photos": ["large.jpg", "b.jpg"]},
    ]
    file.write_bytes(
        packed(
            index(*persons),
            {
                "../../../evil.jpg": photo("obama"),
                "b.jpg": photo("biden"),
                "large.jpg": bytes(11_000_000),
            },
        ).getvalue()
    )
    before = outside(tmp_path)
    report = await taken(recognizer, from_file(read_gallery(file)), Report())
    assert known(recognizer) == {"../Joe": 1, "Barack": 1}
    assert {person.id for person in recognizer.persons} >= {"joe-1"}
    assert {refusal.source: refusal.error.key for refusal in report.refused} == {
        "/etc/passwd": "photo_not_an_image",
        "missing.jpg": "photo_not_an_image",
        "large.jpg": "photo_too_large",
    }
    assert outside(tmp_path) == before
