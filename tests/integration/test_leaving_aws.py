"""What is with AWS is deleted when the owner says so, whichever way recognition leaves, and it is told."""

from dataclasses import replace
from typing import Any

from homeassistant.components.persistent_notification import _async_get_or_create_notifications
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.naming import async_add_person
from custom_components.face_doorbell.recognition.rekognition import create_bucket
from tests.bridge.doubles import RunningBridge
from tests.fake_rekognition import paint
from tests.recognition.conftest import BUCKET, REGION, SETTINGS as AWS, Cloud

from .flow_tools import KEYS, Step, add_doorbell, answer, reconfigure, suggested
from .helpers import recognition, set_up
from .test_budget import SETTINGS

OTHER_BUCKET = "another-bucket"
EVERYTHING = {"objects": "3", "users": "1", "faces": "2", "bucket": BUCKET, "collection": "face_doorbell"}


@pytest.fixture
async def entry(hass: HomeAssistant, cloud: Cloud) -> MockConfigEntry:
    """Amazon Rekognition with one person, who has two photos."""
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    async_add_person(hass, entry, await entry.runtime_data.enrol("Ann", [paint(0), paint(0, mark=1)]))
    await hass.async_block_till_done()
    assert len(cloud.keys()) == 3
    return entry


def notifications(hass: HomeAssistant) -> dict[str, str]:
    return {name: each["message"] for name, each in _async_get_or_create_notifications(hass).items()}


async def to_local(hass: HomeAssistant, entry: MockConfigEntry, bridge: RunningBridge) -> Step:
    await add_doorbell(hass, bridge)
    step = await reconfigure(hass, entry, "local")
    assert step["step_id"] == "leave_aws"
    assert step["description_placeholders"] == {
        "bucket": BUCKET,
        "collection": "face_doorbell",
        "region": REGION,
    }
    return step


async def test_who_goes_over_to_the_doorbell_may_keep_what_is_with_aws(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry, bridge: RunningBridge
) -> None:
    before = cloud.state()
    step = await to_local(hass, entry, bridge)
    assert step["data_schema"]({}) == {"remove_aws_data": False}
    step = await answer(hass, step, {"remove_aws_data": False})
    assert step["reason"] == "reconfigure_successful"
    assert (entry.data["engine"], entry.state) == ("local", ConfigEntryState.LOADED)
    assert cloud.state() == before


async def test_or_delete_it_and_is_told_what_was_deleted(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry, bridge: RunningBridge
) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key="notes.txt", Body=b"not ours")
    step = await to_local(hass, entry, bridge)
    step = await answer(hass, step, {"remove_aws_data": True})
    assert (step["type"], step["reason"]) == ("abort", "aws_data_removed")
    assert EVERYTHING.items() <= step["description_placeholders"].items()
    assert cloud.keys() == {"notes.txt"}
    assert cloud.rekognition.collection() is None
    # The persons and their photos are still at home.
    assert entry.data["engine"] == "local"
    assert [len(person.photos) for person in entry.runtime_data.persons] == [2]

    # Whoever comes back finds all as before.
    step = await reconfigure(hass, entry, "rekognition")
    settings = {key: value for key, value in SETTINGS.items() if key != "engine"}
    step = await answer(hass, step, {**settings, "advanced": {}})
    assert step["reason"] == "reconfigure_successful"
    assert len(cloud.keys()) == 4
    collection = cloud.rekognition.collection()
    assert collection
    assert len(collection.faces) == 2


async def test_what_cannot_be_deleted_changes_nothing(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry, bridge: RunningBridge
) -> None:
    step = await to_local(hass, entry, bridge)
    with cloud.failing("ListFaces", "AccessDeniedException"):
        step = await answer(hass, step, {"remove_aws_data": True})
    assert step["errors"] == {"base": "missing_permission"}
    assert (entry.data["engine"], entry.state) == ("rekognition", ConfigEntryState.LOADED)
    assert len(cloud.keys()) == 3
    step = await answer(hass, step, {"remove_aws_data": False})
    assert step["reason"] == "reconfigure_successful"
    assert entry.data["engine"] == "local"


@pytest.mark.parametrize("remove", [False, True])
async def test_another_bucket_is_filled_from_the_gallery(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry, *, remove: bool
) -> None:
    cloud.s3.create_bucket(Bucket=OTHER_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    step = await reconfigure(hass, entry, "rekognition")
    step = await answer(hass, step, {**suggested(step), "bucket": OTHER_BUCKET, "advanced": {}})
    assert step["step_id"] == "leave_aws"
    await answer(hass, step, {"remove_aws_data": remove})
    assert (entry.data["bucket"], entry.state) == (OTHER_BUCKET, ConfigEntryState.LOADED)
    assert len(cloud.s3.list_objects_v2(Bucket=OTHER_BUCKET)["Contents"]) == 3
    assert len(cloud.keys()) == (0 if remove else 3)
    collection = cloud.rekognition.collection()
    assert collection
    assert len(collection.faces) == 2


async def test_another_region_gets_an_index_of_its_own(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry
) -> None:
    region = "eu-central-1"
    await create_bucket(replace(AWS, bucket=OTHER_BUCKET, region=region))
    step = await reconfigure(hass, entry, "rekognition")
    changed = {"bucket": OTHER_BUCKET, "region": region, "advanced": {}}
    step = await answer(hass, step, {**suggested(step), **changed})
    await answer(hass, step, {"remove_aws_data": True})
    assert entry.state is ConfigEntryState.LOADED
    assert cloud.rekognition.collection() is None
    collection = cloud.rekognition.collection(region=region)
    assert collection
    assert len(collection.faces) == 2


async def test_other_keys_or_another_mode_leave_nothing(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry
) -> None:
    step = await reconfigure(hass, entry, "rekognition")
    changed = {"secret_access_key": "another", "mode": "compare", "advanced": {}}
    step = await answer(hass, step, {**suggested(step), **changed})
    assert step["reason"] == "reconfigure_successful"


async def test_what_goes_with_the_recognition_is_told(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry
) -> None:
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert cloud.keys() == set()
    assert cloud.rekognition.collection() is None
    (told,) = notifications(hass).values()
    assert BUCKET in told
    assert left(hass) is None


def left(hass: HomeAssistant) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, "aws_data_left")


async def remove_while_aws_is_away(hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry) -> None:
    with cloud.failing("ListFaces", "InternalServerError", status=500):
        await hass.config_entries.async_remove(entry.entry_id)
        await hass.async_block_till_done()
    assert len(cloud.keys()) == 3


async def fix(hass: HomeAssistant, **entered: Any) -> Step:
    assert await async_setup_component(hass, "repairs", {})
    manager = hass.data["repairs"]["flow_manager"]
    step: Step = await manager.async_init(DOMAIN, data={"issue_id": "aws_data_left"})
    assert step["step_id"] == "keys"
    step = await manager.async_configure(step["flow_id"], entered)
    await hass.async_block_till_done()
    return step


async def test_what_could_not_go_with_it_is_left_to_a_repair(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry
) -> None:
    await remove_while_aws_is_away(hass, cloud, entry)
    issue = left(hass)
    assert issue
    assert issue.is_persistent
    assert issue.data == {"region": REGION, "bucket": BUCKET, "collection": "face_doorbell"}  # and no keys

    with cloud.failing("ListObjectsV2", "InvalidAccessKeyId", status=403):
        step = await fix(hass, **KEYS)
    assert step["errors"] == {"base": "invalid_auth"}
    assert left(hass)
    step = await fix(hass, **KEYS)
    assert step["type"] == "create_entry"
    assert cloud.keys() == set()
    assert cloud.rekognition.collection() is None
    assert left(hass) is None
    assert BUCKET in "".join(notifications(hass).values())


async def test_the_repair_goes_when_the_place_is_in_use_again(
    hass: HomeAssistant, cloud: Cloud, entry: MockConfigEntry
) -> None:
    await remove_while_aws_is_away(hass, cloud, entry)
    assert left(hass)
    await set_up(hass, recognition(**SETTINGS))
    assert left(hass) is None
