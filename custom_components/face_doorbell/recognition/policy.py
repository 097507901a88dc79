"""The least that the access key must be permitted: shown in the set-up, and the same in docs."""

from collections.abc import Mapping
import json
from typing import Final

from .aws import AwsSettings

# The calls that no resource can be named for.
STATELESS: Final = ("rekognition:CompareFaces", "rekognition:CreateCollection", "rekognition:DetectFaces")
COLLECTION: Final = (
    "rekognition:AssociateFaces",
    "rekognition:CreateUser",
    "rekognition:DeleteCollection",
    "rekognition:DeleteFaces",
    "rekognition:DeleteUser",
    "rekognition:DescribeCollection",
    "rekognition:DisassociateFaces",
    "rekognition:IndexFaces",
    "rekognition:ListFaces",
    "rekognition:ListUsers",
    "rekognition:SearchUsersByImage",
)
BUCKET: Final = ("s3:ListBucket", "s3:ListBucketVersions")
OBJECTS: Final = ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject")
# Needed once, and only for a bucket that this integration creates.
CREATE_BUCKET: Final = ("s3:CreateBucket", "s3:PutBucketPublicAccessBlock", "s3:PutEncryptionConfiguration")

# Stands for what is not known yet.
REGION, BUCKET_NAME = "REGION", "BUCKET"


def policy(settings: AwsSettings) -> Mapping[str, object]:
    """Return the policy for these settings; it holds in any account."""
    collection = f"arn:aws:rekognition:{settings.region}:*:collection/{settings.collection}"
    bucket = f"arn:aws:s3:::{settings.bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("Stateless", STATELESS, "*"),
            _allow("Collection", COLLECTION, collection),
            _allow("Bucket", BUCKET, bucket),
            _allow("Objects", OBJECTS, f"{bucket}/{settings.prefix}/*"),
        ],
    }


def policy_json(settings: AwsSettings) -> str:
    """Return the policy to be pasted into IAM."""
    return json.dumps(policy(settings), indent=2)


def _allow(sid: str, actions: tuple[str, ...], resource: str) -> Mapping[str, object]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
