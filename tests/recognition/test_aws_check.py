"""An account is tried before its settings are kept; a mistake is named and nothing is left behind."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from custom_components.face_doorbell.recognition.errors import EngineSetupError, RecognitionError
from custom_components.face_doorbell.recognition.rekognition import Mode, check
from tests.fake_rekognition import Fault
from tests.recognition.conftest import BUCKET, SETTINGS, Cloud


@pytest.fixture(autouse=True)
def nothing_is_left_behind(cloud: Cloud) -> Iterator[None]:
    yield
    assert cloud.keys() == set()
    collection = cloud.rekognition.collection()
    assert collection is None or not (collection.faces or collection.users)


@pytest.mark.parametrize("mode", Mode)
async def test_an_account_that_is_set_up_passes_again_and_again(cloud: Cloud, mode: Mode) -> None:
    await check(replace(SETTINGS, mode=mode))
    await check(replace(SETTINGS, mode=mode))
    assert (cloud.rekognition.collection() is not None) is (mode is Mode.SEARCH)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"access_key_id": ""}, "invalid_auth"),
        ({"secret_access_key": ""}, "invalid_auth"),
        ({"region": "eu-north-1"}, "wrong_region"),
        ({"region": "eu-central-1"}, "wrong_region"),
        ({"bucket": "no-such-bucket"}, "bucket_missing"),
        ({"bucket": "Not a name"}, "invalid_bucket"),
        ({"bucket": "x"}, "invalid_bucket"),
        ({"collection": "my faces"}, "invalid_collection"),
    ],
    ids=str,
)
async def test_a_mistake_in_the_settings_is_named(cloud: Cloud, changed: dict[str, str], key: str) -> None:
    with pytest.raises(RecognitionError) as mistake:
        await check(replace(SETTINGS, **changed))  # type: ignore[arg-type]  # the names are those of the settings
    assert mistake.value.key == key
    if key == "wrong_region" and changed["region"] == "eu-central-1":
        assert mistake.value.placeholders == {"bucket": BUCKET, "region": "eu-west-1"}
    assert cloud.rekognition.collection() is None


@pytest.mark.parametrize(
    ("mode", "operation"),
    [
        *(
            (Mode.SEARCH, operation)
            for operation in (
                "DetectFaces",
                "CreateCollection",
                "ListFaces",
                "ListUsers",
                "IndexFaces",
                "SearchUsersByImage",
                "CreateUser",
                "AssociateFaces",
                "DisassociateFaces",
                "DeleteUser",
                "DeleteFaces",
            )
        ),
        *((Mode.COMPARE, operation) for operation in ("DetectFaces", "CompareFaces", "ListFaces")),
    ],
)
async def test_a_missing_permission_is_named(cloud: Cloud, mode: Mode, operation: str) -> None:
    cloud.rekognition.fail[operation] = Fault("AccessDeniedException")
    with pytest.raises(EngineSetupError) as missing:
        await check(replace(SETTINGS, mode=mode))
    assert missing.value.key == "missing_permission"
    assert missing.value.placeholders == {"action": f"rekognition:{operation}"}
    assert cloud.rekognition.collection() is None


@pytest.mark.parametrize(
    ("operation", "action"), [("PutObject", "s3:PutObject"), ("ListObjectsV2", "s3:ListBucket")]
)
async def test_a_missing_permission_on_the_bucket_is_named(cloud: Cloud, operation: str, action: str) -> None:
    with (
        cloud.failing(operation, "AccessDenied", status=403),
        pytest.raises(EngineSetupError, match="missing_permission") as missing,
    ):
        await check(SETTINGS)
    assert missing.value.placeholders == {"action": action}


async def test_a_collection_that_was_there_stays_as_it_was(cloud: Cloud) -> None:
    await check(SETTINGS)
    cloud.rekognition.fail["AssociateFaces"] = Fault("AccessDeniedException")
    with pytest.raises(EngineSetupError):
        await check(SETTINGS)
    assert cloud.rekognition.collection() is not None


@pytest.mark.parametrize(
    ("operation", "code", "key"),
    [
        ("GetCallerIdentity", "InvalidClientTokenId", "invalid_auth"),
        ("GetCallerIdentity", "SignatureDoesNotMatch", "invalid_auth"),
        ("HeadBucket", "403", "missing_permission"),
        ("IndexFaces", "InvalidS3ObjectException", "missing_permission"),
        ("SearchUsersByImage", "SubscriptionRequiredException", "account_not_ready"),
    ],
)
async def test_what_aws_says_is_passed_on(cloud: Cloud, operation: str, code: str, key: str) -> None:
    with cloud.failing(operation, code, status=403), pytest.raises(RecognitionError, match=key):
        await check(SETTINGS)
