"""The two events of a press: the ring at once, and who it was when the engine has answered."""

from typing import Final, override

from homeassistant.components.event import (
    DoorbellEventType,
    EventDeviceClass,
    EventEntity,
    EventEntityDescription,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import Rang
from .entity import DoorbellEntity, VisitEntity
from .entries import DoorbellEntry, certainty
from .model import Outcome
from .visits import Visit

PARALLEL_UPDATES: Final = 0  # nothing is polled or sent

# A ring that is too old to answer has a type of its own, so that no chime takes it for a visitor at the door.
MISSED: Final = "missed"

DOORBELL: Final = EventEntityDescription(
    key="doorbell",
    translation_key="doorbell",
    device_class=EventDeviceClass.DOORBELL,
    event_types=[DoorbellEventType.RING, MISSED],
)
VISITOR: Final = EventEntityDescription(key="visitor", translation_key="visitor", event_types=list(Outcome))


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the events of a doorbell."""
    coordinator = entry.runtime_data
    async_add_entities([DoorbellEvent(coordinator, DOORBELL), VisitorEvent(coordinator, VISITOR)])


class DoorbellEvent(DoorbellEntity, EventEntity):
    """Somebody rings."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_add_ring_listener(self._rang))

    @callback
    def _rang(self, rang: Rang) -> None:
        ring = rang.ring
        self._trigger_event(
            MISSED if rang.missed else DoorbellEventType.RING,
            {
                "visit_id": rang.visit_id,
                "ring_id": ring.ring_id,
                "age_ms": ring.age_ms,
                "replay": ring.replay,
                "test": ring.test,
            },
        )
        self.async_write_ha_state()


class VisitorEvent(VisitEntity, EventEntity):
    """The engine has answered who it was."""

    _unrecorded_attributes = frozenset({"names", "person_ids", "similarity", "certainty"})

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_add_visit_listener(self._visited))

    @callback
    def _visited(self, visit: Visit) -> None:
        if visit.outcome is None:
            return
        similarity = visit.similarity
        self._trigger_event(
            visit.outcome,
            {
                "visit_id": visit.visit_id,
                "names": visit.names,
                "person_ids": [face.person_id for face in visit.known],
                "similarity": None if similarity is None else round(similarity, 1),
                "certainty": certainty(self.hass, visit),
                "unknown_faces": visit.strangers,
                "decision_ms": visit.timings.decision,
                "reason": visit.reason,
                "engine": visit.engine,
                "fallback": visit.fallback,
            },
        )
        self.async_write_ha_state()
