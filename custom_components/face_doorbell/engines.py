"""From the settings of the recognition entry to what recognizes."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant, callback

from .budget import BUDGET
from .const import (
    CONF_ACCESS_KEY_ID,
    CONF_BUCKET,
    CONF_COLLECTION,
    CONF_ENDPOINT_URL,
    CONF_ENGINE,
    CONF_MODE,
    CONF_REGION,
    CONF_SECRET_ACCESS_KEY,
    CONF_SESSION_TOKEN,
    DOMAIN,
    ENGINE_REKOGNITION,
    EntryKind,
)
from .entries import AnyDoorbell, RecognitionEntry, kind, rule, stands_by
from .recognition.fallback import FallbackEngine
from .recognition.gallery import Gallery
from .recognition.local import LocalEngine
from .recognition.model import Engine
from .recognition.recognizer import Recognizer
from .recognition.rekognition import AwsSettings, Mode, RekognitionEngine
from .trouble import async_report


def storage(hass: HomeAssistant) -> Path:
    """Return the folder of all faces; nothing serves it but authenticated views."""
    return Path(hass.config.path(DOMAIN))


def make_recognizer(hass: HomeAssistant, entry: RecognitionEntry) -> Recognizer:
    """Return the gallery with the engine that the user has chosen, not yet started."""
    return Recognizer(_engine(hass, entry), Gallery(storage(hass)), AnyDoorbell(hass))


def aws_settings(data: Mapping[str, Any]) -> AwsSettings:
    """Return the settings of AWS that stand in an entry's data."""
    return AwsSettings(
        access_key_id=data[CONF_ACCESS_KEY_ID],
        secret_access_key=data[CONF_SECRET_ACCESS_KEY],
        session_token=data.get(CONF_SESSION_TOKEN),
        region=data[CONF_REGION],
        bucket=data[CONF_BUCKET],
        collection=data[CONF_COLLECTION],
        mode=Mode(data[CONF_MODE]),
        endpoint_url=data.get(CONF_ENDPOINT_URL),
    )


@callback
def doorbell_stands_in(hass: HomeAssistant, entry: RecognitionEntry) -> bool:
    """Return whether a doorbell answers when AWS cannot; it may be connected later only."""
    doorbells = (
        each for each in hass.config_entries.async_entries(DOMAIN) if kind(each) is EntryKind.DOORBELL
    )
    return entry.data[CONF_ENGINE] == ENGINE_REKOGNITION and stands_by(entry) and any(doorbells)


def _engine(hass: HomeAssistant, entry: RecognitionEntry) -> Engine:
    if entry.data[CONF_ENGINE] == ENGINE_REKOGNITION:
        engine = RekognitionEngine(aws_settings(entry.data), rule(entry), hass.data[BUDGET].usage)
        fallback = FallbackEngine(engine, _local(hass, entry), partial(async_report, hass, entry))
        fallback.enabled = stands_by(entry)
        return fallback
    return _local(hass, entry)


def _local(hass: HomeAssistant, entry: RecognitionEntry) -> Engine:
    return LocalEngine(AnyDoorbell(hass), rule(entry))
