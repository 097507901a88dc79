"""What an action of Home Assistant is made of, and how errors of recognition become those of an action."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, service
import voluptuous as vol

from .const import DOMAIN, EntryKind
from .entries import DoorbellEntry, RecognitionEntry, async_loaded_recognition, doorbell_name, kind
from .errors import recognition_error_text
from .naming import VisitError
from .recognition.errors import GalleryFileError, PersonError, PhotoRefusedError, RecognitionError

type Handler = Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action of Home Assistant; `admin`: it changes what others rely on, or shows what is not for everybody."""

    name: str
    handler: Handler
    schema: Mapping[vol.Marker, object] = MappingProxyType({})
    response: SupportsResponse = SupportsResponse.ONLY
    admin: bool = False


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of recognition as Home Assistant's: bad input apart from failures."""
    try:
        yield
    except (PhotoRefusedError, PersonError, GalleryFileError, VisitError) as err:
        raise ServiceValidationError(**recognition_error_text(err)) from err
    except RecognitionError as err:
        raise HomeAssistantError(**recognition_error_text(err)) from err


async def recognition(hass: HomeAssistant) -> RecognitionEntry:
    """Return the entry of face recognition, once it is there."""
    with translated():
        return await async_loaded_recognition(hass)


def doorbell(call: ServiceCall) -> DoorbellEntry:
    """Return the entry of the doorbell whose device is given; raises ServiceValidationError."""
    _, entry = service.async_get_device_and_config_entry(
        call.hass, DOMAIN, call.data[ATTR_DEVICE_ID], include_child_devices=False
    )
    if kind(entry) is not EntryKind.DOORBELL:
        raise invalid("not_a_doorbell", name=entry.title)
    return entry


@callback
def doorbell_id(hass: HomeAssistant, device_id: str) -> str:
    """Return the id of a doorbell, connected or not, by its device; raises ServiceValidationError."""
    device = dr.async_get(hass).async_get(device_id, include_child_devices=False)
    for domain, identifier in device.identifiers if device else ():
        if domain == DOMAIN and doorbell_name(hass, identifier) is not None:
            return identifier
    raise invalid("not_a_doorbell", name=device_id)


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error for bad input."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
