"""The engine's index heals by itself: once a day, and soon after a sync has failed."""

from datetime import datetime, timedelta
import logging
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .entries import RecognitionEntry
from .recognition.errors import RecognitionError

_LOGGER = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(minutes=5)  # so soon is the index in step after AWS was away
SYNC_EVERY: Final = timedelta(days=1)  # somebody else may have changed bucket or collection


@callback
def async_keep_in_sync(hass: HomeAssistant, entry: RecognitionEntry) -> None:
    """Sync from time to time until the entry is unloaded."""
    recognizer = entry.runtime_data
    next_sync = dt_util.utcnow() + SYNC_EVERY

    async def look(now: datetime) -> None:
        nonlocal next_sync
        if recognizer.in_sync and now < next_sync:
            return
        next_sync = now + SYNC_EVERY
        try:
            report = await recognizer.sync()
        except RecognitionError as err:
            _LOGGER.debug("The index is not in step yet: %s", err)
            return
        if report.added or report.removed:
            _LOGGER.info("The index was mended: %d photos added, %d removed", report.added, report.removed)

    entry.async_on_unload(async_track_time_interval(hass, look, LOOK_EVERY, cancel_on_shutdown=True))
