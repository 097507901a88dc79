"""A doorbell and face recognition as config entries: set up, taken down, lost and found."""

import logging
import os

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import CONF_TOKEN, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.face_doorbell.const import CONF_FINGERPRINT, DOMAIN
from custom_components.face_doorbell.recognition.errors import EngineAuthError, EngineUnavailableError
from tests.bridge.doubles import RunningBridge

from .helpers import (
    DOORBELL,
    GREEN,
    LAST_VISITOR,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    pair,
    set_up,
    state,
)


async def test_a_doorbell_is_one_device_with_its_entities(
    hass: HomeAssistant, bridge: RunningBridge, device_registry: dr.DeviceRegistry
) -> None:
    entry = await add_doorbell(hass, bridge)

    assert entry.state is ConfigEntryState.LOADED
    device = device_registry.async_get_device_by_identifier((DOMAIN, bridge.bridge_id), entry.entry_id)
    assert device is not None
    assert device.name == "Front door"
    assert device.sw_version
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert sorted(entity.entity_id for entity in entities) == [
        "binary_sensor.front_door_recognized",
        "button.front_door_test_ring",
        "camera.front_door_camera",
        "event.front_door_doorbell",
        "event.front_door_visitor",
        "image.front_door_last_visitor",
        "light.front_door_green_led",
        "light.front_door_red_led",
        "sensor.front_door_last_visitor",
        "sensor.front_door_time_to_decision",
        "sensor.front_door_time_to_engine",
        "sensor.front_door_time_to_led",
        "sensor.front_door_time_to_picture",
        "sensor.front_door_time_to_ring",
        "siren.front_door_buzzer",
        "switch.front_door_recognition",
    ]
    assert {entity.device_id for entity in entities} == {device.id}


async def test_unloading_leaves_no_connection(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)

    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.state is ConfigEntryState.NOT_LOADED
    assert state(hass, DOORBELL).state == STATE_UNAVAILABLE


async def test_removing_a_doorbell_takes_its_token_back(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)
    assert bridge.running.bridge.clients

    await hass.config_entries.async_remove(entry.entry_id)

    assert not bridge.running.bridge.clients


async def test_a_doorbell_that_is_away_can_be_removed(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)
    await bridge.stop()

    await hass.config_entries.async_remove(entry.entry_id)

    assert not hass.config_entries.async_entries(DOMAIN)


async def test_a_bridge_that_is_away_is_tried_again(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await pair(hass, bridge)
    await bridge.stop()

    await set_up(hass, entry)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "bridge_unreachable"


async def test_a_wrong_token_asks_for_pairing(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await pair(hass, bridge)
    entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_TOKEN: "wrong"})

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()

    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == [
        SOURCE_REAUTH
    ]


async def test_another_certificate_is_not_trusted(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await pair(hass, bridge)
    entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_FINGERPRINT: "ab" * 32})

    await hass.config_entries.async_setup(entry.entry_id)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "certificate_changed"


async def test_a_lost_connection_comes_back(
    hass: HomeAssistant, bridge: RunningBridge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "custom_components.face_doorbell")
    await add_doorbell(hass, bridge)

    async with change(hass, DOORBELL, lambda now: now.state == STATE_UNAVAILABLE) as gone:
        await bridge.stop()
        await gone
    assert state(hass, GREEN).state == STATE_UNAVAILABLE
    assert state(hass, LAST_VISITOR).state == STATE_UNKNOWN  # what Home Assistant knows by itself stays

    async with change(hass, DOORBELL, lambda now: now.state != STATE_UNAVAILABLE) as back:
        await bridge.start()
        await back
    assert state(hass, GREEN).state == "off"
    assert caplog.text.count("Front door is not connected") == 1
    assert caplog.text.count("Front door is connected again") == 1


async def test_a_token_taken_back_asks_for_pairing(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)
    (token_hash,) = bridge.running.bridge.clients

    async with change(hass, DOORBELL, lambda now: now.state == STATE_UNAVAILABLE) as gone:
        await bridge.running.bridge.remove_client(token_hash)
        await bridge.restart()
        await gone
    while not (flows := list(entry.async_get_active_flows(hass, {SOURCE_REAUTH}))):
        await hass.async_block_till_done(wait_background_tasks=True)

    assert len(flows) == 1


async def test_recognition_is_a_service(hass: HomeAssistant, device_registry: dr.DeviceRegistry) -> None:
    entry = await add_recognition(hass, ScriptedEngine(), {"ann-1": "Ann"})

    assert entry.state is ConfigEntryState.LOADED
    assert [person.name for person in entry.runtime_data.persons] == ["Ann"]
    device = device_registry.async_get_device_by_identifier((DOMAIN, entry.entry_id), entry.entry_id)
    assert device is not None
    assert device.entry_type is dr.DeviceEntryType.SERVICE

    assert await hass.config_entries.async_unload(entry.entry_id)


class UnsyncedEngine(ScriptedEngine):
    """Cannot be brought in step with the gallery."""

    async def sync(self, gallery: object) -> None:  # type: ignore[override]  # it never returns
        (error,) = self.answers
        assert isinstance(error, Exception)
        raise error


async def test_recognition_with_wrong_keys_asks_for_others(hass: HomeAssistant) -> None:
    entry = await add_recognition(hass, UnsyncedEngine([EngineAuthError()]), access_key_id="AKIA")

    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert list(entry.async_get_active_flows(hass, {SOURCE_REAUTH}))


async def test_recognition_out_of_reach_is_tried_again(hass: HomeAssistant) -> None:
    entry = await add_recognition(hass, UnsyncedEngine([EngineUnavailableError("throttled")]))

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "throttled"


async def test_removing_recognition_forgets_the_persons(hass: HomeAssistant) -> None:
    engine = ScriptedEngine()
    entry = await add_recognition(hass, engine, {"ann-1": "Ann"})
    people = hass.config.path(DOMAIN, "people")
    assert await hass.async_add_executor_job(os.listdir, people)

    await hass.config_entries.async_remove(entry.entry_id)

    assert not await hass.async_add_executor_job(os.listdir, people)
