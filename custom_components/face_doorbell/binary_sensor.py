"""Whether the last visitor was somebody known."""

from typing import Any, Final, override

from homeassistant.components.binary_sensor import BinarySensorEntity, BinarySensorEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import VisitEntity
from .entries import DoorbellEntry
from .model import Outcome

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

RECOGNIZED: Final = BinarySensorEntityDescription(key="recognized", translation_key="recognized")

# An error says nothing about the visitor: the state is unknown then.
STATES: Final = {Outcome.RECOGNIZED: True, Outcome.UNKNOWN: False, Outcome.NO_FACE: False}


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor of a doorbell."""
    async_add_entities([RecognizedSensor(entry.runtime_data, RECOGNIZED)])


class RecognizedSensor(VisitEntity, BinarySensorEntity):
    """On when somebody known was among the last visitors."""

    _unrecorded_attributes = frozenset({"names"})

    @property
    @override
    def is_on(self) -> bool | None:
        visit = self.visit
        if visit is None or visit.outcome is None:
            return None
        # Who was named or recognized too late has gone: nothing is to be welcomed or opened for that.
        if visit.outcome is Outcome.RECOGNIZED and (visit.late or not visit.recognized):
            return False
        return STATES.get(visit.outcome)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        visit = self.visit
        return {"visit_id": visit.visit_id, "names": visit.names} if visit else None
