"""The way to AWS: settings, clients, and one table from AWS's errors to ours. Everything but the settings blocks."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as BotoConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from .errors import (
    EngineAuthError,
    EngineSetupError,
    EngineUnavailableError,
    PhotoRefusedError,
    RecognitionError,
)
from .pace import Pace
from .usage import Usage

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from types_boto3_rekognition import RekognitionClient
    from types_boto3_s3 import S3Client
    from types_boto3_sts import STSClient

_LOGGER = logging.getLogger(__name__)

# Where Rekognition compares faces and knows users; botocore would build an address for any other region too.
REGIONS: Final = (
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "eu-south-2",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "il-central-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-1",
    "ap-southeast-2",
)

CONNECT_TIMEOUT: Final = 3  # s
VISIT_TIMEOUT: Final = 8  # s: somebody is standing at the door; three attempts end within half a minute
SYNC_TIMEOUT: Final = 30  # s: nobody is waiting
VISIT_ATTEMPTS: Final = 3
SYNC_ATTEMPTS: Final = 5
CONNECTIONS: Final = 10  # botocore's default pool, and more than the engine ever uses at once
# Services that are compatible with AWS know buckets as folders of one host, and not the newest checksums.
_COMPATIBLE: Final[Mapping[str, Any]] = {
    "s3": {"addressing_style": "path"},
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


class Mode(StrEnum):
    """How the engine asks: one search in a collection, or one comparison with each reference photo."""

    SEARCH = "search"
    COMPARE = "compare"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """What the user entered. `endpoint_url` is for tests against a server that stands in for AWS."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str
    bucket: str
    prefix: str = "face_doorbell"
    collection: str = "face_doorbell"
    mode: Mode = Mode.SEARCH
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients of one account; safe to use from several threads."""

    sts: STSClient
    s3: S3Client
    rekognition: RekognitionClient
    rekognition_sync: RekognitionClient


class Aws:
    """One account, with clients that are made at the first use, in the thread that uses them."""

    def __init__(self, settings: AwsSettings, usage: Usage | None = None) -> None:
        """Take the settings, and what counts the billed calls of this account."""
        self.settings = settings
        self._usage = usage or Usage()
        self._connecting = threading.Lock()  # making clients is not thread-safe
        self._clients: Clients | None = None

    def run[T](self, request: Callable[[Clients], T]) -> T:
        """Return what the request returns; raises only errors of `errors.py`."""
        with self._connecting:
            if self._clients is None:
                self._clients = _connect(self.settings, self._usage)
            clients = self._clients
        with translated(self.settings):
            return request(clients)

    def close(self) -> None:
        """Close all connections; the next request makes new ones."""
        with self._connecting:
            clients, self._clients = self._clients, None
        if clients:
            for client in (clients.sts, clients.s3, clients.rekognition, clients.rekognition_sync):
                client.close()


@dataclass(frozen=True, slots=True)
class _Row:
    """What an error of AWS becomes, and which of the known facts the user is told."""

    error: type[RecognitionError]
    key: str
    facts: tuple[str, ...] = ()


_AUTH: Final = _Row(EngineAuthError, "invalid_auth")
_CLOCK: Final = _Row(EngineUnavailableError, "clock_skew")
_ACCOUNT: Final = _Row(EngineUnavailableError, "account_not_ready")
_CONNECT: Final = _Row(EngineUnavailableError, "cannot_connect")
_THROTTLED: Final = _Row(EngineUnavailableError, "throttled")
_FAULT: Final = _Row(EngineUnavailableError, "service_unavailable")
_DENIED: Final = _Row(EngineSetupError, "missing_permission", ("action",))
_REGION: Final = _Row(EngineSetupError, "wrong_region", ("bucket", "region"))
_NO_BUCKET: Final = _Row(EngineSetupError, "bucket_missing", ("bucket",))
_BUCKET_NAME: Final = _Row(EngineSetupError, "invalid_bucket", ("bucket",))
_QUOTA: Final = _Row(EngineSetupError, "quota_exceeded")
_BUG: Final = _Row(RecognitionError, "recognition_failed")

# A wrong clock looks like a wrong secret, except for its message.
_BY_MESSAGE: Final[Mapping[str, _Row]] = {
    "Signature expired": _CLOCK,
    "Signature not yet current": _CLOCK,
}
_BY_CODE: Final[Mapping[str, _Row]] = {
    "UnrecognizedClientException": _AUTH,
    "InvalidClientTokenId": _AUTH,
    "InvalidAccessKeyId": _AUTH,
    "InvalidSignatureException": _AUTH,
    "SignatureDoesNotMatch": _AUTH,
    "IncompleteSignature": _AUTH,
    "ExpiredTokenException": _AUTH,
    "ExpiredToken": _AUTH,
    "InvalidToken": _AUTH,
    "RequestTimeTooSkewed": _CLOCK,
    "SubscriptionRequiredException": _ACCOUNT,
    "OptInRequired": _ACCOUNT,
    "AccessDeniedException": _DENIED,
    "AccessDenied": _DENIED,
    "ProvisionedThroughputExceededException": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "Throttling": _THROTTLED,
    "SlowDown": _THROTTLED,
    "InternalServerError": _FAULT,
    "NoSuchBucket": _NO_BUCKET,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "BucketAlreadyExists": _Row(EngineSetupError, "bucket_taken", ("bucket",)),
    "InvalidBucketName": _BUCKET_NAME,
    "ResourceNotFoundException": _Row(EngineSetupError, "collection_missing", ("collection",)),
    "ConflictException": _FAULT,  # somebody else is changing the same user
    "ServiceQuotaExceededException": _QUOTA,
    "LimitExceededException": _QUOTA,
    # Bucket and region are known to be right and the object to be there, so Rekognition may not read it.
    "InvalidS3ObjectException": _Row(EngineSetupError, "missing_permission", ("object_action",)),
    # Size and format are checked before anything is sent, which leaves a picture without a face.
    "InvalidParameterException": _Row(PhotoRefusedError, "photo_no_face"),
    "InvalidImageFormatException": _Row(PhotoRefusedError, "photo_not_an_image"),
    "ImageTooLargeException": _Row(PhotoRefusedError, "photo_too_large", ("limit_mb",)),
}
# Answers to HEAD have no body, only a status.
_BY_STATUS: Final[Mapping[int, _Row]] = {301: _REGION, 403: _DENIED, 404: _NO_BUCKET, 429: _THROTTLED}
# What never became an answer; the first that fits.
_BY_TYPE: Final[tuple[tuple[type[BotoCoreError], _Row], ...]] = (
    (NoCredentialsError, _AUTH),
    (PartialCredentialsError, _AUTH),
    (BotoConnectionError, _CONNECT),
    (HTTPClientError, _CONNECT),
)
# Where the permission has another name than the operation.
_S3_ACTIONS: Final[Mapping[str, str]] = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "DeleteObjects": "s3:DeleteObject",
    "CreateBucket": "s3:CreateBucket",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
}


@contextmanager
def translated(settings: AwsSettings) -> Generator[None]:
    """Turn the errors of AWS and botocore inside the block into those of `errors.py`."""
    try:
        yield
    except ClientError as err:
        raise _refusal(err, settings) from err
    except ParamValidationError as err:
        row = _BUCKET_NAME if "Invalid bucket name" in str(err) else _BUG
        raise _error(row, {"bucket": settings.bucket}) from err
    except BotoCoreError as err:
        raise _error(next((row for kind, row in _BY_TYPE if isinstance(err, kind)), _BUG), {}) from err


def _refusal(err: ClientError, settings: AwsSettings) -> RecognitionError:
    answer = err.response.get("Error", {})
    code, message = answer.get("Code") or "", answer.get("Message") or ""  # either may be an empty element
    meta = err.response.get("ResponseMetadata", {})
    status = int(code) if code.isdecimal() else meta.get("HTTPStatusCode", 0)
    by_message = (row for fragment, row in _BY_MESSAGE.items() if fragment in message)
    row = next(by_message, None) or _BY_CODE.get(code) or _BY_STATUS.get(status)
    if row is None:
        row = _FAULT if status >= 500 else _BUG
        _LOGGER.warning("%s answered %s (%s): %s", err.operation_name, code, status, message)
    facts = {
        "action": _S3_ACTIONS.get(err.operation_name, f"rekognition:{err.operation_name}"),
        "object_action": "s3:GetObject",
        "bucket": settings.bucket,
        "region": meta.get("HTTPHeaders", {}).get("x-amz-bucket-region", settings.region),
        "collection": settings.collection,
        "limit_mb": "15",  # of a picture in S3
    }
    return _error(row, facts)


def _error(row: _Row, facts: Mapping[str, str]) -> RecognitionError:
    told = {fact.removeprefix("object_"): facts[fact] for fact in row.facts}
    return row.error(row.key, **told)


def _connect(settings: AwsSettings, usage: Usage) -> Clients:
    _keep_pictures_out_of_the_log()
    pace = Pace(settings.region)
    session = boto3.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        aws_session_token=settings.session_token,
        region_name=settings.region,
    )
    visit, sync = (
        Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=CONNECTIONS,
            **(_COMPATIBLE if settings.endpoint_url else {}),
        )
        for read, attempts in ((VISIT_TIMEOUT, VISIT_ATTEMPTS), (SYNC_TIMEOUT, SYNC_ATTEMPTS))
    )
    clients = Clients(
        sts=session.client("sts", config=visit, endpoint_url=settings.endpoint_url),
        s3=session.client("s3", config=visit, endpoint_url=settings.endpoint_url),
        rekognition=session.client("rekognition", config=visit, endpoint_url=settings.endpoint_url),
        rekognition_sync=session.client("rekognition", config=sync, endpoint_url=settings.endpoint_url),
    )
    for client in (clients.rekognition, clients.rekognition_sync):
        _count(client, usage, pace)
    _keep_pictures_out_of_the_log()  # what has only now been imported too
    return clients


# What AWS answers only after it has looked at a picture; any other refusal costs nothing.
_LOOKED: Final = frozenset(
    {"InvalidParameterException", "InvalidImageFormatException", "ImageTooLargeException"}
)


def _count(client: RekognitionClient, usage: Usage, pace: Pace) -> None:
    """Have every call of a client wait for its turn and be counted; botocore tries one several times inside of that."""

    def before(model: OperationModel, **_: object) -> None:
        pace.wait(model.name)
        usage.reserve(model.name)

    def after(model: OperationModel, parsed: Mapping[str, Mapping[str, str]], **_: object) -> None:
        code = parsed.get("Error", {}).get("Code")
        if code and code not in _LOOKED:
            usage.refund(model.name)

    events = client.meta.events
    events.register("before-call.rekognition", before)
    events.register("after-call.rekognition", after)


def _no_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _keep_pictures_out_of_the_log() -> None:
    """Drop botocore's debug lines, which hold whole pictures; a level would not outlast a user's logger settings."""
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if name.split(".")[0] in ("botocore", "boto3") and isinstance(logger, logging.Logger):
            logger.addFilter(_no_debug)
