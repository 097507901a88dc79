"""What the user is told when AWS says no."""

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
import pytest

from custom_components.face_doorbell.recognition.aws import REGIONS, translated
from custom_components.face_doorbell.recognition.errors import (
    EngineAuthError,
    EngineSetupError,
    EngineUnavailableError,
    PhotoRefusedError,
    RecognitionError,
)
from tests.recognition.conftest import BUCKET, REGION, SETTINGS

Expected = tuple[type[RecognitionError], str, dict[str, str]]

AUTH: Expected = (EngineAuthError, "invalid_auth", {})
SKEW: Expected = (EngineUnavailableError, "clock_skew", {})
THROTTLED: Expected = (EngineUnavailableError, "throttled", {})
FAULT: Expected = (EngineUnavailableError, "service_unavailable", {})
CONNECT: Expected = (EngineUnavailableError, "cannot_connect", {})
REGION_WRONG: Expected = (EngineSetupError, "wrong_region", {"bucket": BUCKET, "region": "eu-central-1"})


def refusal(code: str, message: str = "", status: int = 400, operation: str = "IndexFaces") -> ClientError:
    meta: Any = {"HTTPStatusCode": status, "HTTPHeaders": {"x-amz-bucket-region": "eu-central-1"}}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": meta}, operation)


def denied(action: str) -> Expected:
    return (EngineSetupError, "missing_permission", {"action": action})


ROWS: list[tuple[ClientError | BotoCoreError, Expected]] = [
    (refusal("UnrecognizedClientException"), AUTH),
    (refusal("InvalidClientTokenId", status=403), AUTH),
    (refusal("InvalidAccessKeyId", status=403), AUTH),
    (refusal("InvalidSignatureException", "The request signature we calculated does not match"), AUTH),
    (refusal("SignatureDoesNotMatch", "Check your AWS Secret Access Key", status=403), AUTH),
    (refusal("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than"), SKEW),
    (
        refusal("SignatureDoesNotMatch", "Signature not yet current: 20260101T000000Z is still later", 403),
        SKEW,
    ),
    (refusal("RequestTimeTooSkewed", status=403), SKEW),
    (refusal("ExpiredTokenException"), AUTH),
    (refusal("ExpiredToken"), AUTH),
    (refusal("SubscriptionRequiredException"), (EngineUnavailableError, "account_not_ready", {})),
    (refusal("OptInRequired"), (EngineUnavailableError, "account_not_ready", {})),
    (refusal("AccessDeniedException"), denied("rekognition:IndexFaces")),
    (refusal("AccessDenied", operation="PutObject", status=403), denied("s3:PutObject")),
    (refusal("AccessDenied", operation="DeleteObjects", status=403), denied("s3:DeleteObject")),
    (refusal("403", operation="HeadBucket", status=403), denied("s3:ListBucket")),
    (refusal("InvalidS3ObjectException"), denied("s3:GetObject")),
    (refusal("ProvisionedThroughputExceededException"), THROTTLED),
    (refusal("ThrottlingException"), THROTTLED),
    (refusal("SlowDown", status=503), THROTTLED),
    (refusal("InternalServerError", status=500), FAULT),
    (refusal("503", status=503, operation="HeadBucket"), FAULT),
    (refusal("SomethingNew", status=502), FAULT),
    (refusal("ConflictException"), FAULT),
    (refusal("NoSuchBucket", status=404), (EngineSetupError, "bucket_missing", {"bucket": BUCKET})),
    (refusal("404", operation="HeadBucket"), (EngineSetupError, "bucket_missing", {"bucket": BUCKET})),
    (refusal("301", operation="HeadBucket", status=301), REGION_WRONG),
    (refusal("PermanentRedirect", status=301), REGION_WRONG),
    (refusal("AuthorizationHeaderMalformed"), REGION_WRONG),
    (refusal("BucketAlreadyExists", status=409), (EngineSetupError, "bucket_taken", {"bucket": BUCKET})),
    (refusal("InvalidBucketName"), (EngineSetupError, "invalid_bucket", {"bucket": BUCKET})),
    (
        refusal("ResourceNotFoundException"),
        (EngineSetupError, "collection_missing", {"collection": "face_doorbell"}),
    ),
    (refusal("ServiceQuotaExceededException"), (EngineSetupError, "quota_exceeded", {})),
    (refusal("LimitExceededException"), (EngineSetupError, "quota_exceeded", {})),
    (refusal("InvalidParameterException"), (PhotoRefusedError, "photo_no_face", {})),
    (refusal("InvalidImageFormatException"), (PhotoRefusedError, "photo_not_an_image", {})),
    (refusal("ImageTooLargeException"), (PhotoRefusedError, "photo_too_large", {"limit_mb": "15"})),
    (refusal("ValidationException"), (RecognitionError, "recognition_failed", {})),
    (EndpointConnectionError(endpoint_url="https://aws"), CONNECT),
    (ConnectTimeoutError(endpoint_url="https://aws"), CONNECT),
    (ReadTimeoutError(endpoint_url="https://aws"), CONNECT),
    (SSLError(endpoint_url="https://aws", error=OSError("certificate")), CONNECT),
    (ProxyConnectionError(proxy_url="http://proxy"), CONNECT),
    (NoCredentialsError(), AUTH),
    (
        ParamValidationError(report='Invalid bucket name "A B"'),
        (EngineSetupError, "invalid_bucket", {"bucket": BUCKET}),
    ),
    (ParamValidationError(report="Missing required parameter"), (RecognitionError, "recognition_failed", {})),
]


@pytest.mark.parametrize(("error", "expected"), ROWS, ids=lambda part: str(part)[:60])
def test_every_error_of_aws_has_its_own_meaning(
    error: ClientError | BotoCoreError, expected: Expected
) -> None:
    with pytest.raises(RecognitionError) as raised, translated(SETTINGS):
        raise error
    kind, key, placeholders = expected
    assert type(raised.value) is kind
    assert (raised.value.key, raised.value.placeholders) == (key, placeholders)


def test_our_own_errors_pass() -> None:
    with pytest.raises(PhotoRefusedError, match="photo_too_small"), translated(SETTINGS):
        raise PhotoRefusedError("photo_too_small")


def test_the_regions_are_those_that_know_users() -> None:
    assert REGION in REGIONS
    assert not {"eu-north-1", "eu-west-3", "eu-south-1"} & set(REGIONS)
    assert len(set(REGIONS)) == 16


def test_a_secret_is_never_shown() -> None:
    assert "very secret" not in repr(SETTINGS)
