"""AWS that is not there, and a bridge that finds faces with the real models."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.loaders import create_loader
from moto import mock_aws
import pytest

from custom_components.face_doorbell.model import Box, Embedding, Face
from custom_components.face_doorbell.recognition.aws import AwsSettings
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import RekognitionEngine
from tests.fake_rekognition import FakeRekognition, PaintedEyes, RealEyes, fake_rekognition

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REGION: Final = "eu-west-1"
BUCKET = "doorbell-photos"

SETTINGS = AwsSettings(
    access_key_id="AKIATEST", secret_access_key="very secret", region=REGION, bucket=BUCKET
)


@pytest.fixture(scope="session")
def eyes() -> RealEyes:
    return RealEyes()


@pytest.fixture(autouse=True, scope="session")
def aws_models_loaded_once() -> Iterator[None]:
    """Let all sessions share botocore's service models: reading them takes longer than most tests."""
    with patch("botocore.session.create_loader", functools.cache(create_loader)):
        yield


@pytest.fixture(autouse=True, scope="session")
def no_turns() -> Iterator[None]:
    """Wait for no quota: nobody has one here."""
    with patch("custom_components.face_doorbell.recognition.pace.sleep"):
        yield


class Bridge:
    """A `FaceFinder` with the bridge's own models; counts what it was asked."""

    def __init__(self, eyes: RealEyes, model: str = "mobilefacenet-1") -> None:
        self._eyes = eyes
        self.model = model
        self.asked = 0
        self.error: Exception | None = None

    async def find_faces(self, image: bytes) -> Sequence[Face]:
        self.asked += 1
        if self.error:
            raise self.error
        found = await asyncio.to_thread(self._eyes.look, image)
        return [
            Face(
                Box(face.left, face.top, face.width, face.height),
                quality=face.sharpness / 100,
                embedding=Embedding(self.model, face.face),
                yaw=face.yaw,
            )
            for face in found
        ]


@pytest.fixture
def bridge(eyes: RealEyes) -> Bridge:
    return Bridge(eyes)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    gallery = Gallery(tmp_path / "faces")
    gallery.load()
    return gallery


class Cloud:
    """One account: its Rekognition, its bucket, and a way to break it."""

    def __init__(self, rekognition: FakeRekognition) -> None:
        self.rekognition = rekognition
        self.s3 = s3_with_bucket()

    def keys(self) -> set[str]:
        return {item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}

    def state(self) -> object:
        return self.keys(), self.rekognition.state()

    @contextmanager
    def denied_versions(self, operation: str) -> Iterator[None]:
        """Let nobody list versions, or delete one."""
        real: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def call(client: BaseClient, name: str, params: dict[str, Any]) -> Any:
            versions = [each for each in params.get("Delete", {}).get("Objects", ()) if "VersionId" in each]
            if name == operation == "DeleteObjects" and versions:
                return {"Errors": [{"Code": "AccessDenied", **each} for each in versions]}
            if name == operation == "ListObjectVersions":
                raise ClientError({"Error": {"Code": "AccessDenied"}}, name)
            return real(client, name, params)

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    @contextmanager
    def answering(self, operation: str, answer: dict[str, Any]) -> Iterator[None]:
        """Let every call of an operation have this answer."""
        real: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def call(client: BaseClient, name: str, params: dict[str, Any]) -> Any:
            return answer if name == operation else real(client, name, params)

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    @contextmanager
    def failing(self, operation: str, code: str, message: str = "", status: int = 400) -> Iterator[None]:
        """Let every call of an operation of any service fail."""
        real: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def call(client: BaseClient, name: str, params: dict[str, Any]) -> Any:
            if name == operation:
                error = {"Code": code, "Message": message}
                raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, name)  # type: ignore[typeddict-item]  # the rest is of no use here
            return real(client, name, params)

        with patch.object(BaseClient, "_make_api_call", call):
            yield


@functools.cache
def s3_client(endpoint: str | None = None) -> S3Client:
    """Return a client of S3, or of a server in its place."""
    client: S3Client = boto3.client(
        "s3", REGION, endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s"
    )
    return client


def s3_with_bucket(endpoint: str | None = None) -> S3Client:
    """Return a client of S3, in which there is the bucket now."""
    client = s3_client(endpoint)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@contextmanager
def cloud_that_sees(eyes: PaintedEyes | RealEyes) -> Iterator[Cloud]:
    """Put an account with a bucket in the place of AWS."""
    with mock_aws(), fake_rekognition(eyes) as rekognition:
        yield Cloud(rekognition)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """AWS that sees painted faces."""
    with cloud_that_sees(PaintedEyes()) as cloud:
        yield cloud


@pytest.fixture
def real_cloud(eyes: RealEyes) -> Iterator[Cloud]:
    """AWS that sees real faces."""
    with cloud_that_sees(eyes) as cloud:
        yield cloud


def rekognition(settings: AwsSettings, gallery: Gallery, rule: Rule | None = None) -> Recognizer:
    """Return a recognizer with the engine `rekognition`, not yet started."""
    return Recognizer(RekognitionEngine(settings, rule or Rule()), gallery)
