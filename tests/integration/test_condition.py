"""Conditions on the last visitor and on recognition, and the switch that pauses it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from freezegun import freeze_time
from homeassistant.core import CoreState, HomeAssistant, State
from homeassistant.helpers import condition
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import mock_restore_cache

from custom_components.face_doorbell.visits import VISITS
from tests.bridge.doubles import RunningBridge

from .helpers import (
    DOORBELL,
    LAST_VISITOR,
    STRANGER,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    known,
    state,
    until_acked,
)

PERSONS = {"ann-1": "Ann", "bob-1": "Bob"}
RECOGNITION = "switch.front_door_recognition"


async def holds(
    hass: HomeAssistant, key: str, target: Mapping[str, Any] | None = None, **options: Any
) -> bool:
    """Return what a condition of ours says now."""
    assert await async_setup_component(hass, "homeassistant", {})
    config = {
        "condition": f"face_doorbell.{key}",
        "target": target or {"entity_id": DOORBELL},
        "options": options,
    }
    checker = await condition.async_from_config(
        hass, await condition.async_validate_condition_config(hass, config)
    )
    return bool(checker.async_check())


async def test_nobody_was_the_last_visitor_yet(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)

    assert not await holds(hass, "is_last_visitor")


async def test_who_the_last_visitor_was(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")], [STRANGER]]), PERSONS)
    await add_doorbell(hass, bridge)

    bridge.press()
    await until_acked(bridge)

    assert await holds(hass, "is_last_visitor")
    assert await holds(hass, "is_last_visitor", persons=["Bob", "ann"])
    assert not await holds(hass, "is_last_visitor", persons=["Bob"])
    assert await holds(hass, "is_last_visitor", outcome=["recognized", "failed"])
    assert not await holds(hass, "is_last_visitor", outcome="unknown")
    assert not await holds(hass, "is_last_visitor", {"entity_id": "event.back_door_doorbell"})

    bridge.press()
    await until_acked(bridge)

    assert await holds(hass, "is_last_visitor", outcome="unknown")
    assert not await holds(hass, "is_last_visitor", persons=["Ann"])


async def test_how_long_ago_the_last_visitor_was(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), PERSONS)
    await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)
    (visit,) = hass.data[VISITS].newest_first()

    with freeze_time(visit.at + timedelta(minutes=4)):
        assert await holds(hass, "is_last_visitor", within={"minutes": 5})
    with freeze_time(visit.at + timedelta(minutes=6)):
        assert not await holds(hass, "is_last_visitor", within={"minutes": 5})


async def test_recognition_is_paused_by_its_switch(hass: HomeAssistant, bridge: RunningBridge) -> None:
    engine = ScriptedEngine([[known("ann-1")]])
    await add_recognition(hass, engine, PERSONS)
    await add_doorbell(hass, bridge)
    assert await holds(hass, "is_recognition_on")

    await hass.services.async_call("switch", "turn_off", {"entity_id": RECOGNITION}, blocking=True)
    bridge.press()
    await until_acked(bridge)

    assert state(hass, RECOGNITION).state == "off"
    assert not await holds(hass, "is_recognition_on")
    assert state(hass, DOORBELL).attributes["event_type"] == "ring"
    assert state(hass, LAST_VISITOR).state == "visitor"
    assert not engine.asked

    await hass.services.async_call("switch", "turn_on", {"entity_id": RECOGNITION}, blocking=True)
    bridge.press()
    await until_acked(bridge)

    assert await holds(hass, "is_recognition_on")
    assert state(hass, LAST_VISITOR).state == "Ann"


@pytest.mark.parametrize("was", ["off", "on"])
async def test_the_switch_stays_over_a_restart(hass: HomeAssistant, bridge: RunningBridge, was: str) -> None:
    hass.set_state(CoreState.starting)
    mock_restore_cache(hass, [State(RECOGNITION, was)])

    await add_doorbell(hass, bridge)

    assert state(hass, RECOGNITION).state == was
