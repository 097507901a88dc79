"""Diagnostics: enough to find a fault, and nothing that must stay at home."""

import json

from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from tests.bridge.doubles import RunningBridge

from .helpers import VISITOR, ScriptedEngine, add_doorbell, add_recognition, known, state, until_acked


@pytest.fixture(autouse=True)
async def diagnostics(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "diagnostics", {})


async def test_a_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    entry = await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)

    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    assert isinstance(told, dict)
    assert told["connected"] is True
    assert told["bridge"]["camera"] == "ok"
    assert told["health"]["pending"] == 0
    assert told["outcomes"] == {"recognized": 1}
    (visit,) = told["last_visits"]
    assert visit["timings"]["decision"] >= 0
    secrets = [
        entry.data[CONF_TOKEN],
        bridge.fingerprint,
        bridge.bridge_id,
        bridge.host,
        "Ann",
        "ann-1",
        state(hass, VISITOR).attributes["visit_id"],
    ]
    assert not [secret for secret in secrets if secret in json.dumps(told)]


async def test_a_doorbell_that_is_away(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    entry = await add_doorbell(hass, bridge)
    await bridge.stop()

    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    assert isinstance(told, dict)
    assert told["health"] == {"error": "BridgeConnectionError"}


async def test_recognition(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    secrets = {"access_key_id": "AKIA-1", "secret_access_key": "secret-2", "bucket": "our-faces-3"}
    entry = await add_recognition(hass, ScriptedEngine(), {"ann-1": "Ann"}, **secrets)

    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    assert isinstance(told, dict)
    assert told["engine"] == "scripted"
    assert told["in_sync"] is True
    assert told["photos_of_each_person"] == [0]
    assert told["visits"]["kept"] == {"visits": 0, "size": 0, "oldest": None}
    assert told["visits"]["limits"]["visits"] == 2000
    assert not [secret for secret in [*secrets.values(), "Ann"] if secret in json.dumps(told)]
