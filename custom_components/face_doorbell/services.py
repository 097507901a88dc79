"""The actions: ask the engine, change the persons, ring."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, ATTR_NAME
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, service
from homeassistant.helpers.selector import MediaSelector
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .const import CONF_PERSON_ID, DOMAIN, SUBENTRY_PERSON, EntryKind
from .coordinator import DoorbellCoordinator, Rang
from .entries import RecognitionEntry, kind, recognition_entry, rule
from .errors import recognition_error_text
from .media import PICTURE_DOMAINS, Media, async_read_entity, async_read_media
from .model import Picture
from .recognition.decision import Rule, certainty
from .recognition.errors import PersonError, PhotoRefusedError, RecognitionError
from .recognition.gallery import Person
from .recognition.model import FaceAnswer
from .recognition.recognizer import Recognizer

ATTR_MEDIA: Final = "media"
ATTR_PERSON: Final = "person"

RING_S: Final = 5  # the bridge tells of a press in milliseconds; more means that it has none to tell of

_ENTITY: Final = cv.entity_domain(list(PICTURE_DOMAINS))
_MEDIA: Final = MediaSelector({"accept": ["image/*"], "image_upload": True})
_MANY_MEDIA: Final = MediaSelector({"accept": ["image/*"], "image_upload": True, "multiple": True})

_PHOTOS: Final[dict[vol.Marker, object]] = {
    vol.Optional(ATTR_ENTITY_ID, default=list): cv.entities_domain(list(PICTURE_DOMAINS)),
    vol.Optional(ATTR_MEDIA, default=list): _MANY_MEDIA,
}


def _image(prefix: str = "") -> dict[vol.Marker, object]:
    return {vol.Optional(f"{prefix}{ATTR_ENTITY_ID}"): _ENTITY, vol.Optional(f"{prefix}{ATTR_MEDIA}"): _MEDIA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action of Home Assistant; `admin`: it changes what others rely on."""

    name: str
    handler: Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]
    schema: Mapping[vol.Marker, object] = MappingProxyType({})
    response: SupportsResponse = SupportsResponse.ONLY
    admin: bool = False


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""
    for action in ACTIONS:
        schema = vol.Schema(dict(action.schema))
        if action.admin:
            service.async_register_admin_service(
                hass, DOMAIN, action.name, action.handler, schema, action.response
            )
        else:
            hass.services.async_register(DOMAIN, action.name, action.handler, schema, action.response)


async def _recognize(call: ServiceCall) -> ServiceResponse:
    """Answer every face of a picture."""
    entry = _recognition(call.hass)
    with _translated():
        picture = Picture(await _read_image(call))
        recognition = await entry.runtime_data.recognize(picture)
    names = {person.id: person.name for person in entry.runtime_data.persons}
    return {
        "outcome": recognition.outcome,
        "engine": recognition.engine,
        "calls": dict(recognition.calls),
        "faces": [_face(face, names, rule(entry)) for face in recognition.faces],
    }


async def _compare_faces(call: ServiceCall) -> ServiceResponse:
    """Compare the largest faces of two pictures."""
    entry = _recognition(call.hass)
    with _translated():
        first, second = await _read_image(call, "first_"), await _read_image(call, "second_")
        similarity = await entry.runtime_data.compare(first, second)
    return {"similarity": similarity, "same_person": similarity >= rule(entry).threshold}


async def _add_person(call: ServiceCall) -> ServiceResponse:
    """Add a person with photos, or nothing."""
    entry = _recognition(call.hass)
    with _translated():
        person = await entry.runtime_data.enrol(call.data[ATTR_NAME], await _read_photos(call))
    call.hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType({CONF_PERSON_ID: person.id}),
            subentry_type=SUBENTRY_PERSON,
            title=person.name,
            unique_id=person.id,
        ),
    )
    return _person(person)


async def _add_photo(call: ServiceCall) -> ServiceResponse:
    """Add photos of a person, all or none."""
    recognizer = _recognition(call.hass).runtime_data
    with _translated():
        person_id = _find(recognizer, call.data[ATTR_PERSON]).id
        return _person(await recognizer.add_photos(person_id, await _read_photos(call)))


async def _remove_person(call: ServiceCall) -> None:
    """Forget a person."""
    entry = _recognition(call.hass)
    with _translated():
        person = _find(entry.runtime_data, call.data[ATTR_PERSON])
        await entry.runtime_data.remove_person(person.id)
    for subentry in list(entry.subentries.values()):
        if subentry.unique_id == person.id:
            call.hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)


async def _list_people(call: ServiceCall) -> ServiceResponse:
    """Return all persons."""
    return {"people": [_person(person) for person in _recognition(call.hass).runtime_data.persons]}


async def _ring(call: ServiceCall) -> ServiceResponse:
    """Ring as a test; return the id of the visit that comes of it."""
    _, entry = service.async_get_device_and_config_entry(
        call.hass, DOMAIN, call.data[ATTR_DEVICE_ID], include_child_devices=False
    )
    if kind(entry) is not EntryKind.DOORBELL:
        raise _invalid("not_a_doorbell", name=entry.title)
    doorbell: DoorbellCoordinator = entry.runtime_data
    rang: asyncio.Future[str] = call.hass.loop.create_future()

    @callback
    def heard(ring: Rang) -> None:
        if ring.ring.test and not rang.done():
            rang.set_result(ring.ring.ring_id)

    stop = doorbell.async_add_ring_listener(heard)
    try:
        await doorbell.async_press()
        async with asyncio.timeout(RING_S):
            return {"visit_id": await rang}
    except TimeoutError:
        return {"visit_id": None}
    finally:
        stop()


ACTIONS: Final = (
    Action(name="recognize", handler=_recognize, schema=_image()),
    Action(name="compare_faces", handler=_compare_faces, schema=_image("first_") | _image("second_")),
    Action(
        name="add_person",
        handler=_add_person,
        schema={vol.Required(ATTR_NAME): cv.string, **_PHOTOS},
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="add_photo",
        handler=_add_photo,
        schema={vol.Required(ATTR_PERSON): cv.string, **_PHOTOS},
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="remove_person",
        handler=_remove_person,
        schema={vol.Required(ATTR_PERSON): cv.string},
        response=SupportsResponse.NONE,
        admin=True,
    ),
    Action(name="list_people", handler=_list_people),
    Action(
        name="ring",
        handler=_ring,
        schema={vol.Required(ATTR_DEVICE_ID): cv.string},
        response=SupportsResponse.OPTIONAL,
    ),
)


@callback
def _recognition(hass: HomeAssistant) -> RecognitionEntry:
    entry = recognition_entry(hass)
    if entry is None or entry.state is not ConfigEntryState.LOADED:
        raise _invalid("no_recognition")
    return entry


async def _read_image(call: ServiceCall, prefix: str = "") -> bytes:
    """Return the one picture that the fields of `prefix` name."""
    entity_id: str | None = call.data.get(f"{prefix}{ATTR_ENTITY_ID}")
    media: Media | None = call.data.get(f"{prefix}{ATTR_MEDIA}")
    if entity_id and not media:
        return await async_read_entity(call.hass, entity_id, call.context)
    if media and not entity_id:
        return await async_read_media(call.hass, media, call.context)
    raise _invalid("image_missing")


async def _read_photos(call: ServiceCall) -> list[bytes]:
    """Return the pictures of all entities and media items."""
    photos = [
        await async_read_entity(call.hass, entity_id, call.context) for entity_id in call.data[ATTR_ENTITY_ID]
    ]
    photos += [await async_read_media(call.hass, media, call.context) for media in call.data[ATTR_MEDIA]]
    if not photos:
        raise _invalid("photos_missing")
    return photos


def _find(recognizer: Recognizer, who: str) -> Person:
    """Return a person by id or name; raises PersonError."""
    for person in recognizer.persons:
        if who == person.id or who.casefold() == person.name.casefold():
            return person
    raise PersonError("person_not_found", person=who)


def _face(face: FaceAnswer, names: Mapping[str, str], decided_by: Rule) -> JsonObjectType:
    return {
        "name": names.get(face.person_id) if face.person_id else None,
        "person_id": face.person_id,
        "similarity": face.similarity,
        "certainty": certainty(face.similarity, decided_by) if face.person_id and face.similarity else None,
        "box": asdict(face.box),
    }


def _person(person: Person) -> JsonObjectType:
    return {"person_id": person.id, "name": person.name, "photos": len(person.photos)}


@contextmanager
def _translated() -> Iterator[None]:
    """Raise errors of recognition as Home Assistant's: bad input apart from failures."""
    try:
        yield
    except (PhotoRefusedError, PersonError) as err:
        raise ServiceValidationError(**recognition_error_text(err)) from err
    except RecognitionError as err:
        raise HomeAssistantError(**recognition_error_text(err)) from err


def _invalid(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
