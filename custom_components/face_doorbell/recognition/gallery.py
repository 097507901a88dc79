"""All persons and their photos on disk: the truth that engines only hold an index of.

    people/<person_id>/person.json      name, and for each photo when it was added and what models made of it
    people/<person_id>/<photo_id>.jpg   photo_id: the first 16 hex digits of the photo's SHA-256
    removed.json                        removed persons that an index elsewhere may still hold
    forgotten.json                      digests of removed persons whom Home Assistant may still name after a crash

Every change is one rename, so a crash leaves either the old or the new state. The API blocks: call it from a worker
thread. Where the disk fails it raises OSError.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
import hashlib
import json
import logging
from pathlib import Path
import re
import threading
from typing import Final, NotRequired, TypedDict
import unicodedata
import uuid

from ..files import make_folder, remove_folder, remove_unfinished, whole_folder, write_file, write_new
from ..model import Embedding
from .errors import PersonError

_LOGGER = logging.getLogger(__name__)

MAX_PHOTOS: Final = 20  # of one person: more do not help, and Rekognition takes 100 faces a user
# Letters: the longest names of people have fewer, and a state of Home Assistant takes 255.
LONGEST_NAME: Final = 100
INVISIBLE: Final = frozenset({"Cc", "Cf", "Mn", "Zs"})  # alone; within a name, emojis and scripts need them
PERSON_ID: Final = re.compile(r"[a-z0-9_-]{1,64}")
PHOTO_ID: Final = re.compile(r"[0-9a-f]{16}")
SCHEMA: Final = 1
FORGOTTEN_FOR: Final = timedelta(hours=1)  # Home Assistant writes down within seconds who is gone
_SLUG_LENGTH: Final = 48

type Vector = tuple[float, ...]


class _PhotoJson(TypedDict):
    added: str
    yaw: NotRequired[float | None]
    embeddings: dict[str, str]
    refused: dict[str, str]


class _PersonJson(TypedDict):
    schema: int
    id: str
    name: str
    photos: dict[str, _PhotoJson]


@dataclass(frozen=True, slots=True)
class Photo:
    """A reference photo.

    `embeddings` holds the face as a unit vector by model id; `refused` says why an index (a model id, or `rekognition`)
    does not take the photo. `yaw` is where the face turns, in degrees as in `model.Face`.
    """

    id: str
    added: datetime
    embeddings: Mapping[str, Vector] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    yaw: float | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the household knows; photos in the order in which they were added."""

    id: str
    name: str
    photos: tuple[Photo, ...] = ()


def photo_id(jpeg: bytes) -> str:
    """Return the id of a photo: the first 16 hex digits of the SHA-256."""
    return hashlib.sha256(jpeg).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo to be added: a JPEG of `images.prepare`, and what is known of its face."""

    jpeg: bytes
    embedding: Embedding | None = None
    yaw: float | None = None

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256."""
        return photo_id(self.jpeg)


class Gallery:
    """Persons and photos below `root`. Thread-safe; `persons` and `removed` read no disk once `load` is done."""

    def __init__(self, root: Path) -> None:
        """Remember the folder; it is made and read by `load`."""
        self._people = root / "people"
        self._removed_file = root / "removed.json"
        self._forgotten_file = root / "forgotten.json"
        self._lock = threading.RLock()
        self._persons: dict[str, Person] = {}
        self._removed: frozenset[str] | None = None  # None: no index elsewhere, nothing to remember
        self._forgotten: Mapping[
            str, datetime
        ] = {}  # when, by digest: the ids themselves would tell of names

    @property
    def persons(self) -> tuple[Person, ...]:
        """All persons, by name."""
        return tuple(sorted(self._persons.values(), key=lambda person: (_key(person.name), person.id)))

    @property
    def removed(self) -> frozenset[str]:
        """Ids of removed persons that an index elsewhere may still hold; only these may be removed from it."""
        return self._removed or frozenset()

    def load(self) -> None:
        """Read everything, and finish what a crash left undone.

        What cannot be read is skipped with a warning and stays as it is.
        """
        with self._lock:
            make_folder(self._people)
            for folder in (self._people.parent, self._people, *self._people.iterdir()):
                remove_unfinished(folder)
            self._removed = _read_removed(self._removed_file)
            self._forgotten = _read_forgotten(self._forgotten_file)
            for person_id in self.removed:
                remove_folder(self._people / person_id)
            self._persons = {person.id: person for person in _read_persons(self._people)}
            for person in self._persons.values():
                self._delete_orphans(person)

    def person(self, person_id: str) -> Person:
        """Return a person; raises PersonError `person_not_found`."""
        try:
            return self._persons[person_id]
        except KeyError:
            raise PersonError("person_not_found", person=person_id) from None

    def find(self, who: str) -> Person:
        """Return a person by id or name; raises PersonError `person_not_found`."""
        if person := self._persons.get(who):
            return person
        key = _key(_normal(who))
        for person in self.persons:
            if _key(person.name) == key:
                return person
        raise PersonError("person_not_found", person=who)

    def photo(self, person_id: str, photo_id: str) -> bytes:
        """Return a photo's JPEG; raises PersonError `person_not_found`, `photo_not_found`."""
        if all(photo.id != photo_id for photo in self.person(person_id).photos):
            raise PersonError("photo_not_found")
        try:
            return self._photo_file(person_id, photo_id).read_bytes()
        except OSError as err:
            raise PersonError("photo_not_found") from err

    def check_name(self, name: str, *, but: str | None = None) -> str:
        """Return the name in its stored form.

        Raises PersonError if there is nothing to be seen of it, it is too long, or another person than `but` has it.
        """
        name = _normal(name)
        if all(unicodedata.category(letter) in INVISIBLE for letter in name):
            raise PersonError("person_name_empty")
        if len(name) > LONGEST_NAME:
            raise PersonError("person_name_too_long", limit=str(LONGEST_NAME))
        if any(_key(person.name) == _key(name) for person in self.persons if person.id != but):
            raise PersonError("person_name_taken", name=name)
        return name

    def add_person(self, name: str, photos: Sequence[NewPhoto], person_id: str | None = None) -> Person:
        """Add a person with all photos or not at all.

        Raises PersonError `person_name_taken`, `person_name_empty`, `person_name_too_long`, `too_many_photos`.
        """
        with self._lock:
            name = self.check_name(name)
            person = Person(person_id or _new_id(name), name, _merged((), photos))
            with whole_folder(self._people / person.id) as folder:
                for photo_file, jpeg in {f"{photo.id}.jpg": photo.jpeg for photo in photos}.items():
                    write_new(folder / photo_file, jpeg)
                write_new(folder / "person.json", _dump(person))
                self.forget_removed({person.id})
                self._set_forgotten(
                    {each: at for each, at in self._forgotten.items() if each != _digest(person.id)}
                )
            self._persons[person.id] = person
            return person

    def bring_back(self, person_id: str, name: str) -> Person:
        """Add a person whom Home Assistant names and the gallery does not know, with the photos that are still there.

        A record that cannot be read is set aside. Raises PersonError as `add_person`.
        """
        with self._lock:
            folder = self._people / person_id
            if not folder.exists():
                return self.add_person(name, (), person_id)
            person = Person(person_id, self.check_name(name), tuple(_photos_without_record(folder)))
            record = folder / "person.json"
            with suppress(FileNotFoundError):
                record.replace(folder / "person.damaged")
            write_file(record, _dump(person))
            self._persons[person_id] = person
            return person

    def add_photos(self, person_id: str, photos: Sequence[NewPhoto]) -> Person:
        """Add photos, all or none; one that is there already is no change. Raises PersonError."""
        with self._lock:
            person = self.person(person_id)
            merged = replace(person, photos=_merged(person.photos, photos))
            known = {photo.id for photo in person.photos}
            files = {
                self._photo_file(person_id, photo.id): photo.jpeg for photo in photos if photo.id not in known
            }
            try:
                for file, jpeg in files.items():
                    write_file(file, jpeg)
                return self._store(merged)
            except OSError:
                for file in files:
                    file.unlink(missing_ok=True)
                raise

    def remove_photos(self, person_id: str, photo_ids: Iterable[str]) -> Person:
        """Remove photos; raises PersonError `person_not_found`, `photo_not_found`."""
        with self._lock:
            person, gone = self.person(person_id), set(photo_ids)
            if gone - {photo.id for photo in person.photos}:
                raise PersonError("photo_not_found")
            person = self._store(
                replace(person, photos=tuple(photo for photo in person.photos if photo.id not in gone))
            )
            for photo_id in gone:
                self._photo_file(person_id, photo_id).unlink(missing_ok=True)
            return person

    def remove_person(self, person_id: str, *, named: bool = True) -> None:
        """Remove a person and note it for the engines; raises PersonError `person_not_found`.

        `named`: Home Assistant may name the person after a crash; not if it was never told.
        """
        with self._lock:
            self.person(person_id)
            self._note_removed({person_id}, named=named)
            del self._persons[person_id]
            remove_folder(self._people / person_id)

    def remove_everyone(self) -> None:
        """Remove all persons, and whatever else is among them."""
        with self._lock:
            self._note_removed(set(self._persons), named=True)
            self._persons = {}
            remove_folder(self._people)
            make_folder(self._people)

    def rename_person(self, person_id: str, name: str) -> Person:
        """Give a person another name; raises PersonError."""
        with self._lock:
            person = self.person(person_id)
            return self._store(replace(person, name=self.check_name(name, but=person_id)))

    def set_embedding(self, person_id: str, photo_id: str, embedding: Embedding) -> Person:
        """Keep what a model made of a photo."""
        return self._change_photo(
            person_id,
            photo_id,
            lambda photo: replace(photo, embeddings={**photo.embeddings, embedding.model: embedding.vector}),
        )

    def set_refused(self, person_id: str, photo_id: str, index: str, reason: str) -> Person:
        """Keep that an index refused a photo, so that it is not tried (and billed) again."""
        return self._change_photo(
            person_id, photo_id, lambda photo: replace(photo, refused={**photo.refused, index: reason})
        )

    def remember_removed(self) -> None:
        """From now on remember who is removed; an engine asks for it before it puts anything elsewhere."""
        with self._lock:
            self._set_removed(self.removed)

    def forget_removed(self, person_ids: Iterable[str]) -> None:
        """Drop ids from `removed`: no index holds them any longer."""
        with self._lock:
            if self._removed is not None:
                self._set_removed(self._removed - set(person_ids))

    def forgotten(self, named: Iterable[str]) -> frozenset[str]:
        """Return who of those that Home Assistant names was removed: it crashed before it had written that down."""
        with self._lock:
            now = datetime.now(UTC)
            gone = frozenset(each for each in named if _digest(each) in self._forgotten)
            recent = {digest: at for digest, at in self._forgotten.items() if now - at < FORGOTTEN_FOR}
            self._set_forgotten(recent | {_digest(each): now for each in gone})
            return gone

    def _note_removed(self, person_ids: AbstractSet[str], *, named: bool) -> None:
        if self._removed is not None:
            self._set_removed(self._removed | person_ids)
        if named:
            now = datetime.now(UTC)
            self._set_forgotten({**self._forgotten, **{_digest(each): now for each in person_ids}})

    def _set_forgotten(self, forgotten: Mapping[str, datetime]) -> None:
        if forgotten == self._forgotten:
            return
        if forgotten:
            times = {digest: at.isoformat() for digest, at in forgotten.items()}
            write_file(self._forgotten_file, json.dumps(times).encode())
        else:
            self._forgotten_file.unlink(missing_ok=True)
        self._forgotten = forgotten

    def _change_photo(self, person_id: str, photo_id: str, change: Callable[[Photo], Photo]) -> Person:
        with self._lock:
            person = self.person(person_id)
            photos = tuple(change(photo) if photo.id == photo_id else photo for photo in person.photos)
            return self._store(replace(person, photos=photos))

    def _store(self, person: Person) -> Person:
        if person != self._persons[person.id]:
            write_file(self._people / person.id / "person.json", _dump(person))
            self._persons[person.id] = person
        return person

    def _set_removed(self, person_ids: frozenset[str]) -> None:
        if person_ids != self._removed:
            write_file(self._removed_file, json.dumps(sorted(person_ids)).encode())
            self._removed = person_ids

    def _delete_orphans(self, person: Person) -> None:
        """Delete photos that a crash has left without a record."""
        files = {self._photo_file(person.id, photo.id) for photo in person.photos}
        for file in set((self._people / person.id).glob("*.jpg")) - files:
            file.unlink()

    def _photo_file(self, person_id: str, photo_id: str) -> Path:
        return self._people / person_id / f"{photo_id}.jpg"


def _merged(known: tuple[Photo, ...], new: Sequence[NewPhoto]) -> tuple[Photo, ...]:
    """Return the known photos and behind them the new ones."""
    photos = {photo.id: photo for photo in known}
    for photo in new:
        embeddings = {photo.embedding.model: photo.embedding.vector} if photo.embedding else {}
        added = datetime.now(UTC).replace(microsecond=0)
        photos.setdefault(photo.id, Photo(photo.id, added, embeddings, yaw=photo.yaw))
    if len(photos) > MAX_PHOTOS:
        raise PersonError("too_many_photos", limit=str(MAX_PHOTOS))
    return tuple(photos.values())


def _digest(person_id: str) -> str:
    return hashlib.sha256(person_id.encode()).hexdigest()


def _read_forgotten(file: Path) -> Mapping[str, datetime]:
    try:
        return {
            str(digest): datetime.fromisoformat(at) for digest, at in json.loads(file.read_bytes()).items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as err:
        _LOGGER.warning("Skipped %s, which cannot be read: %r", file, err)
        return {}


def _normal(name: str) -> str:
    """Return a name as it is stored."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _key(name: str) -> str:
    """Return what two equal names have in common."""
    return unicodedata.normalize("NFKC", name).casefold()


def _new_id(name: str) -> str:
    """Return an id that is a valid folder, S3 key and Rekognition user id."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:_SLUG_LENGTH] or "person"
    return f"{slug}-{uuid.uuid4().hex[:8]}"


def _dump(person: Person) -> bytes:
    data: _PersonJson = {
        "schema": SCHEMA,
        "id": person.id,
        "name": person.name,
        "photos": {
            photo.id: {
                "added": photo.added.isoformat(timespec="seconds"),
                "yaw": photo.yaw,
                "embeddings": {
                    model: Embedding(model, vector).pack() for model, vector in photo.embeddings.items()
                },
                "refused": dict(photo.refused),
            }
            for photo in person.photos
        },
    }
    return json.dumps(data, ensure_ascii=False, indent=1).encode()


def _read_persons(people: Path) -> Iterator[Person]:
    for folder in sorted(people.iterdir()):
        try:
            yield _read_person(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            _LOGGER.warning("Skipped %s, which holds no person that can be read: %r", folder, err)


def _read_person(folder: Path) -> Person:
    data: _PersonJson = json.loads((folder / "person.json").read_bytes())
    if data["schema"] != SCHEMA or data["id"] != folder.name or not PERSON_ID.fullmatch(folder.name):
        raise ValueError("it was written by another program or version")
    photos = tuple(
        Photo(
            photo_id,
            datetime.fromisoformat(photo["added"]),
            {model: Embedding.unpack(model, packed).vector for model, packed in photo["embeddings"].items()},
            dict(photo["refused"]),
            photo.get("yaw"),
        )
        for photo_id, photo in data["photos"].items()
        if PHOTO_ID.fullmatch(photo_id)
    )
    return Person(data["id"], str(data["name"]), photos)


def _photos_without_record(folder: Path) -> Iterator[Photo]:
    """Yield the photos of a person whose record is lost, in the order in which they were added."""
    for file in sorted(folder.glob("*.jpg"), key=lambda file: file.stat().st_mtime):
        if photo_id(file.read_bytes()) == file.stem:  # whole, and nothing else than a photo
            yield Photo(file.stem, datetime.fromtimestamp(int(file.stat().st_mtime), UTC))


def _read_removed(file: Path) -> frozenset[str] | None:
    try:
        ids: object = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        _LOGGER.warning("Skipped %s, which cannot be read: %r", file, err)
        return frozenset()
    if not isinstance(ids, list):
        return frozenset()
    return frozenset(item for item in ids if isinstance(item, str) and PERSON_ID.fullmatch(item))
