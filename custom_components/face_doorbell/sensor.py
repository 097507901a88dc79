"""Who the last visitor was, in the words of the household, and when a person was last seen."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorEntityDescription
from homeassistant.const import MAX_LENGTH_STATE_STATE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EntryKind
from .entity import PersonEntity, VisitEntity, person_entities
from .entries import AnyEntry, doorbell_name, kind
from .model import Outcome

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

LAST_VISITOR: Final = SensorEntityDescription(key="last_visitor", translation_key="last_visitor")

# What to say where there is no name; `unknown` itself means in Home Assistant that there is no state.
NOBODY_KNOWN: Final[Mapping[Outcome | None, str]] = {
    Outcome.UNKNOWN: "unknown_visitor",
    Outcome.NO_FACE: "no_face",
    Outcome.FAILED: "failed",
    None: "visitor",
}


LAST_SEEN: Final = SensorEntityDescription(
    key="last_seen", translation_key="last_seen", device_class=SensorDeviceClass.TIMESTAMP
)


async def async_setup_entry(
    hass: HomeAssistant, entry: AnyEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor of a doorbell, or those of the persons."""
    match kind(entry):
        case EntryKind.DOORBELL:
            async_add_entities([LastVisitorSensor(entry.runtime_data, LAST_VISITOR)])
        case EntryKind.RECOGNITION:
            for entity, subentry_id in person_entities(
                hass, entry, lambda person, last: LastSeenSensor(person, LAST_SEEN, last)
            ):
                async_add_entities([entity], config_subentry_id=subentry_id)


class LastVisitorSensor(VisitEntity, SensorEntity):
    """The names of the last visitors, or why there are none."""

    @property
    @override
    def native_value(self) -> str | None:
        visit = self.visit
        if visit is None:
            return None
        return ", ".join(visit.names)[:MAX_LENGTH_STATE_STATE] or NOBODY_KNOWN[visit.outcome]

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        visit = self.visit
        if visit is None:
            return None
        return {
            "visit_id": visit.visit_id,
            "at": visit.at.isoformat(),
            "missed": visit.missed,
            "unknown_faces": visit.strangers,
        }


class LastSeenSensor(PersonEntity, SensorEntity):
    """When a person was last at a door."""

    @property
    @override
    def native_value(self) -> datetime | None:
        return self.last_visit.at if self.last_visit else None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        visit = self.last_visit
        return {
            "visit_id": visit.visit_id if visit else None,
            "doorbell": doorbell_name(self.hass, visit.doorbell_id) if visit else None,
            "person": self.person_entity,
        }
