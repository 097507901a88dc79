"""What helps to find a fault, without a secret or a face in it."""

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_ID, CONF_NAME, CONF_TOKEN
from homeassistant.core import HomeAssistant

from .bridge import BridgeError
from .const import (
    CONF_ACCESS_KEY_ID,
    CONF_BUCKET,
    CONF_COLLECTION,
    CONF_ENDPOINT_URL,
    CONF_FINGERPRINT,
    CONF_SECRET_ACCESS_KEY,
    CONF_SESSION_TOKEN,
    EntryKind,
)
from .coordinator import DoorbellCoordinator
from .entries import AnyEntry, DoorbellEntry, RecognitionEntry, kind
from .visits import VISITS, Visit, VisitFilter

REDACTED: Final = {
    CONF_ACCESS_KEY_ID,
    CONF_BUCKET,
    CONF_COLLECTION,
    CONF_ENDPOINT_URL,
    CONF_FINGERPRINT,
    CONF_HOST,
    CONF_ID,
    CONF_NAME,
    CONF_SECRET_ACCESS_KEY,
    CONF_SESSION_TOKEN,
    CONF_TOKEN,
}

LAST_VISITS: Final = 20  # enough to see whether it is always slow or only sometimes


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: AnyEntry) -> dict[str, Any]:
    """Return the settings without secrets, and how the entry is doing."""
    settings = {"data": async_redact_data(entry.data, REDACTED), "options": dict(entry.options)}
    if entry.state is not ConfigEntryState.LOADED:
        return settings
    match kind(entry):
        case EntryKind.DOORBELL:
            return settings | await _doorbell(entry)
        case EntryKind.RECOGNITION:
            return settings | _recognition(hass, entry)


async def _doorbell(entry: DoorbellEntry) -> dict[str, Any]:
    coordinator = entry.runtime_data
    visits = list(coordinator.visits.newest_first(VisitFilter(doorbell_id=coordinator.doorbell_id)))
    bridge = coordinator.data.bridge
    return {
        "connected": coordinator.connected,
        "bridge": {"camera": bridge.camera, "faces": bridge.faces, "outputs": dict(bridge.outputs)},
        "health": await _health(coordinator),
        "outcomes": dict(Counter(visit.outcome or "none" for visit in visits)),
        "last_visits": [_anonymous(visit) for visit in visits[:LAST_VISITS]],
    }


async def _health(coordinator: DoorbellCoordinator) -> dict[str, Any]:
    try:
        return dict(await coordinator.client.health())
    except BridgeError as err:
        return {"error": type(err).__name__}


def _recognition(hass: HomeAssistant, entry: RecognitionEntry) -> dict[str, Any]:
    recognizer = entry.runtime_data
    visits = hass.data[VISITS]
    return {
        "visits": {"kept": asdict(visits.usage), "limits": asdict(visits.retention)},
        "engine": recognizer.engine.name,
        "in_sync": recognizer.in_sync,
        "photos_of_each_person": [len(person.photos) for person in recognizer.persons],
    }


def _anonymous(visit: Visit) -> dict[str, Any]:
    return {
        "outcome": visit.outcome,
        "reason": visit.reason,
        "engine": visit.engine,
        "replay": visit.replay,
        "fallback": visit.fallback,
        "missed": visit.missed,
        "late": visit.late,
        "test": visit.test,
        "faces": len(visit.faces),
        "known": len(visit.known),
        "pictures": [picture.at_ms for picture in visit.pictures],
        "timings": asdict(visit.timings),
        "calls": dict(visit.calls),
    }
