"""How much a face has to be like a person: changes the option, and counts from the next visitor on."""

from typing import Final, override

from homeassistant.components.number import NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.const import PERCENTAGE, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_THRESHOLD
from .entity import RecognitionEntity
from .entries import RecognitionEntry, rule
from .recognition.decision import LEAST_THRESHOLD

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

THRESHOLD: Final = NumberEntityDescription(
    key="threshold",
    translation_key="threshold",
    entity_category=EntityCategory.CONFIG,
    mode=NumberMode.SLIDER,
    native_min_value=LEAST_THRESHOLD,
    native_max_value=100,
    native_step=0.5,
    native_unit_of_measurement=PERCENTAGE,
)


async def async_setup_entry(
    hass: HomeAssistant, entry: RecognitionEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the number of the recognition."""
    async_add_entities([ThresholdNumber(entry, THRESHOLD)])


class ThresholdNumber(RecognitionEntity, NumberEntity):
    """The least similarity of a person."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.entry.add_update_listener(self._options_changed))

    @property
    @override
    def native_value(self) -> float:
        return rule(self.entry).threshold

    @override
    async def async_set_native_value(self, value: float) -> None:
        options = {**self.entry.options, CONF_THRESHOLD: value}
        self.hass.config_entries.async_update_entry(self.entry, options=options)

    async def _options_changed(self, _hass: HomeAssistant, _entry: RecognitionEntry) -> None:
        self.async_write_ha_state()
