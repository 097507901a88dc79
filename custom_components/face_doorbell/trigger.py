"""Triggers: somebody rings, and what came of it.

They carry what an automation wants to say and to show, and leave out what is late: a ring from a time when Home
Assistant was away, and an answer that took so long that the visitor is gone.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast, override

from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.trigger import (
    Trigger,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import DOMAIN
from .coordinator import RANG, VISITED, DoorbellCoordinator, Rang
from .entries import certainty
from .model import Outcome
from .targets import CONF_PERSONS, PERSONS, meant, targeted_entry_ids
from .views import picture_url
from .visits import Visit, VisitFilter

CONF_LATE: Final = "late"
CONF_SIMILARITY: Final = "similarity"
CONF_NO_STRANGERS: Final = "no_strangers"


def _schema(options: Mapping[vol.Marker, object]) -> vol.Schema:
    return vol.Schema(
        {
            vol.Required(CONF_TARGET): cv.TARGET_FIELDS,
            vol.Optional(CONF_OPTIONS, default=dict): {
                vol.Optional(CONF_LATE, default=False): cv.boolean,
                **options,
            },
        }
    )


class DoorTrigger(Trigger):
    """Something happens at one of the doors."""

    schema: ClassVar[vol.Schema] = _schema({})

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        return cast(ConfigType, cls.schema(config))

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Keep the options and the target, which is looked up when something happens."""
        super().__init__(hass, config)
        self._options = config.options or {}
        self._target = config.target or {}

    def _wanted(self, door: DoorbellCoordinator, *, late: bool) -> bool:
        if late and not self._options[CONF_LATE]:
            return False
        return door.config_entry.entry_id in targeted_entry_ids(self._hass, self._target)


class RangTrigger(DoorTrigger):
    """Somebody rings."""

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        @callback
        def rang(door: DoorbellCoordinator, rang: Rang) -> None:
            if self._wanted(door, late=rang.missed):
                told = {"late": rang.missed, "test": rang.ring.test}
                run_action({**_door(door, rang.visit_id), **told}, f"ring at {door.name}")

        return async_dispatcher_connect(self._hass, RANG, rang)


class VisitTrigger(DoorTrigger):
    """A visit has this outcome."""

    outcome: ClassVar[Outcome]

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        @callback
        def visited(door: DoorbellCoordinator, visit: Visit) -> None:
            if (
                visit.outcome is self.outcome
                and self._wanted(door, late=_late(visit))
                and self.matches(visit)
            ):
                told = _visit(self._hass, visit)
                run_action({**_door(door, visit.visit_id), **told}, f"{self.outcome} at {door.name}")

        return async_dispatcher_connect(self._hass, VISITED, visited)

    def matches(self, visit: Visit) -> bool:
        """Return whether the visit, which has the outcome, is one of those that are wanted."""
        return True


class RecognizedTrigger(VisitTrigger):
    """A visitor is recognized."""

    outcome = Outcome.RECOGNIZED
    schema = _schema(
        {
            **PERSONS,
            vol.Optional(CONF_SIMILARITY, default=0): vol.All(vol.Coerce(float), vol.Range(0, 100)),
            vol.Optional(CONF_NO_STRANGERS, default=False): cv.boolean,
        }
    )

    @override
    def matches(self, visit: Visit) -> bool:
        if visit.strangers and self._options[CONF_NO_STRANGERS]:
            return False
        least = self._options[CONF_SIMILARITY]
        faces = meant(self._hass, self._options[CONF_PERSONS], visit.known)
        return any((face.similarity or 0) >= least for face in faces)


class UnknownTrigger(VisitTrigger):
    """Nobody known is at the door, but somebody."""

    outcome = Outcome.UNKNOWN


class NoFaceTrigger(VisitTrigger):
    """Nobody is to be seen."""

    outcome = Outcome.NO_FACE


class FailedTrigger(VisitTrigger):
    """Recognition has failed."""

    outcome = Outcome.FAILED


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "rang": RangTrigger,
    "recognized": RecognizedTrigger,
    "unknown_visitor": UnknownTrigger,
    "no_face": NoFaceTrigger,
    "failed": FailedTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return all triggers."""
    return TRIGGERS


def _late(visit: Visit) -> bool:
    return visit.missed or visit.late


def _door(door: DoorbellCoordinator, visit_id: str) -> dict[str, Any]:
    """Return what a ring and its visit have in common; `since_last` is in seconds, None at the first visit."""
    device = dr.async_get(door.hass).async_get_device_by_identifier(
        (DOMAIN, door.doorbell_id), door.config_entry.entry_id
    )
    visits = door.visits.newest_first(VisitFilter(doorbell_id=door.doorbell_id))
    before = next((visit.at for visit in visits if visit.visit_id != visit_id), None)
    return {
        "device_id": device.id if device else None,
        "door": door.name,
        "visit_id": visit_id,
        "since_last": None if before is None else (dt_util.utcnow() - before).total_seconds(),
    }


def _visit(hass: HomeAssistant, visit: Visit) -> dict[str, Any]:
    return {
        "late": _late(visit),
        "test": visit.test,
        "outcome": visit.outcome,
        "names": visit.names,
        "person_ids": [face.person_id for face in visit.known],
        "similarity": None if visit.similarity is None else round(visit.similarity, 1),
        "certainty": certainty(hass, visit),
        "unknown_faces": visit.strangers,
        "picture": None if visit.picture is None else picture_url(visit.visit_id, visit.picture),
        "reason": visit.reason,
    }
