"""The buzzer at the door."""

from typing import Any, Final, override

from homeassistant.components.siren import SirenEntity, SirenEntityDescription
from homeassistant.components.siren.const import ATTR_DURATION, ATTR_TONE, SirenEntityFeature
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge import Output, Pattern
from .const import DOMAIN
from .entity import OutputEntity
from .entries import DoorbellEntry

PARALLEL_UPDATES: Final = 0  # the bridge takes commands as they come

LONGEST_S: Final = 60  # the bridge lets the buzzer sound no longer

BUZZER: Final = SirenEntityDescription(key="buzzer", translation_key="buzzer")


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the buzzer of a doorbell."""
    async_add_entities([Buzzer(entry.runtime_data, BUZZER)])


class Buzzer(OutputEntity, SirenEntity):
    """The buzzer; without a duration it sounds as long as the bridge allows."""

    _attr_supported_features = (
        SirenEntityFeature.TURN_ON
        | SirenEntityFeature.TURN_OFF
        | SirenEntityFeature.TONES
        | SirenEntityFeature.DURATION
    )
    output = Output.BUZZER

    @property
    @override
    def available_tones(self) -> list[int | str]:
        """Whatever the buzzer that is wired can play."""
        return [tone for tone in self.coordinator.tones if tone != Pattern.OFF]

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        duration: int = kwargs.get(ATTR_DURATION, LONGEST_S)
        if not 0 < duration <= LONGEST_S:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="buzzer_duration",
                translation_placeholders={"limit": str(LONGEST_S)},
            )
        await self.coordinator.async_do(self.output, kwargs.get(ATTR_TONE, Pattern.ON), duration * 1000)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.coordinator.async_do(self.output, Pattern.OFF)
