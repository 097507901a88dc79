"""What AWS costs is counted over restarts, told, and limited."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.face_doorbell.const import DOMAIN, ENGINE_REKOGNITION
from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError
from custom_components.face_doorbell.recognition.ledger import Ledger
from custom_components.face_doorbell.recognition.usage import MonthUsage
from tests.fake_rekognition import Fault, paint
from tests.photos import photo
from tests.recognition.conftest import BUCKET, REGION, Cloud

from . import flow_tools
from .helpers import recognition, set_up, state

CALLS = "sensor.face_recognition_calls_this_month"
COST = "sensor.face_recognition_estimated_cost"
THRESHOLD = "number.face_recognition_similarity_threshold"

SETTINGS: dict[str, Any] = {
    "engine": ENGINE_REKOGNITION,
    "access_key_id": "AKIATEST",
    "secret_access_key": "very secret",
    "region": REGION,
    "bucket": BUCKET,
    "collection": "face_doorbell",
    "mode": "search",
}


@pytest.fixture
async def entry(hass: HomeAssistant, cloud: Cloud, freezer: FrozenDateTimeFactory) -> MockConfigEntry:
    freezer.move_to(datetime(2026, 11, 23, 12, tzinfo=UTC))
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    return entry


async def visitor(hass: HomeAssistant, entry: MockConfigEntry, faces: int = 1) -> None:
    await entry.runtime_data.recognize(Picture(paint(*range(0, 60 * faces, 60))))
    await hass.async_block_till_done()


def issues(hass: HomeAssistant) -> set[str]:
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN}


async def options(hass: HomeAssistant, entry: ConfigEntry, **changed: Any) -> None:
    flows = hass.config_entries.options
    step = await flows.async_init(entry.entry_id)
    await flows.async_configure(step["flow_id"], {"next_step_id": "limits"})
    step = await flows.async_configure(step["flow_id"], changed)
    assert step["type"] == "create_entry"
    await hass.async_block_till_done()


def ledger(hass: HomeAssistant) -> Ledger:
    return Ledger(Path(hass.config.path(DOMAIN, "usage.sqlite")))


async def test_calls_and_cost_are_shown_and_kept(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert state(hass, CALLS).state == "0"
    await visitor(hass, entry, faces=3)
    assert state(hass, CALLS).state == "3"
    assert state(hass, CALLS).attributes["by_kind"] == {"SearchUsersByImage": 3}
    assert state(hass, CALLS).attributes["last_reset"] == "2026-11-01T00:00:00+00:00"
    assert state(hass, COST).state == "0.003"
    assert state(hass, COST).attributes["unit_of_measurement"] == "USD"
    assert state(hass, COST).attributes["prices_of"] == "us-east-1"
    assert ledger(hass).load() == [MonthUsage("2026-11", {"SearchUsersByImage": 3})]


async def test_a_restart_goes_on_counting(hass: HomeAssistant, cloud: Cloud) -> None:
    kept = ledger(hass)
    kept.save(MonthUsage(datetime.now(UTC).strftime("%Y-%m"), {"CompareFaces": 41}))
    kept.close()
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    await visitor(hass, entry)
    assert state(hass, CALLS).state == "42"


async def test_the_month_begins_anew_by_itself(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    await options(hass, entry, budget=0.001)
    await visitor(hass, entry)
    assert issues(hass) == {"budget_spent"}
    freezer.move_to(datetime(2026, 12, 1, tzinfo=UTC))
    async_fire_time_changed(hass, datetime.now(UTC))
    await hass.async_block_till_done()
    assert (state(hass, CALLS).state, issues(hass)) == ("0", set())


async def test_the_budget_warns_and_then_holds(
    hass: HomeAssistant, entry: MockConfigEntry, cloud: Cloud
) -> None:
    await options(hass, entry, budget=0.005)
    await visitor(hass, entry, faces=3)
    assert issues(hass) == set()
    await visitor(hass, entry)
    assert issues(hass) == {"budget_nearly_spent"}
    await visitor(hass, entry)
    assert issues(hass) == {"budget_spent"}
    with pytest.raises(EngineUnavailableError, match="budget_spent"):
        await visitor(hass, entry)
    assert cloud.rekognition.billed == {"SearchUsersByImage": 5}

    await options(hass, entry)
    await visitor(hass, entry)
    assert issues(hass) == set()


@pytest.mark.parametrize("leave", ["engine", "entry"])
async def test_who_asks_aws_no_more_is_told_no_more_of_it(
    hass: HomeAssistant, seeing_doorbell: ConfigEntry, cloud: Cloud, leave: str
) -> None:
    form = await flow_tools.start(hass, flow_tools.choose("recognition"), flow_tools.choose("rekognition"))
    entry: ConfigEntry = (await flow_tools.answer(hass, form, flow_tools.AWS_FORM))["result"]
    cloud.rekognition.fail["SearchUsersByImage"] = Fault("AccessDeniedException")
    await entry.runtime_data.recognize(Picture(photo("obama")))
    await options(hass, entry, budget=0.001)
    assert issues(hass) == {"budget_spent", "engine_recognize"}
    if leave == "engine":
        form = await flow_tools.reconfigure(hass, entry, "local")
        await flow_tools.answer(hass, form, {"remove_aws_data": False})
    else:
        await hass.config_entries.async_remove(entry.entry_id)
        await hass.async_block_till_done()
    assert issues(hass) == set()


async def test_the_owner_lifts_the_budget_for_the_month(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    await options(hass, entry, budget=0.001)
    await visitor(hass, entry)
    manager = hass.data["repairs"]["flow_manager"]
    step = await manager.async_init(DOMAIN, data={"issue_id": "budget_spent"})
    assert step["step_id"] == "confirm"
    step = await manager.async_configure(step["flow_id"], {})
    assert step["type"] == "create_entry"
    await hass.async_block_till_done()
    assert issues(hass) == set()
    await visitor(hass, entry)
    assert issues(hass) == set()
    freezer.move_to(datetime(2026, 12, 5, tzinfo=UTC))
    await visitor(hass, entry)
    assert issues(hass) == {"budget_spent"}


async def test_the_threshold_counts_without_a_new_start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    recognizer = entry.runtime_data
    assert state(hass, THRESHOLD).state == "90.0"
    data = {"entity_id": THRESHOLD, "value": 97.5}
    with patch.object(hass.config_entries, "async_reload") as reload:
        await hass.services.async_call("number", "set_value", data, blocking=True)
        await hass.async_block_till_done()
    assert not reload.called
    assert state(hass, THRESHOLD).state == "97.5"
    assert entry.options["threshold"] == 97.5
    assert entry.runtime_data is recognizer
    assert recognizer.engine.rule.threshold == 97.5


async def test_other_settings_set_the_entry_up_anew(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    recognizer = entry.runtime_data
    hass.config_entries.async_update_entry(entry, data={**entry.data, "mode": "compare"})
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data is not recognizer
