"""The two kinds of config entries, and how one finds the other."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_ID
from homeassistant.core import HomeAssistant, callback

from .const import (
    CONF_FALLBACK,
    CONF_KEEP_MB,
    CONF_KEEP_OTHERS,
    CONF_KEEP_RECOGNIZED,
    CONF_KEEP_VISITS,
    CONF_KIND,
    CONF_LATE,
    CONF_MARGIN,
    CONF_PERSON_ID,
    CONF_THRESHOLD,
    DEFAULT_LATE,
    DOMAIN,
    SUBENTRY_PERSON,
    EntryKind,
)
from .model import Face, Outcome
from .recognition import decision
from .recognition.decision import DEFAULT_MARGIN, DEFAULT_THRESHOLD, Certainty, Rule
from .recognition.errors import EngineSetupError, EngineUnavailableError
from .recognition.recognizer import Recognizer
from .visits import Retention, Visit

if TYPE_CHECKING:
    from .coordinator import DoorbellCoordinator

type AnyEntry = ConfigEntry[Any]  # Any: of either kind
type DoorbellEntry = ConfigEntry[DoorbellCoordinator]
type RecognitionEntry = ConfigEntry[Recognizer]

MB: Final = 1_000_000  # bytes
READY_S: Final = 30  # reading the gallery takes a moment, and syncing it with AWS some seconds

_ON_THE_WAY: Final = frozenset(
    {
        ConfigEntryState.NOT_LOADED,
        ConfigEntryState.SETUP_IN_PROGRESS,
        ConfigEntryState.UNLOAD_IN_PROGRESS,
    }
)


def kind(entry: AnyEntry) -> EntryKind:
    """Return what an entry stands for."""
    return EntryKind(entry.data[CONF_KIND])


@callback
def doorbell_entries(hass: HomeAssistant) -> list[DoorbellEntry]:
    """Return the doorbells that are set up."""
    return [
        entry
        for entry in hass.config_entries.async_loaded_entries(DOMAIN)
        if kind(entry) is EntryKind.DOORBELL
    ]


@callback
def recognition_entry(hass: HomeAssistant) -> RecognitionEntry | None:
    """Return the entry of face recognition in whatever state; None when there is none or it is switched off."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False, include_disabled=False)
    return next((entry for entry in entries if kind(entry) is EntryKind.RECOGNITION), None)


async def async_loaded_recognition(hass: HomeAssistant) -> RecognitionEntry:
    """Return the entry of face recognition as `async_ready_recognition` does; there must be one (`no_recognition`)."""
    entry = await async_ready_recognition(hass)
    if entry is None:
        raise EngineSetupError("no_recognition")
    return entry


async def async_ready_recognition(hass: HomeAssistant) -> RecognitionEntry | None:
    """Return the entry of face recognition, loaded, or None when there is none.

    Waits while Home Assistant starts or the entry is reloaded; raises EngineUnavailableError `recognition_not_ready`.
    """
    entry = recognition_entry(hass)
    if entry is None:
        return None
    changed = asyncio.Event()
    stop = entry.async_on_state_change(changed.set)
    try:
        async with asyncio.timeout(READY_S):
            while entry.state in _ON_THE_WAY:
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass
    finally:
        stop()
    if entry.state is not ConfigEntryState.LOADED:
        raise EngineUnavailableError("recognition_not_ready")
    return entry


def rule(entry: RecognitionEntry) -> Rule:
    """Return the rule that the user has chosen."""
    return Rule(
        entry.options.get(CONF_THRESHOLD, DEFAULT_THRESHOLD), entry.options.get(CONF_MARGIN, DEFAULT_MARGIN)
    )


def stands_by(entry: RecognitionEntry) -> bool:
    """Return whether the doorbells are to answer when AWS cannot."""
    return bool(entry.options.get(CONF_FALLBACK, True))


@callback
def late_after(hass: HomeAssistant) -> float:
    """Return how many seconds after the press an answer is too late to act on."""
    entry = recognition_entry(hass)
    return float(entry.options.get(CONF_LATE, DEFAULT_LATE) if entry else DEFAULT_LATE)


def retention(entry: RecognitionEntry | None) -> Retention:
    """Return how long visits are to be kept."""
    options = entry.options if entry else {}
    usual = Retention()
    return Retention(
        recognized=timedelta(days=options.get(CONF_KEEP_RECOGNIZED, usual.recognized.days)),
        others=timedelta(days=options.get(CONF_KEEP_OTHERS, usual.others.days)),
        visits=int(options.get(CONF_KEEP_VISITS, usual.visits)),
        size=int(options.get(CONF_KEEP_MB, usual.size / MB) * MB),
    )


@callback
def doorbell_name(hass: HomeAssistant, doorbell_id: str) -> str | None:
    """Return the name of a doorbell, connected or not; None when it was removed."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False)
    return next((entry.title for entry in entries if entry.data.get(CONF_ID) == doorbell_id), None)


@callback
def certainty(hass: HomeAssistant, visit: Visit) -> Certainty | None:
    """Return how sure it is who the surest person of a visit was; None when nobody is known."""
    entry = recognition_entry(hass)
    if entry is None or visit.outcome is not Outcome.RECOGNIZED or visit.similarity is None:
        return None
    return decision.certainty(visit.similarity, rule(entry))


def person_names(entry: RecognitionEntry) -> Mapping[str, str]:
    """Return the names of the persons by their ids."""
    return {
        subentry.data[CONF_PERSON_ID]: subentry.title
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_PERSON
    }


class AnyDoorbell:
    """Finds faces with whichever doorbell is connected; what the local engine sees with."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Look for doorbells only when asked: they come and go."""
        self._hass = hass

    async def find_faces(self, image: bytes) -> Sequence[Face]:
        """Return the faces of a JPEG, largest first; raises `no_doorbell` and what the client raises."""
        for entry in doorbell_entries(self._hass):
            if entry.runtime_data.connected:
                return await entry.runtime_data.client.find_faces(image)
        raise EngineUnavailableError("no_doorbell")
