"""Face Doorbell: a doorbell that tells who is at the door."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
import logging
from typing import Final

from homeassistant.const import CONF_ID, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.typing import ConfigType

from .bridge import BridgeError
from .budget import BUDGET, async_get_budget
from .cards import async_setup_cards
from .const import CONF_ENGINE, DOMAIN, ENGINE_REKOGNITION, MANUFACTURER, EntryKind
from .coordinator import DoorbellCoordinator, bridge_client
from .engines import doorbell_stands_in, make_recognizer, storage
from .entries import (
    AnyEntry,
    DoorbellEntry,
    RecognitionEntry,
    kind,
    person_names,
    recognition_entry,
    retention,
)
from .errors import recognition_error_text
from .follow import async_apply_options, async_follow_options
from .gallery_actions import GalleryDownloadView
from .leaving import async_tell_left, async_tell_removed, async_use_again
from .naming import async_match_gallery, async_names_to_keep
from .recognition.errors import EngineAuthError, RecognitionError, disk_errors
from .recognition.fallback import ENGINE_ERRORS
from .recognition.model import SyncReport
from .repairs import async_bridge_is_well
from .services import async_setup_services
from .sidebar import async_setup_sidebar
from .trouble import async_take_back
from .upkeep import async_keep_in_sync
from .views import FaceThumbnailView, PersonPhotoView, VisitPictureView, VisitThumbnailView
from .visits import PICTURES, VISITS, VisitFilter, VisitLog, VisitPictures
from .websocket_api import async_setup_websocket_api
from .websocket_people import async_setup_websocket_people

_LOGGER = logging.getLogger(__name__)

CONFIG_SCHEMA: Final = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS: Final[Mapping[EntryKind, Sequence[Platform]]] = {
    EntryKind.DOORBELL: (
        Platform.BINARY_SENSOR,
        Platform.BUTTON,
        Platform.CAMERA,
        Platform.EVENT,
        Platform.IMAGE,
        Platform.LIGHT,
        Platform.SENSOR,
        Platform.SIREN,
        Platform.SWITCH,
    ),
    EntryKind.RECOGNITION: (Platform.BUTTON, Platform.IMAGE, Platform.NUMBER, Platform.SENSOR),
}

PRUNE_EVERY: Final = timedelta(days=1)  # retention counts in days


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what all entries share: the visit log, its pictures over HTTP, the actions."""
    visits = hass.data[VISITS] = VisitLog(hass, storage(hass) / "visits")
    visits.retention = retention(recognition_entry(hass))
    await visits.async_load()
    pictures = hass.data[PICTURES] = VisitPictures(hass, visits)
    await async_get_budget(hass)
    async_track_time_interval(hass, visits.async_prune, PRUNE_EVERY, cancel_on_shutdown=True)
    for view in (
        VisitPictureView(visits),
        VisitThumbnailView(pictures),
        FaceThumbnailView(pictures),
        PersonPhotoView(hass),
        GalleryDownloadView(hass),
    ):
        hass.http.register_view(view)
    async_setup_services(hass)
    async_setup_websocket_api(hass)
    async_setup_websocket_people(hass)
    await async_setup_cards(hass)
    await async_setup_sidebar(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: AnyEntry) -> bool:
    """Set up a doorbell, or face recognition; a change of the entry sets it up anew."""
    match kind(entry):
        case EntryKind.DOORBELL:
            await _setup_doorbell(hass, entry)
        case EntryKind.RECOGNITION:
            await _setup_recognition(hass, entry)
    entry.async_on_unload(entry.add_update_listener(_changed))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: AnyEntry) -> bool:
    """Take an entry down."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS[kind(entry)])
    if unloaded and kind(entry) is EntryKind.RECOGNITION:
        await entry.runtime_data.close()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: AnyEntry) -> None:
    """Leave nothing behind: no token on the bridge, no faces in Home Assistant or with AWS."""
    match kind(entry):
        case EntryKind.DOORBELL:
            await _forget_doorbell(hass, entry)
        case EntryKind.RECOGNITION:
            await _forget_persons(hass, entry)
            async_take_back(hass)
            hass.data[BUDGET].async_set_limit(None)


async def _setup_doorbell(hass: HomeAssistant, entry: DoorbellEntry) -> None:
    coordinator = DoorbellCoordinator(hass, entry)
    await coordinator.async_connect()
    entry.runtime_data = coordinator
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS[EntryKind.DOORBELL])
    # Only now is everybody there who wants to hear of rings.
    coordinator.async_listen()


async def _setup_recognition(hass: HomeAssistant, entry: RecognitionEntry) -> None:
    recognizer = make_recognizer(hass, entry)
    try:
        await _match_visits(hass, entry)
        try:
            await recognizer.start(async_names_to_keep(hass, entry))
        finally:
            if async_match_gallery(hass, entry, recognizer):
                await _match_visits(hass, entry)
    except RecognitionError as err:
        # A doorbell that recognizes by itself stands in until AWS can be reached.
        if not (isinstance(err, ENGINE_ERRORS) and doorbell_stands_in(hass, entry)):
            await recognizer.close()
            failed = ConfigEntryAuthFailed if isinstance(err, EngineAuthError) else ConfigEntryNotReady
            raise failed(**recognition_error_text(err)) from err
    _drop_strays(hass, entry)
    entry.runtime_data = recognizer
    async_use_again(hass, entry.data)
    async_apply_options(hass, entry)
    async_keep_in_sync(hass, entry)
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(DOMAIN, entry.entry_id)},
        name=entry.title,
        manufacturer=MANUFACTURER,
        entry_type=dr.DeviceEntryType.SERVICE,
    )
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS[EntryKind.RECOGNITION])


@callback
def _drop_strays(hass: HomeAssistant, entry: RecognitionEntry) -> None:
    """Remove devices and entities of persons who are gone: a crash comes when not all registries are written down."""
    devices, entities = dr.async_get(hass), er.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        if device.config_subentry_id not in (None, *entry.subentries):
            devices.async_remove_device(device.id)
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        if entity.config_subentry_id not in (None, *entry.subentries):
            entities.async_remove(entity.entity_id)


async def _match_visits(hass: HomeAssistant, entry: RecognitionEntry) -> None:
    """Let the visits follow the options and the persons, whoever has changed them."""
    visits = hass.data[VISITS]
    await visits.async_set_retention(retention(entry))
    with disk_errors():
        await visits.async_match_persons(person_names(entry))


async def _changed(hass: HomeAssistant, entry: AnyEntry) -> None:
    """Set an entry up anew, unless a doorbell has only moved or the recognition has only got other options."""
    match kind(entry):
        case EntryKind.DOORBELL:
            followed = entry.runtime_data.async_follow()
        case EntryKind.RECOGNITION:
            followed = await async_follow_options(hass, entry)
    if not followed:
        await hass.config_entries.async_reload(entry.entry_id)


async def _forget_doorbell(hass: HomeAssistant, entry: DoorbellEntry) -> None:
    async_bridge_is_well(hass, entry)  # nothing is left to mend
    try:
        await bridge_client(hass, entry).forget_token()
    except BridgeError as err:
        _LOGGER.info("The bridge %s could not be told to forget Home Assistant: %s", entry.title, err)
    visits = hass.data[VISITS]
    seen = visits.newest_first(VisitFilter(doorbell_id=entry.data[CONF_ID]))
    try:
        await visits.async_forget([visit.visit_id for visit in seen])
    except OSError as err:
        _LOGGER.error("The visits of %s could not be deleted: %s", entry.title, err)


async def _forget_persons(hass: HomeAssistant, entry: RecognitionEntry) -> None:
    recognizer = make_recognizer(hass, entry)
    report: SyncReport | None = None
    try:
        with disk_errors():
            await hass.data[VISITS].async_match_persons({})
        with suppress(*ENGINE_ERRORS):  # what is on this disk goes in any case
            await recognizer.start({})
        report = await recognizer.forget_everyone()
    except RecognitionError as err:
        _LOGGER.warning("Not everything could be deleted: %s", err)
    finally:
        await recognizer.close()
    if entry.data[CONF_ENGINE] != ENGINE_REKOGNITION:
        return
    if report:
        await async_tell_removed(hass, entry.data, report)
    else:
        async_tell_left(hass, entry.data)
