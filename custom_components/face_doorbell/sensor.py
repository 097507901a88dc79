"""Who the last visitor was and how long that took, when a person was last seen, and what AWS costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from math import ceil
from typing import Any, Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .budget import BUDGET, Budget
from .const import CONF_ENGINE, ENGINE_REKOGNITION, EntryKind
from .entity import PersonEntity, RecognitionEntity, VisitEntity, person_entities
from .entries import AnyEntry, RecognitionEntry, doorbell_name, kind
from .model import Outcome
from .recognition import prices
from .recognition.usage import MonthUsage
from .visits import Timings, Visit, VisitFilter

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


@dataclass(frozen=True, kw_only=True)
class UsageDescription(SensorEntityDescription):
    """A number of this month's calls."""

    value: Callable[[MonthUsage], float]
    details: Callable[[MonthUsage], dict[str, Any]]


def _timing(step: str, *, shown: bool = False) -> SensorEntityDescription:
    return SensorEntityDescription(
        key=f"time_{step}",
        translation_key=f"time_{step}",
        device_class=SensorDeviceClass.DURATION,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=shown,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
    )


# For each step of `Timings`; the decision is what the household waits for.
TIMINGS: Final = tuple(_timing(step.name, shown=step.name == "decision") for step in fields(Timings))
RECENT: Final = 50  # visits that the percentiles are of

USAGE: Final = (
    UsageDescription(
        key="calls",
        translation_key="calls",
        state_class=SensorStateClass.TOTAL,
        value=lambda month: sum(month.calls.values()),
        details=lambda month: {"by_kind": dict(month.calls)},
    ),
    UsageDescription(
        key="cost",
        translation_key="cost",
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        native_unit_of_measurement=prices.CURRENCY,
        suggested_display_precision=2,
        value=lambda month: round(month.cost, 4),
        details=lambda _month: {"prices_of": prices.REGION, "prices_as_of": prices.AS_OF.isoformat()},
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: AnyEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor of a doorbell, or those of the recognition and its persons."""
    match kind(entry):
        case EntryKind.DOORBELL:
            coordinator = entry.runtime_data
            async_add_entities([LastVisitorSensor(coordinator, LAST_VISITOR)])
            async_add_entities(TimingSensor(coordinator, description) for description in TIMINGS)
        case EntryKind.RECOGNITION:
            if entry.data[CONF_ENGINE] == ENGINE_REKOGNITION:
                budget = hass.data[BUDGET]
                async_add_entities([UsageSensor(entry, description, budget) for description in USAGE])
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


class TimingSensor(VisitEntity, SensorEntity):
    """How long after the press a step was taken, at the last visit and usually."""

    _unrecorded_attributes = frozenset({"p50", "p95", "visits"})

    @property
    def _step(self) -> str:
        return self.entity_description.key.removeprefix("time_")

    @property
    @override
    def native_value(self) -> int | None:
        return self._time(self.visit) if self.visit else None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        mine = VisitFilter(doorbell_id=self.coordinator.doorbell_id)
        answered = (visit for visit in self.coordinator.visits.newest_first(mine) if not visit.missed)
        times = sorted(time for visit in islice(answered, RECENT) if (time := self._time(visit)) is not None)
        return {"p50": _percentile(times, 50), "p95": _percentile(times, 95), "visits": len(times)}

    def _time(self, visit: Visit) -> int | None:
        time: int | None = getattr(visit.timings, self._step)
        return time


def _percentile(times: Sequence[int], percent: int) -> int | None:
    """Return the time that so many percent of the (sorted) times do not exceed."""
    return times[ceil(len(times) * percent / 100) - 1] if times else None


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


class UsageSensor(RecognitionEntity, SensorEntity):
    """What AWS was asked this month, which begins at midnight UTC as on its bill."""

    entity_description: UsageDescription

    def __init__(self, entry: RecognitionEntry, description: UsageDescription, budget: Budget) -> None:
        """Show what the budget counts."""
        super().__init__(entry, description)
        self._budget = budget

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._budget.async_subscribe(self.async_write_ha_state))

    @property
    def _month(self) -> MonthUsage:
        return self._budget.usage.month

    @property
    @override
    def native_value(self) -> float:
        return self.entity_description.value(self._month)

    @property
    @override
    def last_reset(self) -> datetime:
        return datetime.fromisoformat(f"{self._month.month}-01T00:00:00+00:00")

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        return self.entity_description.details(self._month) | {"budget": self._budget.usage.budget}
