"""The way to AWS: settings, clients, and one table from AWS's errors to ours. Everything but the settings blocks."""

from dataclasses import dataclass, field
from enum import StrEnum
import re
from typing import Final

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


class Mode(StrEnum):
    """How the Rekognition engine asks."""

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
