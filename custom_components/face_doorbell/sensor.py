"""Who the last visitor was, in the words of the household."""

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity, SensorEntityDescription
from homeassistant.const import MAX_LENGTH_STATE_STATE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import VisitEntity
from .entries import DoorbellEntry
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


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor of a doorbell."""
    async_add_entities([LastVisitorSensor(entry.runtime_data, LAST_VISITOR)])


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
