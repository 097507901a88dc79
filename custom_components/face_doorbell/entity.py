"""What all entities of a doorbell, those of a person and those of the recognition have in common."""

from collections.abc import Callable, Iterator
from typing import override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .bridge import Output, Pattern
from .const import CONF_PERSON_ENTITY, CONF_PERSON_ID, DOMAIN, MANUFACTURER, SUBENTRY_PERSON
from .coordinator import DoorbellCoordinator
from .entries import RecognitionEntry
from .visits import VISITS, Visit, VisitChange, VisitFilter


class DoorbellEntity(CoordinatorEntity[DoorbellCoordinator]):
    """Something at the door; unavailable while the bridge is."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: DoorbellCoordinator, description: EntityDescription) -> None:
        """Belong to the doorbell, whose device the coordinator keeps up to date."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.doorbell_id}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, coordinator.doorbell_id)})


class VisitEntity(DoorbellEntity):
    """Something that Home Assistant knows of the visits, whether the bridge is there or not."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    def visit(self) -> Visit | None:
        """The last visit."""
        return self.coordinator.data.last_visit


class RecognitionEntity(Entity):
    """Something of the recognition itself."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: RecognitionEntry, description: EntityDescription) -> None:
        """Belong to the recognition, whose device the entry's set-up makes."""
        self.entry = entry
        self.entity_description = description
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, entry.entry_id)})


class PersonEntity(Entity):
    """Something that Home Assistant knows of a person."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, subentry: ConfigSubentry, description: EntityDescription, last_visit: Visit | None
    ) -> None:
        """Belong to the person of a subentry, who is a device."""
        self.entity_description = description
        self.person_id: str = subentry.data[CONF_PERSON_ID]
        self.person_entity: str | None = subentry.data.get(CONF_PERSON_ENTITY)
        self.last_visit = last_visit
        self._attr_unique_id = f"{self.person_id}_{description.key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, self.person_id)},
            name=subentry.title,
            manufacturer=MANUFACTURER,
            entry_type=DeviceEntryType.SERVICE,
        )

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.hass.data[VISITS].async_subscribe(self._visits_changed))

    @callback
    def _visits_changed(self, change: VisitChange) -> None:
        """Look for the last visit again if this may be another one now."""
        visit, last = change.visit, self.last_visit
        shown = last is not None and last.visit_id == visit.visit_id
        if shown or any(face.person_id == self.person_id for face in visit.faces):
            mine = self.hass.data[VISITS].newest_first(VisitFilter(person_id=self.person_id))
            self.last_visit = next(mine, None)
            # Thousands of visits may go at once, and most of them nobody sees.
            if self.last_visit != last:
                self.async_write_ha_state()


def person_entities(
    hass: HomeAssistant,
    entry: RecognitionEntry,
    make: Callable[[ConfigSubentry, Visit | None], Entity],
) -> Iterator[tuple[Entity, str]]:
    """Yield an entity for each person, and the subentry that it belongs to."""
    last_visits = hass.data[VISITS].last_visits()
    for subentry in entry.get_subentries_of_type(SUBENTRY_PERSON):
        yield make(subentry, last_visits.get(subentry.data[CONF_PERSON_ID])), subentry.subentry_id


class OutputEntity(DoorbellEntity):
    """An output of the panel."""

    output: Output

    @property
    def pattern(self) -> Pattern:
        """What plays now."""
        return self.coordinator.data.bridge.outputs.get(self.output, Pattern.OFF)

    @property
    def is_on(self) -> bool:
        """Whether something plays."""
        return self.pattern is not Pattern.OFF
