"""What the engine keeps in the bucket: the gallery's photos and names, laid out as on disk.

Everything here blocks, and raises the errors of botocore that `aws.translated` translates.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
import hashlib
from itertools import batched
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.exceptions import ClientError

from .gallery import PERSON_ID, PHOTO_ID, SCHEMA, Person

if TYPE_CHECKING:
    from types_boto3_rekognition.type_defs import ImageTypeDef
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef

_DELETE_LIMIT: Final = 1000  # keys that one DeleteObjects takes
_UNVERSIONED: Final = "null"  # the id of the only version in a bucket that keeps none
_DENIED: Final = frozenset({"AccessDenied", "403"})


class Stored(NamedTuple):
    """An object as a listing shows it."""

    etag: str
    modified: datetime


class Version(NamedTuple):
    """A version of an object, or the mark that it was deleted."""

    key: str
    id: str
    modified: datetime


class Deleted(NamedTuple):
    """How many objects and older versions were deleted; `remain`: older versions are left that we may not delete."""

    objects: int = 0
    versions: int = 0
    remain: bool = False


class Found(NamedTuple):
    """Whose file a key is: a photo, or (None) the person's name."""

    person_id: str
    photo_id: str | None


class Layout:
    """Where everything is in a bucket, below a prefix."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """Take the bucket's name; the prefix is a folder, with or without slashes around it."""
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/"
        file = rf"people/({PERSON_ID.pattern})/(?:({PHOTO_ID.pattern})\.jpg|person\.json)"
        self._person_file = re.compile(re.escape(self.prefix) + file)

    def photo_key(self, person_id: str, photo_id: str) -> str:
        """Return where a reference photo is."""
        return f"{self.prefix}people/{person_id}/{photo_id}.jpg"

    def person_key(self, person_id: str) -> str:
        """Return where a person's name is."""
        return f"{self.prefix}people/{person_id}/person.json"

    def visit_key(self, visit: str) -> str:
        """Return where a visitor's picture is while it is compared."""
        return f"{self.prefix}visits/{visit}.jpg"

    def person_file(self, key: str) -> Found | None:
        """Return whose file a key is; None when it is nobody's."""
        match = self._person_file.fullmatch(key)
        return Found(match[1], match[2]) if match else None

    def is_visit(self, key: str) -> bool:
        """Return whether a key is a visitor's picture."""
        return key.startswith(f"{self.prefix}visits/")

    def image(self, key: str) -> ImageTypeDef:
        """Return how Rekognition is told to read a picture from here."""
        return {"S3Object": {"Bucket": self.bucket, "Name": key}}


class Bucket:
    """The objects of a layout."""

    def __init__(self, client: S3Client, layout: Layout) -> None:
        """Take a client of the bucket's region."""
        self._client = client
        self._layout = layout

    def list(self) -> Mapping[str, Stored]:
        """Return all objects by key."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._layout.bucket, Prefix=self._layout.prefix
        )
        items = [item for page in pages for item in page.get("Contents", ())]
        return {item["Key"]: Stored(item["ETag"].strip('"'), item["LastModified"]) for item in items}

    def put(self, key: str, content: bytes) -> str | None:
        """Store an object; return its version's id if the bucket keeps versions."""
        kind = "image/jpeg" if key.endswith(".jpg") else "application/json"
        answer = self._client.put_object(Bucket=self._layout.bucket, Key=key, Body=content, ContentType=kind)
        return answer.get("VersionId")

    def take_back(self, key: str, version_id: str | None) -> None:
        """Delete what `put` has stored, leaving no version if that is permitted."""
        if version_id:
            try:
                self._delete([{"Key": key, "VersionId": version_id}])
            except ClientError as err:
                if not is_denied(err):
                    raise
            else:
                return
        self._delete([{"Key": key}])

    def purge(self, stored: Mapping[str, Stored], is_stale: Callable[[str, datetime], bool]) -> Deleted:
        """Delete what is stale (by key and age) of the objects `stored`, with all their versions if that is permitted.

        In a bucket that keeps versions this deletes also those of objects that are gone. Raises ClientError.
        """
        keys = [key for key, each in stored.items() if is_stale(key, each.modified)]
        versions = [version for version in self._versions() if is_stale(version.key, version.modified)]
        if any(version.id != _UNVERSIONED for version in versions):
            try:
                self._delete([{"Key": version.key, "VersionId": version.id} for version in versions])
            except ClientError as err:
                if not is_denied(err):
                    raise
            else:
                return Deleted(len(keys), len(versions) - len(keys))
        marked = self._delete([{"Key": key} for key in keys])
        return Deleted(len(keys), remain=marked)

    def _versions(self) -> Sequence[Version]:
        """Return all versions of all objects; none when we may not see them."""
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._layout.bucket, Prefix=self._layout.prefix
        )
        try:
            return [
                Version(item["Key"], item["VersionId"], item["LastModified"])
                for page in pages
                for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            ]
        except ClientError as err:
            if is_denied(err):
                return ()
            raise

    def _delete(self, objects: Iterable[ObjectIdentifierTypeDef]) -> bool:
        """Delete objects or versions; return whether S3 has only marked an object as deleted.

        Raises ClientError for the first that could not be deleted.
        """
        marked = False
        for some in batched(objects, _DELETE_LIMIT, strict=False):
            answer = self._client.delete_objects(Bucket=self._layout.bucket, Delete={"Objects": some})
            for error in answer.get("Errors", ()):
                # The request as a whole succeeds; make its parts' errors look like any other.
                raise ClientError(
                    {"Error": {"Code": error.get("Code", ""), "Message": error.get("Message", "")}},
                    "DeleteObjects",
                )
            marked = marked or any(
                "VersionId" not in each and each.get("DeleteMarker") for each in answer.get("Deleted", ())
            )
        return marked


def is_denied(err: ClientError) -> bool:
    """Return whether it is a permission that S3 says is missing."""
    return err.response.get("Error", {}).get("Code") in _DENIED


def person_json(person: Person) -> bytes:
    """Return a person for the bucket, a readable copy of the gallery; the same person gives the same bytes."""
    data = {
        "schema": SCHEMA,
        "id": person.id,
        "name": person.name,
        "photos": {photo.id: {"added": photo.added.isoformat(timespec="seconds")} for photo in person.photos},
    }
    return json.dumps(data, ensure_ascii=False).encode()


def is_same(etag: str, content: bytes) -> bool:
    """Return whether an object surely has this content; not sure for buckets with a KMS key, whose ETag is no MD5."""
    return etag == hashlib.md5(content, usedforsecurity=False).hexdigest()
