"""The Rekognition collection: one user for each person, one face for each photo.

Everything here blocks, and raises the errors of botocore that `aws.translated` translates.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from .errors import EngineUnavailableError, PhotoRefusedError
from .gallery import PERSON_ID, PHOTO_ID

if TYPE_CHECKING:
    from types_boto3_rekognition import RekognitionClient
    from types_boto3_rekognition.type_defs import FaceTypeDef, ImageTypeDef

ACTIVE_WITHIN: Final = 10.0  # s: AWS gives no figure; users were never seen to take longer than a few seconds
POLL_EVERY: Final = 0.5  # s: ListUsers allows 5 calls a second
_DELETE_LIMIT: Final = 4096  # faces that one DeleteFaces takes

# Why IndexFaces leaves a face out, as what the user can do about it; any other reason is poor quality.
_REASONS: Final[Mapping[str, str]] = {
    "SMALL_BOUNDING_BOX": "photo_face_too_small",
    "LOW_CONFIDENCE": "photo_no_face",
}


@dataclass(frozen=True, slots=True)
class IndexedFace:
    """A face that this program put into the collection; `user_id` is None until it is associated."""

    face_id: str
    person_id: str
    photo_id: str
    user_id: str | None = None


class Contents(NamedTuple):
    """Our faces, and the status of every user by id."""

    faces: Sequence[IndexedFace]
    users: Mapping[str, str]


class Collection:
    """A collection that may be shared with other programs: what does not carry our ids is never listed here."""

    def __init__(self, client: RekognitionClient, collection_id: str, calls: Counter[str]) -> None:
        """Take a patient client; billed calls are counted in `calls`."""
        self._client = client
        self._id = collection_id
        self._calls = calls

    def create(self) -> bool:
        """Make the collection; return False when it is there already."""
        try:
            self._client.create_collection(CollectionId=self._id)
        except self._client.exceptions.ResourceAlreadyExistsException:
            return False
        return True

    def delete_if_empty(self) -> None:
        """Delete the collection unless somebody else has something in it."""
        if not self.users() and not self._client.describe_collection(CollectionId=self._id)["FaceCount"]:
            self._client.delete_collection(CollectionId=self._id)

    def contents(self) -> Contents | None:
        """Return what is in the collection, None when there is no collection."""
        try:
            return Contents(self._faces(), self.users())
        except self._client.exceptions.ResourceNotFoundException:
            return None

    def users(self) -> Mapping[str, str]:
        """Return the status of every user by id."""
        pages = self._client.get_paginator("list_users").paginate(CollectionId=self._id)
        users = [user for page in pages for user in page["Users"]]
        return {user["UserId"]: user["UserStatus"] for user in users if "UserId" in user}

    def _faces(self) -> Sequence[IndexedFace]:
        pages = self._client.get_paginator("list_faces").paginate(CollectionId=self._id)
        found = [_indexed(face) for page in pages for face in page["Faces"]]
        return [face for face in found if face]

    def create_user(self, person_id: str) -> None:
        """Make a user; one that is there already is kept."""
        with suppress(self._client.exceptions.ConflictException):
            self._client.create_user(CollectionId=self._id, UserId=person_id)

    def delete_user(self, person_id: str) -> None:
        """Delete a user; the faces stay, associated to nobody."""
        self._client.delete_user(CollectionId=self._id, UserId=person_id)

    def index(self, person_id: str, photo_id: str, image: ImageTypeDef) -> IndexedFace:
        """Put the largest face of a photo into the collection; the same photo again changes nothing.

        Raises PhotoRefusedError.
        """
        self._calls["IndexFaces"] += 1
        answer = self._client.index_faces(
            CollectionId=self._id,
            Image=image,
            ExternalImageId=f"{person_id}:{photo_id}",
            MaxFaces=1,
            QualityFilter="AUTO",
        )
        records = [record["Face"] for record in answer["FaceRecords"]]
        if not records:
            reasons = [
                reason for face in answer.get("UnindexedFaces", ()) for reason in face.get("Reasons", ())
            ]
            key = _REASONS.get(reasons[0], "photo_poor_quality") if reasons else "photo_no_face"
            raise PhotoRefusedError(key)
        return IndexedFace(records[0]["FaceId"], person_id, photo_id)

    def associate(self, person_id: str, faces: Sequence[IndexedFace]) -> Sequence[IndexedFace]:
        """Give faces to a user; returns those that do not look like the user's others."""
        self._calls["AssociateFaces"] += 1
        answer = self._client.associate_faces(
            CollectionId=self._id, UserId=person_id, FaceIds=[face.face_id for face in faces]
        )
        unlike = {
            failure.get("FaceId")
            for failure in answer.get("UnsuccessfulFaceAssociations", ())
            if "LOW_MATCH_CONFIDENCE" in failure.get("Reasons", ())
        }
        return [face for face in faces if face.face_id in unlike]

    def disassociate(self, faces: Iterable[IndexedFace]) -> None:
        """Take faces from their users, without which they cannot be deleted."""
        by_user: dict[str, list[str]] = {}
        for face in faces:
            if face.user_id:
                by_user.setdefault(face.user_id, []).append(face.face_id)
        for user_id, face_ids in by_user.items():
            self._calls["DisassociateFaces"] += 1
            self._client.disassociate_faces(CollectionId=self._id, UserId=user_id, FaceIds=face_ids)

    def delete_faces(self, face_ids: Iterable[str]) -> None:
        """Delete faces that are associated to nobody."""
        for some in batched(face_ids, _DELETE_LIMIT, strict=False):
            answer = self._client.delete_faces(CollectionId=self._id, FaceIds=list(some))
            failures = answer.get("UnsuccessfulFaceDeletions", ())
            if any("ASSOCIATED_TO_AN_EXISTING_USER" in failure.get("Reasons", ()) for failure in failures):
                raise EngineUnavailableError("service_unavailable")  # AWS is still busy with the user

    def wait_until_active(self, person_ids: set[str]) -> None:
        """Return when AWS can search for these users, or has taken too long over it."""
        deadline = time.monotonic() + ACTIVE_WITHIN
        while time.monotonic() < deadline:
            users = self.users()
            if all(users.get(person_id, "ACTIVE") == "ACTIVE" for person_id in person_ids):
                return
            time.sleep(POLL_EVERY)


def _indexed(face: FaceTypeDef) -> IndexedFace | None:
    """Return a face with its ids, or None when somebody else put it there."""
    person_id, _, photo_id = face.get("ExternalImageId", "").partition(":")
    face_id = face.get("FaceId")
    if not face_id or not PERSON_ID.fullmatch(person_id) or not PHOTO_ID.fullmatch(photo_id):
        return None
    return IndexedFace(face_id, person_id, photo_id, face.get("UserId"))
