"""The picture of the last visitor."""

from datetime import datetime
from typing import Final, override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import DoorbellCoordinator
from .entity import VisitEntity
from .entries import DoorbellEntry
from .visits import Visit, VisitFilter

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

LAST_VISITOR: Final = ImageEntityDescription(key="last_visitor_picture", translation_key="last_visitor")


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the image of a doorbell."""
    async_add_entities([LastVisitorImage(hass, entry.runtime_data)])


class LastVisitorImage(VisitEntity, ImageEntity):
    """The picture that decided the last visit of which there is one."""

    _attr_content_type = "image/jpeg"

    def __init__(self, hass: HomeAssistant, coordinator: DoorbellCoordinator) -> None:
        # The two bases take different arguments.
        VisitEntity.__init__(self, coordinator, LAST_VISITOR)
        ImageEntity.__init__(self, hass)

    @property
    def _seen(self) -> Visit | None:
        visits = self.coordinator.visits.newest_first(VisitFilter(doorbell_id=self.coordinator.doorbell_id))
        return next((visit for visit in visits if visit.picture is not None), None)

    @property
    @override
    def image_last_updated(self) -> datetime | None:
        seen = self._seen
        return seen.at if seen else None

    @override
    async def async_image(self) -> bytes | None:
        seen = self._seen
        if seen is None or seen.picture is None:
            return None
        return await self.coordinator.visits.async_picture(seen.visit_id, seen.picture)
