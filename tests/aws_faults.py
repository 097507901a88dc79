"""Every way in which AWS can refuse, and a wire on which it does: beneath botocore, which tries again as always.

The rows are those that a user can meet. What each means is told by its `reason`, a key of `errors.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
import json
import re
from typing import Any, Final
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import BotoCoreError, EndpointConnectionError, ReadTimeoutError, SSLError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

SERVICES: Final = ("sts", "s3", "rekognition")


@dataclass(frozen=True, kw_only=True)
class AwsFault:
    """What AWS answers, by service, and what that means; `reason` None: nothing, because it is got over.

    `codes` has no entry for a service that does not say so. `patient`: botocore tries again by itself. `times`: how
    often it happens; None: until it is mended. `tries`: how often in the end, where that is not the client's number.
    """

    name: str
    codes: Mapping[str, str] = field(default_factory=dict)
    lost: Callable[[], BotoCoreError] | None = None
    message: str = ""
    status: int = 400
    reason: str | None
    patient: bool = False
    times: int | None = None
    tries: int = 1

    def code(self, operation: str, service: str) -> str:
        """Return the code for an operation, which may differ from the service's."""
        return self.codes.get(operation) or self.codes.get(service, "")


def _codes(sts: str = "", s3: str = "", rekognition: str = "") -> Mapping[str, str]:
    return {name: code for name, code in zip(SERVICES, (sts, s3, rekognition), strict=True) if code}


BUSY: Final = _codes("Throttling", "SlowDown", "ProvisionedThroughputExceededException")
SIGNATURE: Final = _codes("SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException")

FAULTS: Final = (
    AwsFault(
        name="unknown key ID",
        codes=_codes("InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException"),
        status=403,
        reason="invalid_auth",
    ),
    AwsFault(name="wrong secret", codes=SIGNATURE, status=403, reason="invalid_auth"),
    AwsFault(
        name="expired token",
        codes=_codes("ExpiredToken", "ExpiredToken", "ExpiredTokenException"),
        reason="invalid_auth",
    ),
    AwsFault(
        name="wrong clock",
        codes=_codes("SignatureDoesNotMatch", "RequestTimeTooSkewed", "InvalidSignatureException"),
        message="Signature expired: 20261127T000000Z is now earlier than 20261127T010000Z",
        status=403,
        reason="clock_skew",
    ),
    AwsFault(
        name="account not ready",
        codes=_codes("OptInRequired", rekognition="SubscriptionRequiredException"),
        reason="account_not_ready",
    ),
    AwsFault(
        name="missing permission",
        codes=_codes(s3="AccessDenied", rekognition="AccessDeniedException"),
        status=403,
        reason="missing_permission",
    ),
    AwsFault(
        name="photo that Rekognition may not read",
        codes={"IndexFaces": "InvalidS3ObjectException", "CompareFaces": "InvalidS3ObjectException"},
        reason="missing_permission",
    ),
    AwsFault(name="bucket gone", codes=_codes(s3="NoSuchBucket"), status=404, reason="bucket_missing"),
    AwsFault(
        name="bucket in another region",
        codes=_codes(s3="IllegalLocationConstraintException"),
        reason="wrong_region",
        tries=2,  # botocore looks where the bucket is
    ),
    AwsFault(
        name="more faces than a person may have",
        codes={"AssociateFaces": "ServiceQuotaExceededException"},
        reason="quota_exceeded",
    ),
    AwsFault(
        name="limit of the account reached",
        codes=dict.fromkeys(
            ("CreateCollection", "SearchUsersByImage", "CompareFaces"), "LimitExceededException"
        ),
        reason="quota_exceeded",
        patient=True,
    ),
    AwsFault(name="busy for a moment", codes=BUSY, status=503, reason=None, patient=True, times=2),
    AwsFault(name="busy for long", codes=BUSY, status=503, reason="throttled", patient=True),
    AwsFault(
        name="failure of AWS",
        codes=_codes("InternalFailure", "InternalError", "InternalServerError"),
        status=500,
        reason="service_unavailable",
        patient=True,
    ),
    AwsFault(
        name="no network",
        codes=_codes("-", "-", "-"),
        lost=lambda: EndpointConnectionError(endpoint_url="https://aws"),
        reason="cannot_connect",
        patient=True,
    ),
    AwsFault(
        name="no answer in time",
        codes=_codes("-", "-", "-"),
        lost=lambda: ReadTimeoutError(endpoint_url="https://aws"),
        reason="cannot_connect",
        patient=True,
    ),
    AwsFault(
        name="no trusted connection",
        codes=_codes("-", "-", "-"),
        lost=lambda: SSLError(endpoint_url="https://aws", error=OSError("certificate")),
        reason="cannot_connect",
        patient=True,
    ),
    AwsFault(
        name="somebody else changes the same user",
        codes={"AssociateFaces": "ConflictException"},
        reason=None,
        times=2,
    ),
    AwsFault(
        name="an error that nobody knows",
        codes=_codes("SomethingNew", "SomethingNew", "SomethingNew"),
        reason="recognition_failed",
    ),
)


class Wire:
    """What lies between botocore and moto: counts what is sent, by operation, and may keep it from arriving."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self._fault: AwsFault | None = None
        self._operation = ""
        self._left: int | None = None

    @contextmanager
    def failing(self, fault: AwsFault, operation: str) -> Iterator[None]:
        """Let an operation fail."""
        self._fault, self._operation, self._left = fault, operation, fault.times
        self.sent.clear()
        yield
        self._fault = None

    def answer(self, event: str, url: str, method: str) -> AWSResponse | None:
        """Return what is answered instead of moto's answer, if anything."""
        _, service, operation = event.split(".")
        self.sent[operation] += 1
        fault = self._fault
        if fault is None or operation != self._operation or self._left == 0:
            return None
        if self._left is not None:
            self._left -= 1
        if fault.lost:
            raise fault.lost()
        body = "" if method == "HEAD" else _body(service, fault.code(operation, service), fault.message)
        return AWSResponse(url, fault.status, {}, MockRawResponse(body))  # type: ignore[arg-type]  # moto does the same


def _body(service: str, code: str, message: str) -> str:
    if service == "rekognition":
        return json.dumps({"__type": code, "message": message})
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return error if service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"


@contextmanager
def aws_wire() -> Iterator[Wire]:
    """Put a wire before moto, whose `mock_aws` is active."""
    wire = Wire()
    real = BotocoreStubber.__call__

    def call(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **rest: Any) -> Any:
        instead = wire.answer(event_name, str(request.url), str(request.method))
        return instead or real(stubber, event_name, request, **rest)

    with (
        patch.object(BotocoreStubber, "__call__", call),
        # It tries again at once.
        patch("botocore.retries.standard.ExponentialBackoff.delay_amount", return_value=0),
    ):
        yield wire


def service_of(operation: str) -> str:
    """Return whose operation it is."""
    if operation == "GetCallerIdentity":
        return "sts"
    return "s3" if re.search(r"Object|Bucket", operation) else "rekognition"


def can_happen(fault: AwsFault, operation: str) -> bool:
    """Return whether an operation can fail in this way."""
    return bool(fault.code(operation, service_of(operation)))
