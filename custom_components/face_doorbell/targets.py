"""Which doors and whom a trigger or a condition means."""

from collections.abc import Mapping, Sequence
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, device_registry as dr, entity_registry as er
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.helpers.typing import ConfigType
import voluptuous as vol

from .const import DOMAIN
from .visits import VisitFace

CONF_PERSONS: Final = "persons"

# Devices of persons, or their names or ids; empty means anybody.
PERSONS: Final[Mapping[vol.Marker, object]] = {
    vol.Optional(CONF_PERSONS, default=list): vol.All(cv.ensure_list, [cv.string])
}


@callback
def targeted_entry_ids(hass: HomeAssistant, target: ConfigType) -> set[str]:
    """Return the ids of the config entries of the doorbells that a target names, as the registries are now."""
    selected = async_extract_referenced_entity_ids(hass, TargetSelection(target))
    registry = er.async_get(hass)
    entities = (registry.async_get(each) for each in selected.referenced | selected.indirectly_referenced)
    return {
        entity.config_entry_id
        for entity in entities
        if entity and entity.platform == DOMAIN and entity.config_entry_id
    }


@callback
def meant(hass: HomeAssistant, persons: Sequence[str], faces: Sequence[VisitFace]) -> Sequence[VisitFace]:
    """Return the faces of these persons; all faces when no person is named."""
    if not persons:
        return faces
    wanted = {_person(hass, person).casefold() for person in persons}
    return [
        face for face in faces if wanted & {(face.person_id or "").casefold(), (face.name or "").casefold()}
    ]


def _person(hass: HomeAssistant, person: str) -> str:
    """Return the id of the person whose device this is, or else the name or id as it is."""
    device = dr.async_get(hass).async_get(person)
    if device is None:
        return person
    return next((identifier for domain, identifier in device.identifiers if domain == DOMAIN), person)
