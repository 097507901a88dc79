"""Taking persons over from elsewhere: reference images in an S3 bucket, or the file of another Home Assistant.

A bucket has one file or one folder for each person: `alice.jpg`, `alice_2.jpg`, `Bob Smith/IMG_1.jpg`,
`faces/carol.png`. A name in an object's metadata (`FullName`, as AWS's own examples have it) is better than its key.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
import re
from typing import Final
from urllib.parse import unquote_plus

from .aws import Aws, AwsSettings, Clients
from .errors import EngineUnavailableError, PersonError, PhotoRefusedError, RecognitionError
from .gallery import MAX_PHOTOS, Person, photo_id
from .gallery_file import GalleryFile
from .images import MAX_INPUT_MB, prepare
from .recognizer import Recognizer

IMAGES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MAX_OBJECTS: Final = 5_000  # images in a bucket: more is not a household's
METADATA_NAMES: Final = ("fullname", "name", "person")

# Folders that say what is in them, not who.
GENERIC: Final = frozenset(
    {"dataset", "face", "faces", "gallery", "images", "img", "index", "known", "people", "persons", "photos"}
    | {"pictures", "reference", "references", "train", "training", "uploads", "users"}
)
# What tells the photos of one person apart: `alice_2`, `alice-02`, `alice (3)`, `alice4`.
_NUMBER: Final = re.compile(r"[\s_.-]*\(?\d+\)?$")


type Present = Callable[[], Awaitable[Recognizer]]


@dataclass(frozen=True, slots=True)
class Source:
    """A photo to be taken over: where it comes from, and its content or why there is none."""

    name: str
    photo: bytes | PhotoRefusedError


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A person to be taken over; `id` is what it was elsewhere, if that is to be kept."""

    name: str
    photos: Sequence[Source]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A photo, or (`source` None) a person, that was not taken over, and why."""

    name: str
    source: str | None
    error: RecognitionError


@dataclass(slots=True)
class Report:
    """What was taken over: persons that are new, photos that are new by person, and what was refused."""

    added: list[Person] = field(default_factory=list)
    photos: dict[str, int] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    ignored: int = 0  # objects that are no images


async def take_over(
    present: Present, newcomers: AsyncIterator[Newcomer], report: Report, *, force: bool
) -> None:
    """Enrol persons, or give those whom the gallery has (by id or name) the photos that they lack.

    This takes minutes, in which the recognizer may become another one: `present` returns the one that there is, and
    raises when there is none. Every photo passes the gate by itself; what is refused stands in the report, which is
    right at any moment. Raises the engine's errors, with what was taken over until then in place.
    """
    async for newcomer in newcomers:
        while True:
            recognizer = await present()
            refused = list(report.refused)
            try:
                await _take_over_one(recognizer, newcomer, report, force=force)
            except EngineUnavailableError:
                if not recognizer.closed:
                    raise
                report.refused = refused  # the same once more
            else:
                break


async def _take_over_one(recognizer: Recognizer, newcomer: Newcomer, report: Report, *, force: bool) -> None:
    known = _known(recognizer, newcomer)
    photos = dict[str, bytes]()
    for source in newcomer.photos:
        try:
            jpeg = await asyncio.to_thread(_prepared, source)
        except PhotoRefusedError as err:
            report.refused.append(Refusal(newcomer.name, source.name, err))
        else:
            # What is there already is not judged, and billed, again.
            if known is None or all(photo.id != photo_id(jpeg) for photo in known.photos):
                photos[source.name] = jpeg
    if not photos:
        return
    try:
        person = await _enrol(recognizer, newcomer, known, photos, report, force=force)
    except PersonError as err:
        report.refused.append(Refusal(newcomer.name, None, err))
        return
    if person is None:
        return
    if known is None:
        report.added.append(person)
    if new := len(person.photos) - len(known.photos if known else ()):
        report.photos[person.name] = report.photos.get(person.name, 0) + new


async def from_bucket(settings: AwsSettings, prefix: str, report: Report) -> AsyncGenerator[Newcomer]:
    """Yield the persons of a bucket below a prefix; raises the errors of AWS."""
    aws = Aws(settings)
    try:
        images = await asyncio.to_thread(
            aws.run, lambda clients: _list(clients, settings.bucket, prefix, report)
        )
        for name, keys in _by_person(images, prefix).items():
            by_name = dict[str, list[Source]]()
            for key in keys[: 2 * MAX_PHOTOS]:
                told, source = await asyncio.to_thread(
                    aws.run, lambda clients, key=key: _get(clients, settings.bucket, key, images[key])
                )
                by_name.setdefault(told or name, []).append(source)
            for told, sources in by_name.items():
                yield Newcomer(told, sources[:MAX_PHOTOS])
    finally:
        await asyncio.to_thread(aws.close)


async def from_file(file: GalleryFile) -> AsyncGenerator[Newcomer]:
    """Yield the persons of a file."""
    for person in file.persons:
        photos = [await asyncio.to_thread(_read, file, name) for name in person.photos]
        yield Newcomer(person.name, photos, person.id)


def person_name(key: str) -> str:
    """Return whose photo an object is, by its key below the prefix."""
    path = PurePosixPath(unquote_plus(key))
    folder = path.parent.name
    told = folder if folder and folder.casefold() not in GENERIC else _NUMBER.sub("", path.stem) or path.stem
    name = " ".join(told.replace("_", " ").split())
    return name.title() if name.islower() else name


async def _enrol(
    recognizer: Recognizer,
    newcomer: Newcomer,
    known: Person | None,
    photos: dict[str, bytes],
    report: Report,
    *,
    force: bool,
) -> Person | None:
    """Enrol all photos but those that are refused; returns None when that leaves none."""
    while photos:
        jpegs = list(photos.values())
        try:
            if known:
                return await recognizer.add_photos(known.id, jpegs, force=force)
            return await recognizer.enrol(newcomer.name, jpegs, force=force, person_id=newcomer.id)
        except PhotoRefusedError as err:
            source = list(photos)[err.position]
            del photos[source]
            report.refused.append(Refusal(newcomer.name, source, err))
    return None


def _prepared(source: Source) -> bytes:
    """Return a photo as the gallery stores it; raises PhotoRefusedError."""
    if isinstance(source.photo, PhotoRefusedError):
        raise source.photo
    return prepare(source.photo)


def _known(recognizer: Recognizer, newcomer: Newcomer) -> Person | None:
    for who in (newcomer.id, newcomer.name):
        with suppress(PersonError):
            if who:
                return recognizer.find(who)
    return None


def _list(clients: Clients, bucket: str, prefix: str, report: Report) -> Mapping[str, int]:
    """Return the sizes of the images below a prefix, by key."""
    images = dict[str, int]()
    for page in clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            if PurePosixPath(item["Key"]).suffix.lower() in IMAGES and len(images) < MAX_OBJECTS:
                images[item["Key"]] = item["Size"]
            elif not item["Key"].endswith("/"):
                report.ignored += 1
    return images


def _by_person(keys: Iterable[str], prefix: str) -> Mapping[str, Sequence[str]]:
    persons = dict[str, list[str]]()
    found = sorted(keys)
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    if not all(key.startswith(folder) for key in found):
        folder = prefix[: prefix.rfind("/") + 1]  # the prefix is how names begin
    for key in found:
        persons.setdefault(person_name(key.removeprefix(folder)), []).append(key)
    return persons


def _get(clients: Clients, bucket: str, key: str, size: int) -> tuple[str | None, Source]:
    """Return a photo, and the name in its metadata."""
    if size > MAX_INPUT_MB * 1024 * 1024:
        return None, Source(key, PhotoRefusedError("photo_too_large", limit_mb=str(MAX_INPUT_MB)))
    answer = clients.s3.get_object(Bucket=bucket, Key=key)
    metadata = {name.lower(): text for name, text in answer.get("Metadata", {}).items()}
    told = next(
        (unquote_plus(metadata[name]) for name in METADATA_NAMES if metadata.get(name, "").strip()), None
    )
    return told, Source(key, answer["Body"].read())


def _read(file: GalleryFile, name: str) -> Source:
    try:
        return Source(name, file.photo(name))
    except PhotoRefusedError as err:
        return Source(name, err)
