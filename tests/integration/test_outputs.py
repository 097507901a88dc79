"""LEDs, buzzer and test ring: what Home Assistant does at the door, as seen on the bridge's panel."""

from typing import Any

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from custom_components.face_doorbell.bridge import BridgeRefusedError, Connection
from pi_bridge.model import Output, Pattern
from tests.bridge.doubles import RunningBridge

from .helpers import BUZZER, DOORBELL, GREEN, RED, TEST_RING, add_doorbell, change, state


async def call(hass: HomeAssistant, entity_id: str, action: str, **data: Any) -> None:
    """Call an action of the entity's own domain."""
    domain = entity_id.split(".", maxsplit=1)[0]
    await hass.services.async_call(domain, action, {ATTR_ENTITY_ID: entity_id, **data}, blocking=True)


def playing(bridge: RunningBridge) -> dict[str, str]:
    """Return what plays on the bridge."""
    outputs = bridge.running.bridge.outputs.playing
    return {output: pattern for output, pattern in outputs.items() if pattern is not Pattern.OFF}


@pytest.mark.parametrize(("entity_id", "output"), [(GREEN, Output.GREEN), (RED, Output.RED)])
async def test_an_led_goes_on_and_off(
    hass: HomeAssistant, bridge: RunningBridge, entity_id: str, output: Output
) -> None:
    await add_doorbell(hass, bridge)

    async with change(hass, entity_id) as changed:
        await call(hass, entity_id, "turn_on")
        assert (await changed).state == "on"
    assert bridge.panel.is_lit(output)
    assert state(hass, entity_id).attributes["effect"] == "off"

    async with change(hass, entity_id) as changed:
        await call(hass, entity_id, "turn_off")
        assert (await changed).state == "off"
    assert not bridge.panel.is_lit(output)


@pytest.mark.parametrize("effect", ["blink", "fast", "double"])
async def test_an_led_plays_an_effect(hass: HomeAssistant, bridge: RunningBridge, effect: str) -> None:
    await add_doorbell(hass, bridge)

    async with change(hass, GREEN) as changed:
        await call(hass, GREEN, "turn_on", effect=effect)
        assert (await changed).attributes["effect"] == effect
    assert playing(bridge) == {Output.GREEN: effect}

    await call(hass, GREEN, "turn_on", effect="off")
    assert playing(bridge) == {Output.GREEN: Pattern.ON}


async def test_the_buzzer_sounds_with_a_tone_for_a_time(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)

    async with change(hass, BUZZER) as changed:
        await call(hass, BUZZER, "turn_on", tone="double", duration=1)
        assert (await changed).state == "on"
    assert playing(bridge) == {Output.BUZZER: Pattern.DOUBLE}
    async with change(hass, BUZZER) as changed:
        assert (await changed).state == "off"


async def test_the_buzzer_can_be_silenced(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    await call(hass, BUZZER, "turn_on")
    assert playing(bridge) == {Output.BUZZER: Pattern.ON}

    await call(hass, BUZZER, "turn_off")

    assert playing(bridge) == {}


async def test_the_buzzer_refuses_to_sound_for_long(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)

    with pytest.raises(ServiceValidationError) as refused:
        await call(hass, BUZZER, "turn_on", duration=61)

    assert refused.value.translation_key == "buzzer_duration"
    assert playing(bridge) == {}


async def test_a_test_ring_is_a_ring(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)

    async with change(hass, DOORBELL) as rang:
        await call(hass, TEST_RING, "press")
        ring = await rang

    assert ring.attributes["event_type"] == "ring"
    assert ring.attributes["test"]


async def test_a_refusal_is_told(
    hass: HomeAssistant, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_doorbell(hass, bridge)

    async def refuse(self: Connection) -> None:
        raise BridgeRefusedError("busy")

    monkeypatch.setattr(Connection, "press", refuse)

    with pytest.raises(HomeAssistantError) as refused:
        await call(hass, TEST_RING, "press")

    assert refused.value.translation_key == "bridge_refused"
    assert str(refused.value) == "Front door refused this (busy)"
