"""A stand-in for AWS on a port of this machine, which outlives those who ask it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
import logging
from typing import TYPE_CHECKING, Any, Final

import boto3

from custom_components.face_doorbell.const import DOMAIN
from tests.fake_rekognition import Eyes, FakeRekognition, aws_server

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REGION: Final = "eu-west-1"
BUCKET: Final = "doorbell"
KEYS: Final = {"access_key_id": "AKIADOORBELL", "secret_access_key": "not a secret"}


class Cloud:
    """A bucket that keeps versions, and the fake of Rekognition."""

    def __init__(self, url: str, rekognition: FakeRekognition) -> None:
        """Make the bucket."""
        self.rekognition = rekognition
        self._url = url
        self._s3: S3Client = boto3.client(
            "s3",
            REGION,
            endpoint_url=url,
            aws_access_key_id=KEYS["access_key_id"],
            aws_secret_access_key=KEYS["secret_access_key"],
        )
        self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self._s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    @property
    def settings(self) -> dict[str, Any]:
        """What the form of the recognition wants to know."""
        return {
            **KEYS,
            "region": REGION,
            "bucket": BUCKET,
            "collection": DOMAIN,
            "mode": "search",
            "advanced": {"endpoint_url": self._url},
        }

    def objects(self) -> set[str]:
        """Return the keys of all objects; a thousand at most."""
        return {item["Key"] for item in self._s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Yield all versions of all objects and all marks of deletion, and the collection."""
        listed = self._s3.list_object_versions(Bucket=BUCKET)
        for each in listed.get("Versions", ()):
            version = self._s3.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])
            yield f"s3 {each['Key']}", version["Body"].read()
        for mark in listed.get("DeleteMarkers", ()):
            yield f"s3 {mark['Key']}, deleted", b""
        yield "collection", repr(self.rekognition.state()).encode()


@asynccontextmanager
async def aws(engine: str, eyes: Eyes) -> AsyncGenerator[Cloud | None]:
    """Run the stand-in if the engine needs it."""
    if engine != "rekognition":
        yield None
        return
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for each request
    with aws_server(eyes) as (url, rekognition):
        yield await asyncio.to_thread(Cloud, url, rekognition)
