"""Whether faces are recognized at a door."""

from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import STATE_OFF
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import RestoreEntity

from .entity import VisitEntity
from .entries import DoorbellEntry

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

RECOGNITION: Final = SwitchEntityDescription(key="recognition", translation_key="recognition")


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the switch of a doorbell."""
    async_add_entities([RecognitionSwitch(entry.runtime_data, RECOGNITION)])


class RecognitionSwitch(VisitEntity, SwitchEntity, RestoreEntity):
    """Off: the door rings, and nobody is asked who it is."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        last = await self.async_get_last_state()
        self.coordinator.recognizing = last is None or last.state != STATE_OFF

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.recognizing

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        self._switch(on=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        self.coordinator.recognizing = on
        self.async_write_ha_state()
