"""Errors of the packages below, as Home Assistant's with texts that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_exception_message

from .bridge import (
    BridgeAuthError,
    BridgeCertificateError,
    BridgeError,
    BridgeRefusedError,
    BridgeVersionError,
)
from .const import DOMAIN
from .recognition.errors import RecognitionError


class ErrorText(TypedDict):
    """What every error of Home Assistant takes as keywords."""

    translation_domain: str
    translation_key: str
    translation_placeholders: dict[str, str]


def bridge_error_text(err: BridgeError, name: str) -> ErrorText:
    """Return what to tell about an error of the bridge called `name`."""
    key, details = _key(err)
    return _text(key, {"name": name, **details})


def recognition_error_text(err: RecognitionError) -> ErrorText:
    """Return what to tell about an error of recognition."""
    return _text(err.key, dict(err.placeholders))


def recognition_error_message(err: RecognitionError) -> str:
    """Return an error of recognition in words."""
    return async_get_exception_message(DOMAIN, err.key, dict(err.placeholders))


@contextmanager
def bridge_errors(name: str) -> Iterator[None]:
    """Raise errors of the bridge called `name` as HomeAssistantError."""
    try:
        yield
    except BridgeError as err:
        raise HomeAssistantError(**bridge_error_text(err, name)) from err


def _text(key: str, placeholders: dict[str, str]) -> ErrorText:
    return {"translation_domain": DOMAIN, "translation_key": key, "translation_placeholders": placeholders}


def _key(err: BridgeError) -> tuple[str, dict[str, str]]:
    match err:
        case BridgeAuthError():
            return "not_paired", {}
        case BridgeCertificateError():
            return "certificate_changed", {}
        case BridgeVersionError(newer=True):
            return "bridge_too_new", {}
        case BridgeVersionError():
            return "bridge_too_old", {}
        case BridgeRefusedError():
            return "bridge_refused", {"code": err.code}
        case _:
            return "bridge_unreachable", {}
