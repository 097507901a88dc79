"""Ringing without going to the door, checking the gallery, and syncing the engine with it."""

from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.components.persistent_notification import async_create
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .check_report import async_check_report, async_sync_report
from .const import DOMAIN, EntryKind
from .entity import DoorbellEntity, RecognitionEntity
from .entries import AnyEntry, kind, rule
from .errors import recognition_error_text
from .recognition.errors import RecognitionError

PARALLEL_UPDATES: Final = 0  # the bridge takes commands as they come

TEST_RING: Final = ButtonEntityDescription(
    key="test_ring", translation_key="test_ring", entity_category=EntityCategory.DIAGNOSTIC
)
CHECK_GALLERY: Final = ButtonEntityDescription(
    key="check_gallery", translation_key="check_gallery", entity_category=EntityCategory.DIAGNOSTIC
)
SYNC: Final = ButtonEntityDescription(
    key="sync_people", translation_key="sync_people", entity_category=EntityCategory.DIAGNOSTIC
)


async def async_setup_entry(
    hass: HomeAssistant, entry: AnyEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the button of a doorbell, or of face recognition."""
    match kind(entry):
        case EntryKind.DOORBELL:
            async_add_entities([RingButton(entry.runtime_data, TEST_RING)])
        case EntryKind.RECOGNITION:
            async_add_entities([CheckGalleryButton(entry, CHECK_GALLERY), SyncButton(entry, SYNC)])


class RingButton(DoorbellEntity, ButtonEntity):
    """Rings as the button at the door does; the visit is marked as a test."""

    @override
    async def async_press(self) -> None:
        await self.coordinator.async_press()


class CheckGalleryButton(RecognitionEntity, ButtonEntity):
    """Compares all photos of all persons, and notifies of what was found."""

    @override
    async def async_press(self) -> None:
        current = rule(self.entry)
        try:
            check = await self.entry.runtime_data.check(current)
        except RecognitionError as err:
            raise HomeAssistantError(**recognition_error_text(err)) from err
        title, text = await async_check_report(self.hass, check, current)
        async_create(self.hass, text, title, notification_id=f"{DOMAIN}_check_gallery")


class SyncButton(RecognitionEntity, ButtonEntity):
    """Makes the engine's index what the gallery is, and notifies of what has changed."""

    @override
    async def async_press(self) -> None:
        try:
            report = await self.entry.runtime_data.sync()
        except RecognitionError as err:
            raise HomeAssistantError(**recognition_error_text(err)) from err
        title, text = await async_sync_report(self.hass, report)
        async_create(self.hass, text, title, notification_id=f"{DOMAIN}_sync_people")
