"""Ringing without going to the door."""

from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import DoorbellEntity
from .entries import DoorbellEntry

PARALLEL_UPDATES: Final = 0  # the bridge takes commands as they come

TEST_RING: Final = ButtonEntityDescription(
    key="test_ring", translation_key="test_ring", entity_category=EntityCategory.DIAGNOSTIC
)


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the button of a doorbell."""
    async_add_entities([RingButton(entry.runtime_data, TEST_RING)])


class RingButton(DoorbellEntity, ButtonEntity):
    """Rings as the button at the door does; the visit is marked as a test."""

    @override
    async def async_press(self) -> None:
        await self.coordinator.async_press()
