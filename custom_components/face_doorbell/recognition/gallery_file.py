"""A gallery as one zip file, with which another Home Assistant takes over.

    gallery.json                      schema version, and of each person id, name and photos
    people/<person_id>/<photo_id>.jpg the photos

What a model or an index has made of the photos is not part of it: it is made again. Everything here blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import json
import lzma
from pathlib import Path
from typing import Any, Final
import zipfile
import zlib

from ..files import private_file
from .errors import GalleryFileError, PersonError, PhotoRefusedError
from .gallery import MAX_PHOTOS, PERSON_ID, Gallery
from .images import MAX_INPUT_MB

KIND: Final = "face_doorbell_gallery"
SCHEMA: Final = 1
INDEX: Final = "gallery.json"

MAX_FILE_MB: Final = 1024  # of all that is in a file: 200 persons with 20 photos of 250 KB
MAX_PERSONS: Final = 1000
MAX_INDEX: Final = 8 * 1024 * 1024  # bytes: a thousand persons with all their photos take 2 MiB

# What Python raises for a file that is none, or is damaged, or packed in a way that it does not know.
BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
)

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the same gallery gives the same file


@dataclass(frozen=True, slots=True)
class FiledPerson:
    """A person in a file, and the names of the photos in there."""

    id: str | None
    name: str
    photos: Sequence[str]


class GalleryFile:
    """A file that was opened to be read. Nothing is ever unpacked: photos are read by name, into memory, one by one."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Check the file; raises GalleryFileError."""
        self._archive = archive
        self._members = {info.filename: info for info in archive.infolist()}
        if sum(info.file_size for info in self._members.values()) > MAX_FILE_MB * 1024 * 1024:
            raise GalleryFileError("gallery_file_too_large", limit_mb=str(MAX_FILE_MB))
        self.persons = _persons(self._index())

    def photo(self, name: str) -> bytes:
        """Return a photo; raises PhotoRefusedError."""
        info = self._members.get(name)
        if info is None:
            raise PhotoRefusedError("photo_not_an_image")
        if info.file_size > MAX_INPUT_MB * 1024 * 1024:
            raise PhotoRefusedError("photo_too_large", limit_mb=str(MAX_INPUT_MB))
        try:
            return self._archive.read(info)
        except BROKEN as err:
            raise PhotoRefusedError("photo_not_an_image") from err

    def _index(self) -> Mapping[str, Any]:
        info = self._members.get(INDEX)
        if info is None or info.file_size > MAX_INDEX:
            raise GalleryFileError
        try:
            index = json.loads(self._archive.read(info))
        except BROKEN as err:
            raise GalleryFileError from err
        if not isinstance(index, dict) or index.get("kind") != KIND:
            raise GalleryFileError
        if index.get("schema") != SCHEMA:
            raise GalleryFileError("gallery_file_too_new")
        return index


def read_gallery(file: Path) -> GalleryFile:
    """Open a file; raises GalleryFileError, also when there is no such file."""
    try:
        return GalleryFile(zipfile.ZipFile(file))
    except BROKEN as err:
        raise GalleryFileError from err


def write_gallery(gallery: Gallery, file: Path) -> int:
    """Write all persons and photos into a file, whole or not at all; returns how many photos. Raises OSError."""
    photos = 0
    persons = []
    with private_file(file) as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for person in gallery.persons:
            names = []
            for photo in person.photos:
                try:
                    jpeg = gallery.photo(person.id, photo.id)
                except PersonError:
                    continue  # removed meanwhile
                names.append(f"people/{person.id}/{photo.id}.jpg")
                archive.writestr(zipfile.ZipInfo(names[-1], _EPOCH), jpeg)
            photos += len(names)
            persons.append({"id": person.id, "name": person.name, "photos": names})
        index = {
            "kind": KIND,
            "schema": SCHEMA,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "persons": persons,
        }
        archive.writestr(zipfile.ZipInfo(INDEX, _EPOCH), json.dumps(index, ensure_ascii=False, indent=1))
    return photos


def _persons(index: Mapping[str, Any]) -> Sequence[FiledPerson]:
    try:
        persons = list(_read_persons(index["persons"]))
    except (KeyError, TypeError, AttributeError) as err:
        raise GalleryFileError from err
    if len(persons) > MAX_PERSONS:
        raise GalleryFileError("gallery_file_too_large", limit_mb=str(MAX_FILE_MB))
    return persons


def _read_persons(persons: Sequence[Mapping[str, Any]]) -> Iterator[FiledPerson]:
    for person in persons:
        person_id = person["id"]
        known = isinstance(person_id, str) and PERSON_ID.fullmatch(person_id)
        photos = [str(name) for name in person["photos"][:MAX_PHOTOS]]
        yield FiledPerson(person_id if known else None, str(person["name"]), photos)
