"""The picture of the last visitor, and the last one of a person."""

from datetime import datetime
from typing import Final, override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EntryKind
from .coordinator import DoorbellCoordinator
from .entity import PersonEntity, VisitEntity, person_entities
from .entries import AnyEntry, RecognitionEntry, kind
from .recognition.errors import PersonError
from .recognition.gallery import Photo
from .visits import PICTURES, Visit, VisitFilter

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

LAST_VISITOR: Final = ImageEntityDescription(key="last_visitor_picture", translation_key="last_visitor")


LAST_PICTURE: Final = ImageEntityDescription(key="last_picture", translation_key="last_picture")


async def async_setup_entry(
    hass: HomeAssistant, entry: AnyEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the image of a doorbell, or those of the persons."""
    match kind(entry):
        case EntryKind.DOORBELL:
            async_add_entities([LastVisitorImage(hass, entry.runtime_data)])
        case EntryKind.RECOGNITION:
            for entity, subentry_id in person_entities(
                hass, entry, lambda person, last: LastPictureImage(hass, entry, person, last)
            ):
                async_add_entities([entity], config_subentry_id=subentry_id)


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


class LastPictureImage(PersonEntity, ImageEntity):
    """The face of a person at the last visit, or the newest photo of a person who has not been here."""

    _attr_content_type = "image/jpeg"

    def __init__(
        self, hass: HomeAssistant, entry: RecognitionEntry, subentry: ConfigSubentry, last: Visit | None
    ) -> None:
        # The two bases take different arguments.
        PersonEntity.__init__(self, subentry, LAST_PICTURE, last)
        ImageEntity.__init__(self, hass)
        self._recognizer = entry.runtime_data

    @property
    def _newest_photo(self) -> Photo | None:
        try:
            photos = self._recognizer.person(self.person_id).photos
        except PersonError:
            return None
        return photos[-1] if photos else None

    @property
    @override
    def image_last_updated(self) -> datetime | None:
        if self.last_visit:
            return self.last_visit.at
        photo = self._newest_photo
        return photo.added if photo else None

    @override
    async def async_image(self) -> bytes | None:
        if visit := self.last_visit:
            people = [face.person_id for face in visit.faces]
            return await self.hass.data[PICTURES].async_face(visit.visit_id, people.index(self.person_id))
        photo = self._newest_photo
        return await self._recognizer.photo(self.person_id, photo.id) if photo else None
