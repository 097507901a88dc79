"""Choosing what recognizes the faces; the doorbell is the real one. What AWS can refuse is in test_aws_trouble."""

from unittest.mock import patch

from homeassistant.config_entries import ConfigEntry, ConfigEntryState, FlowType
from homeassistant.core import HomeAssistant
import pytest

from custom_components.face_doorbell.const import DOMAIN
from pi_bridge.model import FacesState
from tests.bridge.doubles import FakeFaces, RunningBridge
from tests.recognition.conftest import BUCKET, REGION, Cloud

from .flow_tools import (
    AWS_FORM,
    KEYS,
    Step,
    add_doorbell,
    answer,
    choose,
    options,
    reconfigure,
    start,
    state,
    suggested,
)

STORED = {
    "kind": "recognition",
    "engine": "rekognition",
    **{key: value for key, value in AWS_FORM.items() if key != "advanced"},
}


async def to_recognition(hass: HomeAssistant) -> Step:
    """Walk to the choice of the engine."""
    step = await start(hass, choose("recognition"))
    assert step["menu_options"] == ["local", "rekognition"]
    return step


async def add_rekognition(hass: HomeAssistant) -> ConfigEntry:
    """Set up Amazon Rekognition."""
    step = await answer(hass, await to_recognition(hass), choose("rekognition"))
    step = await answer(hass, step, AWS_FORM)
    assert step["type"] == "create_entry", step
    entry: ConfigEntry = step["result"]
    assert state(entry) is ConfigEntryState.LOADED
    return entry


# The doorbell itself


async def test_the_doorbell_itself_recognizes(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    step = await answer(hass, await to_recognition(hass), choose("local"))
    assert step["type"] == "create_entry"
    entry = step["result"]
    assert (entry.title, entry.unique_id) == ("Face recognition", "recognition")
    assert entry.data == {"kind": "recognition", "engine": "local"}
    assert state(entry) is ConfigEntryState.LOADED
    assert entry.supports_options

    flow_type, flow_id = step["next_flow"]
    assert flow_type is FlowType.CONFIG_SUBENTRIES_FLOW
    assert hass.config_entries.subentries.async_get(flow_id)["step_id"] == "user"


async def test_without_a_doorbell_nothing_recognizes_itself(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    step = await answer(hass, await to_recognition(hass), choose("local"))
    assert (step["step_id"], step["errors"]) == ("local", {"base": "no_doorbell"})
    assert hass.config_entries.async_entries(DOMAIN) == []

    await add_doorbell(hass, bridge)
    step = await answer(hass, step, {})
    assert step["type"] == "create_entry"


async def test_a_doorbell_without_face_models_does_not_do(hass: HomeAssistant, bridge: RunningBridge) -> None:
    assert isinstance(bridge.faces, FakeFaces)
    bridge.faces.state = FacesState.OFF
    doorbell = await add_doorbell(hass, bridge)
    step = await answer(hass, await to_recognition(hass), choose("local"))
    assert (step["step_id"], step["errors"]) == ("local", {"base": "no_faces"})
    assert hass.config_entries.async_entries(DOMAIN) == [doorbell]

    bridge.faces.state = FacesState.OK
    await hass.config_entries.async_reload(doorbell.entry_id)
    step = await answer(hass, step, {})
    assert step["type"] == "create_entry"


async def test_there_is_one_recognition_only(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    late = await start(hass)
    step = await answer(hass, await to_recognition(hass), choose("local"))
    assert step["type"] == "create_entry"
    late = await answer(hass, late, choose("recognition"))
    assert (late["type"], late["reason"]) == ("abort", "already_configured")


# Amazon Rekognition


async def test_rekognition_is_checked_and_kept(hass: HomeAssistant, cloud: Cloud) -> None:
    step = await answer(hass, await to_recognition(hass), choose("rekognition"))
    assert step["step_id"] == "rekognition"
    step = await answer(
        hass, step, {**AWS_FORM, "mode": "compare", "advanced": {"session_token": "for an hour"}}
    )
    assert step["type"] == "create_entry"
    assert step["result"].data == {**STORED, "mode": "compare", "session_token": "for an hour"}
    assert state(step["result"]) is ConfigEntryState.LOADED
    assert step["next_flow"][0] is FlowType.CONFIG_SUBENTRIES_FLOW


async def test_a_bucket_in_another_region_is_said_at_the_region(hass: HomeAssistant, cloud: Cloud) -> None:
    step = await answer(hass, await to_recognition(hass), choose("rekognition"))
    before = cloud.state()
    step = await answer(hass, step, {**AWS_FORM, "region": "us-east-1"})
    assert step["errors"] == {"region": "wrong_region"}
    assert {"bucket": BUCKET, "region": REGION}.items() <= step["description_placeholders"].items()
    assert hass.config_entries.async_entries(DOMAIN) == []
    assert cloud.state() == before
    step = await answer(hass, step, AWS_FORM)
    assert step["type"] == "create_entry"


@pytest.mark.parametrize("region", [REGION, "us-east-1"])
async def test_a_missing_bucket_is_created_private_and_encrypted(
    hass: HomeAssistant, cloud: Cloud, region: str
) -> None:
    step = await answer(hass, await to_recognition(hass), choose("rekognition"))
    assert "BUCKET" in step["description_placeholders"]["policy"]
    settings = {**AWS_FORM, "bucket": "our-new-bucket", "region": region}
    step = await answer(hass, step, settings)
    assert step["errors"] == {"bucket": "bucket_missing"}
    assert "arn:aws:s3:::our-new-bucket/face_doorbell/*" in step["description_placeholders"]["policy"]
    with cloud.failing("CreateBucket", "AccessDenied"):
        step = await answer(hass, step, {**settings, "create_bucket": True})
    assert step["errors"] == {"base": "missing_permission"}
    assert step["description_placeholders"]["action"] == "s3:CreateBucket"

    step = await answer(hass, step, settings)
    step = await answer(hass, step, {**settings, "create_bucket": True})
    assert step["type"] == "create_entry"
    assert "create_bucket" not in step["result"].data
    where = {"Bucket": "our-new-bucket"}
    assert cloud.s3.head_bucket(**where)["BucketRegion"] == region
    public = cloud.s3.get_public_access_block(**where)["PublicAccessBlockConfiguration"]
    assert set(public.values()) == {True}
    (rule,) = cloud.s3.get_bucket_encryption(**where)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


async def test_an_endpoint_that_does_not_answer(hass: HomeAssistant, cloud: Cloud) -> None:
    step = await answer(hass, await to_recognition(hass), choose("rekognition"))
    nobody = {"endpoint_url": "http://127.0.0.1:9"}
    with patch("custom_components.face_doorbell.recognition.aws.VISIT_ATTEMPTS", 1):
        step = await answer(hass, step, {**AWS_FORM, "advanced": nobody})
    assert step["errors"] == {"base": "cannot_connect"}
    assert suggested(step)["endpoint_url"] == nobody["endpoint_url"]
    step = await answer(hass, step, AWS_FORM)
    assert step["type"] == "create_entry"


async def test_new_keys_are_asked_for_when_the_old_ones_are_refused(
    hass: HomeAssistant, cloud: Cloud
) -> None:
    entry = await add_rekognition(hass)
    with cloud.failing("ListFaces", "UnrecognizedClientException"):
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
    assert state(entry) is ConfigEntryState.SETUP_ERROR

    (step,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN, match_context={"source": "reauth"})
    form: Step = await hass.config_entries.flow.async_configure(step["flow_id"])
    assert form["step_id"] == "reauth_recognition"
    assert suggested(form) == {"access_key_id": KEYS["access_key_id"]}

    new = {"access_key_id": "AKIANEW", "secret_access_key": "even more secret"}
    with cloud.failing("GetCallerIdentity", "InvalidClientTokenId"):
        form = await answer(hass, form, new)
    assert form["errors"] == {"secret_access_key": "invalid_auth"}
    with cloud.failing("HeadBucket", "404"):
        form = await answer(hass, form, new)
    assert form["errors"] == {"base": "bucket_missing"}  # the form has no field for it
    assert entry.data == STORED

    form = await answer(hass, form, new)
    assert (form["type"], form["reason"]) == ("abort", "reauth_successful")
    assert entry.data == {**STORED, **new}
    assert state(entry) is ConfigEntryState.LOADED


async def test_settings_are_changed_without_the_secret(hass: HomeAssistant, cloud: Cloud) -> None:
    entry = await add_rekognition(hass)
    step = await reconfigure(hass, entry, "rekognition")
    shown = suggested(step)
    assert shown == {
        key: value for key, value in STORED.items() if key in AWS_FORM and key != "secret_access_key"
    }

    step = await answer(hass, step, {**shown, "bucket": "My Photos", "advanced": {}})
    assert step["errors"] == {"bucket": "invalid_bucket"}
    assert entry.data == STORED

    step = await answer(hass, step, {**shown, "mode": "compare", "advanced": {}})
    assert (step["type"], step["reason"]) == ("abort", "reconfigure_successful")
    assert entry.data == {**STORED, "mode": "compare"}
    assert state(entry) is ConfigEntryState.LOADED


async def test_a_stored_token_stays_with_its_secret(hass: HomeAssistant, cloud: Cloud) -> None:
    entry = await add_rekognition(hass)
    hass.config_entries.async_update_entry(entry, data={**entry.data, "session_token": "for an hour"})
    await hass.async_block_till_done()
    step = await reconfigure(hass, entry, "rekognition")
    shown = suggested(step)
    assert "session_token" not in shown
    await answer(hass, step, {**shown, "advanced": {}})
    assert entry.data["session_token"] == "for an hour"

    step = await reconfigure(hass, entry, "rekognition")
    await answer(hass, step, {**shown, "secret_access_key": "for ever", "advanced": {}})
    assert entry.data == {**STORED, "secret_access_key": "for ever"}


async def test_the_engine_can_be_changed_there_and_back(
    hass: HomeAssistant, cloud: Cloud, bridge: RunningBridge
) -> None:
    await add_doorbell(hass, bridge)
    step = await answer(hass, await to_recognition(hass), choose("local"))
    entry = step["result"]

    step = await reconfigure(hass, entry, "rekognition")
    step = await answer(hass, step, AWS_FORM)
    assert step["reason"] == "reconfigure_successful"
    assert entry.data == STORED
    assert state(entry) is ConfigEntryState.LOADED

    step = await reconfigure(hass, entry, "local")
    step = await answer(hass, step, {"remove_aws_data": False})
    assert step["reason"] == "reconfigure_successful"
    assert entry.data == {"kind": "recognition", "engine": "local"}
    assert state(entry) is ConfigEntryState.LOADED


async def test_a_recognition_that_cannot_start_asks_for_no_person(hass: HomeAssistant, cloud: Cloud) -> None:
    step = await answer(hass, await to_recognition(hass), choose("rekognition"))
    with (
        patch("custom_components.face_doorbell.recognition.rekognition.check"),
        cloud.failing("ListFaces", "InternalServerError"),
    ):
        step = await answer(hass, step, AWS_FORM)
    assert step["type"] == "create_entry"
    assert state(step["result"]) is ConfigEntryState.SETUP_RETRY
    assert "next_flow" not in step


# The decision rule


async def test_threshold_and_margin_are_options(hass: HomeAssistant, cloud: Cloud) -> None:
    entry = await add_rekognition(hass)
    step = await options(hass, entry, "decision")
    assert step["data_schema"]({}) == {"threshold": 90, "margin": 2}
    step = await hass.config_entries.options.async_configure(
        step["flow_id"], {"threshold": 97.5, "margin": 3}
    )
    await hass.async_block_till_done()
    assert step["type"] == "create_entry"
    assert entry.options == {"threshold": 97.5, "margin": 3}
    assert state(entry) is ConfigEntryState.LOADED

    step = await options(hass, entry, "decision")
    assert suggested(step) == {"threshold": 97.5, "margin": 3}
