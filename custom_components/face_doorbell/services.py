"""The actions: ask the engine, change the persons, ring."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final, TypedDict

from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, ATTR_NAME
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.helpers import config_validation as cv, service
from homeassistant.helpers.selector import MediaSelector
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from . import gallery_actions, visit_actions
from .actions import Action, Handler, doorbell, invalid, recognition, translated
from .const import DOMAIN
from .coordinator import DoorbellCoordinator, Rang
from .entries import rule
from .errors import recognition_error_message
from .media import PICTURE_DOMAINS, Media, async_read_entity, async_read_media
from .model import Picture
from .naming import async_add_person
from .public import public_advice, public_person
from .recognition import images
from .recognition.decision import Rule, certainty
from .recognition.errors import PhotoRefusedError
from .recognition.model import FaceAnswer

ATTR_FACE: Final = "face"
ATTR_FORCE: Final = "force"
ATTR_MEDIA: Final = "media"
ATTR_PERSON: Final = "person"

RING_S: Final = 5  # the bridge tells of a press in milliseconds; more means that it has none to tell of

_ENTITY: Final = cv.entity_domain(list(PICTURE_DOMAINS))
# Without `image_upload`: what is uploaded that way stays in Home Assistant, which shows it without a login.
_MEDIA: Final = MediaSelector({"accept": ["image/*"]})
_MANY_MEDIA: Final = MediaSelector({"accept": ["image/*"], "multiple": True})

_PHOTOS: Final[dict[vol.Marker, object]] = {
    vol.Optional(ATTR_ENTITY_ID, default=list): cv.entities_domain(list(PICTURE_DOMAINS)),
    vol.Optional(ATTR_MEDIA, default=list): _MANY_MEDIA,
    vol.Optional(ATTR_FACE): vol.All(vol.Coerce(int), vol.Range(min=1)),
    vol.Optional(ATTR_FORCE, default=False): cv.boolean,
}


def _image(prefix: str = "") -> dict[vol.Marker, object]:
    return {vol.Optional(f"{prefix}{ATTR_ENTITY_ID}"): _ENTITY, vol.Optional(f"{prefix}{ATTR_MEDIA}"): _MEDIA}


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""
    for action in ACTIONS:
        schema, handler = vol.Schema(dict(action.schema)), _to_its_end(action)
        if action.admin:
            service.async_register_admin_service(hass, DOMAIN, action.name, handler, schema, action.response)
        else:
            hass.services.async_register(DOMAIN, action.name, handler, schema, action.response)


def _to_its_end(action: Action) -> Handler:
    """Return the handler of an action that nobody stops half-way, such as an automation that starts anew."""

    async def run(call: ServiceCall) -> ServiceResponse:
        name = f"{DOMAIN} {action.name}"
        return await asyncio.shield(call.hass.async_create_task(action.handler(call), name))

    return run


async def _recognize(call: ServiceCall) -> ServiceResponse:
    """Answer every face of a picture."""
    entry = await recognition(call.hass)
    with translated():
        picture = Picture(await _read_image(call))
        answer = await entry.runtime_data.recognize(picture)
    names = {person.id: person.name for person in entry.runtime_data.persons}
    return {
        "outcome": answer.outcome,
        "engine": answer.engine,
        "calls": dict(answer.calls),
        "faces": [_face(face, names, rule(entry)) for face in answer.faces],
    }


async def _compare_faces(call: ServiceCall) -> ServiceResponse:
    """Compare the largest faces of two pictures."""
    entry = await recognition(call.hass)
    with translated():
        first, second = await _read_image(call, "first_"), await _read_image(call, "second_")
        similarity = await entry.runtime_data.compare(first, second)
    return {"similarity": similarity, "same_person": similarity >= rule(entry).threshold}


async def _add_person(call: ServiceCall) -> ServiceResponse:
    """Add a person with photos, or nothing."""
    entry = await recognition(call.hass)
    with translated():
        photos = await _read_photos(call)
    with _photos_numbered(len(photos)):
        person = await entry.runtime_data.enrol(call.data[ATTR_NAME], photos, **_choice(call, photos))
    advice = public_advice(person, entry.runtime_data.persons)
    async_add_person(call.hass, entry, person)
    return {**public_person(person), **advice}


async def _add_photo(call: ServiceCall) -> ServiceResponse:
    """Add photos of a person, all or none."""
    recognizer = (await recognition(call.hass)).runtime_data
    with translated():
        photos = await _read_photos(call)
    with _photos_numbered(len(photos)):
        person_id = recognizer.find(call.data[ATTR_PERSON]).id
        person = await recognizer.add_photos(person_id, photos, **_choice(call, photos))
    return {**public_person(person), **public_advice(person, recognizer.persons)}


async def _list_people(call: ServiceCall) -> ServiceResponse:
    """Return all persons."""
    recognizer = (await recognition(call.hass)).runtime_data
    return {"people": [public_person(person) for person in recognizer.persons]}


async def _sync_people(call: ServiceCall) -> ServiceResponse:
    """Make the engine's index what the gallery is; return what has changed."""
    recognizer = (await recognition(call.hass)).runtime_data
    with translated():
        report = await recognizer.sync()
    return {
        "added": report.added,
        "removed": report.removed,
        "refused": dict(report.refused),
        "deleted": dict(report.deleted),
        "calls": dict(report.calls),
    }


async def _ring(call: ServiceCall) -> ServiceResponse:
    """Ring as a test, with a picture of choice or what the camera sees; return the id of the visit of it."""
    coordinator: DoorbellCoordinator = doorbell(call).runtime_data
    if {ATTR_ENTITY_ID, ATTR_MEDIA} & call.data.keys():
        with translated():
            jpeg = await call.hass.async_add_executor_job(images.prepare, await _read_image(call))
        return {"visit_id": coordinator.async_press_as(jpeg)}
    rang: asyncio.Future[str] = call.hass.loop.create_future()

    @callback
    def heard(ring: Rang) -> None:
        if ring.ring.test and not rang.done():
            rang.set_result(ring.visit_id)

    stop = coordinator.async_add_ring_listener(heard)
    try:
        await coordinator.async_press()
        async with asyncio.timeout(RING_S):
            return {"visit_id": await rang}
    except TimeoutError:
        return {"visit_id": None}
    finally:
        stop()


ACTIONS: Final = (
    *visit_actions.ACTIONS,
    *gallery_actions.ACTIONS,
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
    Action(name="list_people", handler=_list_people),
    Action(name="sync_people", handler=_sync_people, response=SupportsResponse.OPTIONAL, admin=True),
    Action(
        name="ring",
        handler=_ring,
        schema={vol.Required(ATTR_DEVICE_ID): cv.string, **_image()},
        response=SupportsResponse.OPTIONAL,
    ),
)


class _Choice(TypedDict):
    faces: Mapping[int, int]
    force: bool


def _choice(call: ServiceCall, photos: Sequence[bytes]) -> _Choice:
    """Return which face is meant in photos with several, and whether doubts count."""
    face: int | None = call.data.get(ATTR_FACE)
    faces = {} if face is None else dict.fromkeys(range(len(photos)), face)
    return {"faces": faces, "force": call.data[ATTR_FORCE]}


@contextmanager
def _photos_numbered(count: int) -> Iterator[None]:
    """Raise errors of recognition as Home Assistant's; of several photos, tell which one is refused."""
    with translated():
        try:
            yield
        except PhotoRefusedError as err:
            if count == 1:
                raise
            raise invalid(
                "photo_refused", number=str(err.position + 1), reason=recognition_error_message(err)
            ) from err


async def _read_image(call: ServiceCall, prefix: str = "") -> bytes:
    """Return the one picture that the fields of `prefix` name."""
    entity_id: str | None = call.data.get(f"{prefix}{ATTR_ENTITY_ID}")
    media: Media | None = call.data.get(f"{prefix}{ATTR_MEDIA}")
    if entity_id and not media:
        return await async_read_entity(call.hass, entity_id, call.context)
    if media and not entity_id:
        return await async_read_media(call.hass, media, call.context)
    raise invalid("image_missing")


async def _read_photos(call: ServiceCall) -> list[bytes]:
    """Return the pictures of all entities and media items."""
    photos = [
        await async_read_entity(call.hass, entity_id, call.context) for entity_id in call.data[ATTR_ENTITY_ID]
    ]
    photos += [await async_read_media(call.hass, media, call.context) for media in call.data[ATTR_MEDIA]]
    if not photos:
        raise invalid("photos_missing")
    return photos


def _face(face: FaceAnswer, names: Mapping[str, str], decided_by: Rule) -> JsonObjectType:
    return {
        "name": names.get(face.person_id) if face.person_id else None,
        "person_id": face.person_id,
        "similarity": face.similarity,
        "certainty": certainty(face.similarity, decided_by) if face.person_id and face.similarity else None,
        "box": asdict(face.box),
    }
