"""Persons and photos on disk: nothing is lost, half written or seen by others."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
import json
import os
from pathlib import Path
import shutil
import stat

import pytest

from custom_components.face_doorbell.model import Embedding
from custom_components.face_doorbell.recognition import gallery as gallery_module
from custom_components.face_doorbell.recognition.errors import PersonError
from custom_components.face_doorbell.recognition.gallery import MAX_PHOTOS, Gallery, NewPhoto, Person

ONE, TWO, THREE = (NewPhoto(f"photo {number}".encode()) for number in (1, 2, 3))
EMBEDDED = NewPhoto(b"embedded", Embedding("mobilefacenet-1", (0.5, -0.5, 0.0)))


def reopened(tmp_path: Path) -> Gallery:
    gallery = Gallery(tmp_path / "faces")
    gallery.load()
    return gallery


def files(tmp_path: Path) -> set[str]:
    root = tmp_path / "faces"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_is_added_is_there_after_a_restart(gallery: Gallery, tmp_path: Path) -> None:
    ann = gallery.add_person("Ann", [ONE, EMBEDDED])
    bob = gallery.add_person("bob", [TWO])
    assert reopened(tmp_path).persons == (ann, bob) == gallery.persons
    assert reopened(tmp_path).photo(ann.id, ONE.id) == ONE.jpeg
    assert ann.photos[1].embeddings == {"mobilefacenet-1": (0.5, -0.5, 0.0)}


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("Zoë Müller-Ångström", "zoe-muller-angstrom-"),
        ("李雷", "person-"),
        ("../x", "x-"),
        ("n" * 99, "n" * 48 + "-"),
    ],
)
def test_an_id_is_fit_for_folders_and_aws_whatever_the_name(gallery: Gallery, name: str, begins: str) -> None:
    person = gallery.add_person(name, [])
    assert person.id.startswith(begins)
    assert len(person.id) <= 64
    assert person.name == name


def test_only_the_owner_may_look(gallery: Gallery, tmp_path: Path) -> None:
    gallery.add_person("Ann", [ONE])
    gallery.remember_removed()
    for path in (tmp_path / "faces").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("", "person_name_empty"),
        (" \n", "person_name_empty"),
        ("\u200b", "person_name_empty"),
        ("\u202e \x00", "person_name_empty"),
        ("x" * 101, "person_name_too_long"),
        ("Zoë 👩\u200d👧 李", None),
        ("x" * 100, None),
    ],
)
def test_a_name_is_to_be_seen(gallery: Gallery, name: str, key: str | None) -> None:
    ann = gallery.add_person("Ann", [])
    if key is None:
        assert gallery.rename_person(ann.id, name).name == name
        return
    with pytest.raises(PersonError, match=key):
        gallery.add_person(name, [])
    with pytest.raises(PersonError, match=key):
        gallery.rename_person(ann.id, name)


@pytest.mark.parametrize("name", ["Ann", " ann ", "ANN", "\uff21nn"])
def test_a_name_is_taken_once(gallery: Gallery, name: str) -> None:
    ann, bob = gallery.add_person("Ann", []), gallery.add_person("Bob", [])
    with pytest.raises(PersonError, match="person_name_taken"):
        gallery.add_person(name, [])
    with pytest.raises(PersonError, match="person_name_taken"):
        gallery.rename_person(bob.id, name)
    assert gallery.persons == (ann, bob)


def test_a_person_may_keep_the_name_in_other_letters(gallery: Gallery, tmp_path: Path) -> None:
    ann = gallery.add_person("ann", [ONE])
    assert gallery.rename_person(ann.id, "  Ann   Lee ").name == "Ann Lee"
    assert gallery.rename_person(ann.id, "ann lee").id == ann.id
    assert reopened(tmp_path).person(ann.id).name == "ann lee"


def test_the_same_photo_twice_is_one_photo(gallery: Gallery) -> None:
    ann = gallery.add_person("Ann", [ONE, ONE])
    assert len(ann.photos) == 1
    assert gallery.add_photos(ann.id, [ONE]) == ann
    assert [photo.id for photo in gallery.add_photos(ann.id, [TWO, ONE]).photos] == [ONE.id, TWO.id]


def test_photos_go_one_by_one_and_persons_whole(gallery: Gallery, tmp_path: Path) -> None:
    ann = gallery.add_person("Ann", [ONE, TWO])
    gallery.remove_photos(ann.id, [ONE.id])
    assert files(tmp_path) == {f"people/{ann.id}/person.json", f"people/{ann.id}/{TWO.id}.jpg"}
    gallery.remove_person(ann.id)
    assert files(tmp_path) == {"forgotten.json"}
    assert reopened(tmp_path).persons == ()


def test_who_was_removed_is_remembered_until_home_assistant_has_written_it_down(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = gallery.add_person("Ann", [ONE]), gallery.add_person("Bob", [TWO])
    gallery.remove_person(ann.id)
    told = [ann.id, bob.id]
    assert reopened(tmp_path).forgotten(told) == {ann.id}
    # It names neither who she was nor her id.
    assert b"ann" not in (tmp_path / "faces" / "forgotten.json").read_bytes().lower()
    # Somebody who is taken over again is not forgotten.
    gallery.add_person("Ann", [ONE], ann.id)
    assert gallery.forgotten(told) == frozenset()
    gallery.remove_person(ann.id)

    monkeypatch.setattr(gallery_module, "FORGOTTEN_FOR", timedelta(0))
    late = reopened(tmp_path)
    assert late.forgotten(told) == {ann.id}
    assert late.forgotten([bob.id]) == frozenset()
    assert not (tmp_path / "faces" / "forgotten.json").exists()


def test_what_is_not_there_has_its_own_error(gallery: Gallery) -> None:
    ann = gallery.add_person("Ann", [ONE])
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("person_not_found", lambda: gallery.person("nobody")),
        ("person_not_found", lambda: gallery.remove_person("nobody")),
        ("person_not_found", lambda: gallery.add_photos("nobody", [ONE])),
        ("photo_not_found", lambda: gallery.remove_photos(ann.id, [ONE.id, "0" * 16])),
        ("photo_not_found", lambda: gallery.photo(ann.id, "../person")),
        ("person_name_empty", lambda: gallery.rename_person(ann.id, " \t ")),
    ]
    for key, attempt in attempts:
        with pytest.raises(PersonError) as missing:
            attempt()
        assert missing.value.key == key
    assert gallery.persons == (ann,)


def test_a_person_has_not_too_many_photos(gallery: Gallery) -> None:
    many = [NewPhoto(bytes([number])) for number in range(MAX_PHOTOS + 1)]
    with pytest.raises(PersonError) as refused:
        gallery.add_person("Ann", many)
    assert (refused.value.key, refused.value.placeholders) == ("too_many_photos", {"limit": "20"})
    ann = gallery.add_person("Ann", many[:-1])
    with pytest.raises(PersonError):
        gallery.add_photos(ann.id, many[-1:])
    assert gallery.persons == (ann,)


def test_what_models_made_of_a_photo_is_kept(gallery: Gallery, tmp_path: Path) -> None:
    ann = gallery.add_person("Ann", [EMBEDDED])
    gallery.set_embedding(ann.id, EMBEDDED.id, Embedding("other-2", (1.0, 0.0)))
    gallery.set_refused(ann.id, EMBEDDED.id, "rekognition", "photo_no_face")
    (photo,) = reopened(tmp_path).person(ann.id).photos
    assert photo.embeddings == {"mobilefacenet-1": (0.5, -0.5, 0.0), "other-2": (1.0, 0.0)}
    assert photo.refused == {"rekognition": "photo_no_face"}


class Crash(BaseException):
    """The power goes."""


CHANGES: dict[str, Callable[[Gallery, Person], object]] = {
    "add": lambda gallery, ann: gallery.add_person("Bob", [TWO, THREE]),
    "add photos": lambda gallery, ann: gallery.add_photos(ann.id, [TWO, THREE]),
    "remove photo": lambda gallery, ann: gallery.remove_photos(ann.id, [ONE.id]),
    "remove": lambda gallery, ann: gallery.remove_person(ann.id),
    "rename": lambda gallery, ann: gallery.rename_person(ann.id, "Anna"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", range(12))
def test_a_crash_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, call: int
) -> None:
    """The power goes at every single fsync of a change; what comes back is whole."""
    gallery = reopened(tmp_path)
    gallery.remember_removed()
    ann = gallery.add_person("Ann", [ONE, EMBEDDED])
    before = _contents(gallery)
    calls, crashed = 0, False
    unlink, rmtree = Path.unlink, shutil.rmtree

    def fsync(_descriptor: int) -> None:
        nonlocal calls, crashed
        crashed = crashed or calls == call
        calls += 1
        if crashed:
            raise Crash

    def unless_crashed(tidy_up: Callable[..., None]) -> Callable[..., None]:
        def run(*args: object, **options: object) -> None:
            if not crashed:
                tidy_up(*args, **options)

        return run

    with monkeypatch.context() as power:
        power.setattr(os, "fsync", fsync)
        # Nobody tidies up after the power has gone.
        power.setattr(Path, "unlink", unless_crashed(unlink))
        power.setattr(shutil, "rmtree", unless_crashed(rmtree))
        with suppress(Crash):
            CHANGES[change](gallery, ann)
    after = reopened(tmp_path)
    done = Gallery(tmp_path / "other")
    done.load()
    copy = done.add_person("Ann", [ONE, EMBEDDED], ann.id)
    CHANGES[change](done, copy)
    assert _contents(after) in ([before, _contents(done)] if crashed else [_contents(done)])
    assert not list((tmp_path / "faces").rglob(".*"))


def _contents(gallery: Gallery) -> object:
    """Return names and photos, which must all be readable."""
    return {
        person.name: [gallery.photo(person.id, photo.id) for photo in person.photos]
        for person in gallery.persons
    }


@pytest.mark.parametrize(
    "rotten", [b"", b"[]", b"{}", b"\xff\xfe", b'{"schema": 2}', b'{"schema": 1, "id": "x", "name": 3}', None]
)
def test_what_cannot_be_read_is_skipped_with_a_warning_and_kept(
    tmp_path: Path, rotten: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = reopened(tmp_path)
    ann, bob = gallery.add_person("Ann", [ONE]), gallery.add_person("Bob", [TWO])
    file = tmp_path / "faces" / "people" / ann.id / "person.json"
    if rotten is None:
        file.unlink()
    else:
        file.write_bytes(rotten)
    (tmp_path / "faces" / "people" / "notes.txt").write_text("mine")
    there = files(tmp_path)

    again = reopened(tmp_path)
    assert again.persons == (bob,)
    again.add_photos(bob.id, [THREE])
    assert there < files(tmp_path)
    assert ann.id in caplog.text
    assert "notes.txt" in caplog.text


def test_a_folder_under_another_name_is_not_that_person(tmp_path: Path) -> None:
    ann = reopened(tmp_path).add_person("Ann", [ONE])
    people = tmp_path / "faces" / "people"
    (people / ann.id).rename(people / "somebody-else")
    assert reopened(tmp_path).persons == ()


def test_a_file_that_is_no_photo_is_never_read_as_one(tmp_path: Path) -> None:
    ann = reopened(tmp_path).add_person("Ann", [ONE])
    file = tmp_path / "faces" / "people" / ann.id / "person.json"
    data = json.loads(file.read_bytes())
    data["photos"]["../../../secret"] = data["photos"][ONE.id]
    file.write_text(json.dumps(data))
    assert [photo.id for photo in reopened(tmp_path).person(ann.id).photos] == [ONE.id]


def test_removed_persons_are_remembered_once_an_engine_asks(gallery: Gallery, tmp_path: Path) -> None:
    ann, bob = gallery.add_person("Ann", []), gallery.add_person("Bob", [])
    gallery.remove_person(ann.id)
    assert gallery.removed == set()
    gallery.remember_removed()
    gallery.remove_person(bob.id)
    assert reopened(tmp_path).removed == {bob.id}
    gallery.forget_removed([bob.id])
    assert reopened(tmp_path).removed == set()


def test_somebody_who_comes_back_is_not_removed(gallery: Gallery, tmp_path: Path) -> None:
    gallery.remember_removed()
    ann = gallery.add_person("Ann", [ONE])
    gallery.remove_person(ann.id)
    gallery.add_person("Ann", [ONE], ann.id)
    assert reopened(tmp_path).removed == set()
    assert reopened(tmp_path).person(ann.id).name == "Ann"


@pytest.mark.parametrize("rotten", [b"{", b'{"a": 1}', b'[1, "../x"]'])
def test_a_rotten_list_of_the_removed_removes_nobody(tmp_path: Path, rotten: bytes) -> None:
    ann = reopened(tmp_path).add_person("Ann", [ONE])
    (tmp_path / "faces" / "removed.json").write_bytes(rotten)
    assert reopened(tmp_path).persons == (ann,)
    assert reopened(tmp_path).removed == set()


def test_a_photo_that_a_crash_left_without_a_record_is_deleted(gallery: Gallery, tmp_path: Path) -> None:
    """As when the power fails between a photo and the record that names it."""
    ann = gallery.add_person("Ann", [NewPhoto(b"one")])
    folder = next(tmp_path.rglob(ann.id))
    orphan = folder / f"{NewPhoto(b'two').id}.jpg"
    orphan.write_bytes(b"two")
    gallery.load()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["person.json", f"{ann.photos[0].id}.jpg"]
    )
