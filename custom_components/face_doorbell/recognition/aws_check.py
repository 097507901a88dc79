"""Whether an AWS account is set up for the engine: asked before the settings are kept."""

import asyncio
from collections import Counter
from collections.abc import Callable, Set as AbstractSet
from contextlib import suppress
from functools import partial
import re
from typing import TYPE_CHECKING, Final, cast
import uuid

from botocore.exceptions import BotoCoreError, ClientError

from . import images
from .aws import REGIONS, Aws, AwsSettings, Clients, Mode, translated
from .collection import Collection
from .errors import EngineAuthError, EngineSetupError, RecognitionError
from .s3 import Bucket, Layout, is_denied
from .usage import Usage

if TYPE_CHECKING:
    from types_boto3_rekognition.type_defs import ImageTypeDef
    from types_boto3_s3 import S3Client
    from types_boto3_s3.literals import BucketLocationConstraintType
    from types_boto3_s3.type_defs import HeadBucketOutputTypeDef

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3's rules for new buckets
_COLLECTION: Final = re.compile(
    r"[a-zA-Z0-9_.\-]{1,255}"
)  # of the service model; botocore checks no patterns
# What a permitted call answers about a picture without a face, or a user that does not exist.
_PERMITTED: Final = frozenset({"photo_no_face", "collection_missing"})
# And about a face that does not exist, for which AWS documents no error.
_WITHOUT_FACE: Final = _PERMITTED | {"recognition_failed"}


async def check(settings: AwsSettings, usage: Usage | None = None) -> None:
    """Try everything that the engine needs against the account; raises the error that the user should mend first.

    Makes the collection when it is missing, and takes it back when something else is wrong. Leaves nothing else behind.
    Costs about half a cent: a picture without a face is sent through every kind of billed call once.
    """
    await asyncio.to_thread(_check, settings, usage)


async def create_bucket(settings: AwsSettings) -> None:
    """Create the bucket, private and encrypted; raises `bucket_taken`, and `missing_permission` as for all else.

    A bucket that is ours already is made private and encrypted.
    """
    await asyncio.to_thread(_create_bucket, settings)


def _create_bucket(settings: AwsSettings) -> None:
    aws = Aws(settings)
    try:
        aws.run(lambda clients: _create(clients.s3, settings))
    finally:
        aws.close()


def _create(s3: S3Client, settings: AwsSettings) -> None:
    # The oldest region is the only one that must not be named.
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        if settings.region == "us-east-1":
            s3.create_bucket(Bucket=settings.bucket)
        else:
            s3.create_bucket(
                Bucket=settings.bucket,
                CreateBucketConfiguration={
                    "LocationConstraint": cast("BucketLocationConstraintType", settings.region)
                },
            )
    s3.put_public_access_block(
        Bucket=settings.bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_encryption(
        Bucket=settings.bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )


def _check(settings: AwsSettings, usage: Usage | None) -> None:
    if not settings.access_key_id or not settings.secret_access_key:
        raise EngineAuthError
    if settings.region not in REGIONS:
        raise EngineSetupError("wrong_region", bucket=settings.bucket, region=settings.region)
    if not _BUCKET.fullmatch(settings.bucket):
        raise EngineSetupError("invalid_bucket", bucket=settings.bucket)
    if not _COLLECTION.fullmatch(settings.collection):
        raise EngineSetupError("invalid_collection", collection=settings.collection)
    aws = Aws(settings, usage)
    try:
        aws.run(lambda clients: _try_all(clients, settings))
    finally:
        aws.close()


def _try_all(clients: Clients, settings: AwsSettings) -> None:
    account = clients.sts.get_caller_identity()["Account"]
    region = _head(clients, settings, account).get("BucketRegion", settings.region)
    if region != settings.region:
        raise EngineSetupError("wrong_region", bucket=settings.bucket, region=region)
    layout = Layout(settings.bucket, settings.prefix)
    bucket, key = Bucket(clients.s3, layout), layout.visit_key(f"check-{uuid.uuid4().hex}")
    bucket.list()
    version = bucket.put(key, images.blank())
    try:
        _try_rekognition(clients, settings, layout.image(key))
    finally:
        bucket.take_back(key, version)


def _head(clients: Clients, settings: AwsSettings, account: str) -> HeadBucketOutputTypeDef:
    """Look at the bucket; raises EngineSetupError `bucket_taken` when another account lets us use its own."""
    if settings.endpoint_url:
        return clients.s3.head_bucket(Bucket=settings.bucket)  # what is compatible need not know accounts
    try:
        return clients.s3.head_bucket(Bucket=settings.bucket, ExpectedBucketOwner=account)
    except ClientError as err:
        if not is_denied(err):
            raise
        clients.s3.head_bucket(Bucket=settings.bucket)  # raises if it is a permission that is missing
        raise EngineSetupError("bucket_taken", bucket=settings.bucket) from err


def _try_rekognition(clients: Clients, settings: AwsSettings, image: ImageTypeDef) -> None:
    rekognition = clients.rekognition
    rekognition.detect_faces(Image=image)
    collection = Collection(rekognition, settings.collection, Counter())
    if settings.mode is Mode.COMPARE:
        collection.contents()
        _permitted(settings, partial(rekognition.compare_faces, SourceImage=image, TargetImage=image))
        return
    created = collection.create()
    try:
        _try_collection(clients, settings, collection, image)
    except RecognitionError, ClientError, BotoCoreError:
        if created:
            rekognition.delete_collection(CollectionId=settings.collection)
        raise


def _try_collection(
    clients: Clients, settings: AwsSettings, collection: Collection, image: ImageTypeDef
) -> None:
    nobody, no_face = f"check-{uuid.uuid4().hex}", str(uuid.uuid4())
    here = partial(partial, CollectionId=settings.collection)
    rekognition = clients.rekognition
    collection.contents()
    _permitted(settings, here(rekognition.index_faces, Image=image))
    _permitted(settings, here(rekognition.search_users_by_image, Image=image))
    _permitted(settings, here(rekognition.create_user, UserId=nobody))
    try:
        _permitted(
            settings, here(rekognition.associate_faces, UserId=nobody, FaceIds=[no_face]), _WITHOUT_FACE
        )
        _permitted(
            settings, here(rekognition.disassociate_faces, UserId=nobody, FaceIds=[no_face]), _WITHOUT_FACE
        )
    finally:
        _permitted(settings, here(rekognition.delete_user, UserId=nobody))
    _permitted(settings, here(rekognition.delete_faces, FaceIds=[no_face]), _WITHOUT_FACE)


def _permitted(
    settings: AwsSettings, call: Callable[[], object], answers: AbstractSet[str] = _PERMITTED
) -> None:
    """Make a call with nothing in it, which may fail with these `answers`."""
    try:
        with translated(settings):
            call()
    except RecognitionError as err:
        if err.key not in answers:
            raise
