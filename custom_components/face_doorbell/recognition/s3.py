"""What the engine keeps in the bucket: the gallery's photos and names, laid out as on disk.

Everything here blocks, and raises the errors of botocore that `aws.translated` translates.
"""

from collections.abc import Iterable, Mapping
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

_DELETE_LIMIT: Final = 1000  # keys that one DeleteObjects takes


class Stored(NamedTuple):
    """An object as a listing shows it."""

    etag: str
    modified: datetime


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

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        kind = "image/jpeg" if key.endswith(".jpg") else "application/json"
        self._client.put_object(Bucket=self._layout.bucket, Key=key, Body=content, ContentType=kind)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; raises ClientError for the first that could not be deleted."""
        for some in batched(keys, _DELETE_LIMIT, strict=False):
            answer = self._client.delete_objects(
                Bucket=self._layout.bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
            )
            for error in answer.get("Errors", ()):
                # The request as a whole succeeds; make its parts' errors look like any other.
                raise ClientError(
                    {"Error": {"Code": error.get("Code", ""), "Message": error.get("Message", "")}},
                    "DeleteObjects",
                )


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
