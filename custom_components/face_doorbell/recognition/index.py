"""One way from the gallery to AWS: bucket and collection are made what the gallery is. Everything here blocks."""

from collections import Counter
from collections.abc import Callable, Collection as Sized, Mapping, Sequence
from datetime import UTC, datetime, timedelta
import logging
from typing import Final, NamedTuple

from .aws import AwsSettings, Clients, Mode
from .collection import Collection, Contents, IndexedFace
from .errors import PersonError, PhotoRefusedError
from .gallery import Gallery
from .model import SyncReport
from .s3 import Bucket, Layout, Stored, is_same, person_json

_LOGGER = logging.getLogger(__name__)

INDEX: Final = "rekognition"  # under this name the gallery keeps which photos AWS refused
VISIT_KEPT: Final = timedelta(hours=1)  # a visitor's picture this old was left behind by a crash


class Reference(NamedTuple):
    """A photo by its two ids."""

    person_id: str
    photo_id: str


class Index:
    """What AWS holds of a gallery, during one sync.

    Removed is only what the gallery says is removed: persons it remembers as removed, and photos that its persons
    no longer have. Whatever else is there stays: an empty gallery is more often a lost disk than a wish. All is
    listed before anything is changed, so a listing that fails changes nothing. Photos leave the bucket first.
    """

    def __init__(self, clients: Clients, settings: AwsSettings, gallery: Gallery) -> None:
        """Take the way to AWS and the gallery."""
        self._mode = settings.mode
        self._gallery = gallery
        self._persons = gallery.persons
        self._removed = gallery.removed
        self._calls = Counter[str]()
        self._layout = Layout(settings.bucket, settings.prefix)
        self._bucket = Bucket(clients.s3, self._layout)
        self._collection = Collection(clients.rekognition_sync, settings.collection, self._calls)
        self._changed: set[Reference] = set()
        self._gone: set[Reference] = set()
        self._refused: dict[str, str] = {}
        self._deleted = Counter[str]()
        self._versions_remain = False

    def sync(self) -> tuple[SyncReport, frozenset[Reference]]:
        """Make bucket and collection what the gallery is; returns also which photos are in the bucket now.

        Raises the errors of botocore that `aws.translated` translates.
        """
        self._gallery.remember_removed()
        stored = self._bucket.list()
        contents = self._collection.contents()
        in_bucket = self._sync_bucket(stored)
        if self._mode is Mode.SEARCH:
            if contents is None:
                self._collection.create()
            self._sync_collection(contents or Contents((), {}), in_bucket)
        elif contents:
            # Mode compare does not need what mode search has left behind, so it does not keep it.
            self._remove(contents, self._removed | {person.id for person in self._persons}, ())
        self._gallery.forget_removed(self._removed)
        return self._report(), in_bucket

    def forget_everyone(self) -> SyncReport:
        """Delete all objects below our prefix, our faces and users, and the collection if nobody else uses it.

        Raises the errors of botocore that `aws.translated` translates.
        """
        stored = self._bucket.list()
        found = [self._layout.person_file(key) for key in stored]
        contents = self._collection.contents()
        if contents:
            # A user may have lost all faces; that it is ours then shows in the bucket or the gallery only.
            persons = {face.person_id for face in contents.faces} | {each.person_id for each in found if each}
            self._remove(contents, persons | self._removed | {person.id for person in self._persons}, ())
            self._collection.delete_if_empty()
        self._purge(stored, lambda _key, _modified: True)
        self._gallery.forget_removed(self._removed)
        return self._report()

    def _report(self) -> SyncReport:
        return SyncReport(
            len(self._changed),
            len(self._gone),
            self._refused,
            self._calls,
            +self._deleted,  # without what is zero
            self._versions_remain,
        )

    def _purge(self, stored: Mapping[str, Stored], is_stale: Callable[[str, datetime], bool]) -> None:
        deleted = self._bucket.purge(stored, is_stale)
        self._deleted.update(objects=deleted.objects, versions=deleted.versions)
        self._versions_remain = deleted.remain

    def _sync_bucket(self, stored: Mapping[str, Stored]) -> frozenset[Reference]:
        """Make the bucket what the gallery is; returns the photos in it."""
        if self._removed or any(self._is_stale(key, each.modified) for key, each in stored.items()):
            self._purge(stored, self._is_stale)
        in_bucket = set()
        for person in self._persons:
            for photo in person.photos:
                reference = Reference(person.id, photo.id)
                if self._layout.photo_key(*reference) in stored or self._put_photo(reference):
                    in_bucket.add(reference)
            key, content = self._layout.person_key(person.id), person_json(person)
            if key not in stored or not is_same(stored[key].etag, content):
                self._bucket.put(key, content)
        return frozenset(in_bucket)

    def _is_stale(self, key: str, modified: datetime) -> bool:
        if self._layout.is_visit(key):
            return datetime.now(UTC) - modified > VISIT_KEPT
        if not (found := self._layout.person_file(key)):
            return False
        if found.person_id in self._removed:
            stale = True
        else:
            person = next((person for person in self._persons if person.id == found.person_id), None)
            stale = person is not None and found.photo_id not in {
                None,
                *(photo.id for photo in person.photos),
            }
        if stale and found.photo_id:
            self._gone.add(Reference(found.person_id, found.photo_id))
        return stale

    def _put_photo(self, reference: Reference) -> bool:
        try:
            jpeg = self._gallery.photo(*reference)
        except PersonError as err:
            _LOGGER.warning("Photo %s of %s cannot be read: %s", reference.photo_id, reference.person_id, err)
            return False
        self._bucket.put(self._layout.photo_key(*reference), jpeg)
        self._changed.add(reference)
        return True

    def _sync_collection(self, contents: Contents, in_bucket: Sized[Reference]) -> None:
        """Make the collection what the gallery is, of photos that AWS has not refused before."""
        usable = {
            person.id: [
                reference
                for photo in person.photos
                if INDEX not in photo.refused and (reference := Reference(person.id, photo.id)) in in_bucket
            ]
            for person in self._persons
        }
        self._remove(
            contents, self._removed, {reference for references in usable.values() for reference in references}
        )
        indexed = {Reference(face.person_id, face.photo_id): face for face in contents.faces}
        touched = set()
        for person_id, references in usable.items():
            if references and person_id not in contents.users:
                self._collection.create_user(person_id)
            faces = [indexed.get(reference) or self._index(reference) for reference in references]
            loose = [face for face in faces if face and face.user_id != person_id]
            if loose:
                self._associate(person_id, loose)
                touched.add(person_id)
        if touched:
            self._collection.wait_until_active(touched)

    def _remove(self, contents: Contents, persons: Sized[str], keep: Sized[Reference]) -> None:
        """Delete these persons, and what the gallery's other persons have that is not to be kept."""
        in_gallery = {person.id for person in self._persons}
        faces = [
            face
            for face in contents.faces
            if face.person_id in persons
            or (face.person_id in in_gallery and Reference(face.person_id, face.photo_id) not in keep)
        ]
        users = [person_id for person_id in contents.users if person_id in persons]
        for person_id in users:
            self._collection.delete_user(person_id)
        self._collection.disassociate(face for face in faces if face.user_id not in users)
        self._collection.delete_faces(face.face_id for face in faces)
        self._gone.update(Reference(face.person_id, face.photo_id) for face in faces)
        self._deleted.update(users=len(users), faces=len(faces))

    def _index(self, reference: Reference) -> IndexedFace | None:
        image = self._layout.image(self._layout.photo_key(*reference))
        try:
            face = self._collection.index(*reference, image)
        except PhotoRefusedError as err:
            self._refuse(reference, err.key)
            return None
        self._changed.add(reference)
        return face

    def _associate(self, person_id: str, faces: Sequence[IndexedFace]) -> None:
        unlike = self._collection.associate(person_id, faces)
        self._collection.delete_faces(face.face_id for face in unlike)
        for face in unlike:
            self._refuse(Reference(face.person_id, face.photo_id), "photo_other_person")

    def _refuse(self, reference: Reference, reason: str) -> None:
        _LOGGER.warning("AWS refused photo %s of %s: %s", reference.photo_id, reference.person_id, reason)
        self._gallery.set_refused(*reference, INDEX, reason)
        self._refused[reference.photo_id] = reason
        self._changed.discard(reference)
