"""Conditions: who was there last, and whether faces are being recognized."""

import abc
from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar, Final, Unpack, cast, override

from homeassistant.const import CONF_ID, CONF_OPTIONS, CONF_TARGET
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.condition import Condition, ConditionCheckParams, ConditionConfig
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import DOMAIN, EntryKind
from .entries import DoorbellEntry, doorbell_entries, kind
from .model import Outcome
from .targets import CONF_PERSONS, PERSONS, meant, targeted_entry_ids
from .visits import VISITS, Visit, VisitFilter

CONF_OUTCOME: Final = "outcome"
CONF_WITHIN: Final = "within"


class DoorCondition(Condition):
    """Something is so at one of the doors."""

    schema: ClassVar[vol.Schema] = vol.Schema(
        {vol.Required(CONF_TARGET): cv.TARGET_FIELDS, vol.Optional(CONF_OPTIONS, default=dict): {}}
    )

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        return cast(ConfigType, cls.schema(config))

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Keep the options and the target, which is looked up at each check."""
        super().__init__(hass, config)
        self._options = config.options or {}
        self._target = config.target or {}

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        return any(self.holds(door) for door in self._doors())

    @abc.abstractmethod
    def holds(self, door: DoorbellEntry) -> bool:
        """Return whether it is so at this door."""

    def _doors(self) -> Iterator[DoorbellEntry]:
        targeted = targeted_entry_ids(self._hass, self._target)
        for entry in self._hass.config_entries.async_entries(DOMAIN):
            if entry.entry_id in targeted and kind(entry) is EntryKind.DOORBELL:
                yield entry


class LastVisitorCondition(DoorCondition):
    """The last visitor was one of these, not too long ago."""

    schema = vol.Schema(
        {
            vol.Required(CONF_TARGET): cv.TARGET_FIELDS,
            vol.Optional(CONF_OPTIONS, default=dict): {
                **PERSONS,
                vol.Optional(CONF_OUTCOME, default=list): vol.All(cv.ensure_list, [vol.Coerce(Outcome)]),
                vol.Optional(CONF_WITHIN): cv.positive_time_period,
            },
        }
    )

    @override
    def holds(self, door: DoorbellEntry) -> bool:
        visits = self._hass.data[VISITS].newest_first(VisitFilter(doorbell_id=door.data[CONF_ID]))
        visit = next(visits, None)
        return visit is not None and self._matches(visit)

    def _matches(self, visit: Visit) -> bool:
        outcomes, persons = self._options[CONF_OUTCOME], self._options[CONF_PERSONS]
        within: timedelta | None = self._options.get(CONF_WITHIN)
        # As it was at the ring: a name that was given later welcomes nobody and opens no door.
        named = visit.outcome is Outcome.RECOGNIZED and not visit.recognized
        outcome = Outcome.UNKNOWN if named else visit.outcome
        return (
            (not outcomes or outcome in outcomes)
            and (not persons or bool(meant(self._hass, persons, visit.recognized)))
            and (not within or dt_util.utcnow() - visit.at <= within)
        )


class RecognitionOnCondition(DoorCondition):
    """Faces are being recognized."""

    @override
    def holds(self, door: DoorbellEntry) -> bool:
        return door in doorbell_entries(self._hass) and door.runtime_data.recognizing


CONDITIONS: Final[dict[str, type[Condition]]] = {
    "is_last_visitor": LastVisitorCondition,
    "is_recognition_on": RecognitionOnCondition,
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return all conditions."""
    return CONDITIONS
