"""The LEDs at the door."""

from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.light import LightEntity, LightEntityDescription
from homeassistant.components.light.const import ATTR_EFFECT, EFFECT_OFF, ColorMode, LightEntityFeature
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge import Output, Pattern
from .coordinator import DoorbellCoordinator
from .entity import OutputEntity
from .entries import DoorbellEntry

PARALLEL_UPDATES: Final = 0  # the bridge takes commands as they come

LONGEST_MS: Final = 3_600_000  # outputs always expire on the Pi, and this is the longest that it allows

EFFECTS: Final = (Pattern.BLINK, Pattern.FAST, Pattern.DOUBLE)


@dataclass(frozen=True, kw_only=True)
class LedDescription(LightEntityDescription):
    """Describes an LED."""

    output: Output


LEDS: Final = (
    LedDescription(key="green_led", translation_key="green_led", output=Output.GREEN),
    LedDescription(key="red_led", translation_key="red_led", output=Output.RED),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the LEDs of a doorbell."""
    async_add_entities(Led(entry.runtime_data, description) for description in LEDS)


class Led(OutputEntity, LightEntity):
    """An LED, on for an hour at most."""

    _attr_color_mode = ColorMode.ONOFF
    _attr_supported_color_modes = {ColorMode.ONOFF}  # noqa: RUF012 - Home Assistant types it as a set
    _attr_supported_features = LightEntityFeature.EFFECT
    _attr_effect_list = [EFFECT_OFF, *EFFECTS]  # noqa: RUF012 - Home Assistant types it as a list

    def __init__(self, coordinator: DoorbellCoordinator, description: LedDescription) -> None:
        super().__init__(coordinator, description)
        self.output = description.output

    @property
    @override
    def effect(self) -> str:
        return self.pattern if self.pattern in EFFECTS else EFFECT_OFF

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        effect = kwargs.get(ATTR_EFFECT, EFFECT_OFF)
        pattern = Pattern.ON if effect == EFFECT_OFF else Pattern(effect)
        await self.coordinator.async_do(self.output, pattern, LONGEST_MS)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.coordinator.async_do(self.output, Pattern.OFF)
