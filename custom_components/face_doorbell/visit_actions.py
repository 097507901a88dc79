"""The actions on visits, and on persons as far as visits know them: list, name, correct, forget."""

from typing import Final

from homeassistant.const import ATTR_DEVICE_ID, ATTR_NAME
from homeassistant.core import ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from .actions import Action, doorbell_id, invalid, recognition, translated
from .errors import recognition_error_message
from .model import Outcome
from .naming import (
    FORGET_EVERYONE,
    async_forget_everyone,
    async_forget_visit,
    async_name_visitor,
    async_not_this_person,
    async_remove_person,
    async_rename_person,
    is_confirmed,
)
from .public import public_person, public_removal, public_visit
from .visits import PAGE, VISITS, VisitFilter

ATTR_BEFORE: Final = "before"
ATTR_CONFIRM: Final = "confirm"
ATTR_FACE: Final = "face"
ATTR_FORCE: Final = "force"
ATTR_LIMIT: Final = "limit"
ATTR_MISSED: Final = "missed"
ATTR_OUTCOME: Final = "outcome"
ATTR_PERSON: Final = "person"
ATTR_VISIT: Final = "visit_id"
ATTR_WHOLE_GROUP: Final = "whole_group"

MOST_VISITS: Final = 100  # in one answer

_VISIT: Final[dict[vol.Marker, object]] = {vol.Required(ATTR_VISIT): cv.string}
_FACE: Final[dict[vol.Marker, object]] = {**_VISIT, vol.Optional(ATTR_FACE): cv.positive_int}
_PERSON: Final[dict[vol.Marker, object]] = {vol.Required(ATTR_PERSON): cv.string}


async def _list_visits(call: ServiceCall) -> ServiceResponse:
    """Return a page of visits, and where the next one begins."""
    data = call.data
    wanted = VisitFilter(
        doorbell_id=doorbell_id(call.hass, data[ATTR_DEVICE_ID]) if ATTR_DEVICE_ID in data else None,
        person_id=await _person_id(call) if ATTR_PERSON in data else None,
        outcome=Outcome(data[ATTR_OUTCOME]) if ATTR_OUTCOME in data else None,
        missed=data.get(ATTR_MISSED),
    )
    log = call.hass.data[VISITS]
    visits = log.query(wanted, before=data.get(ATTR_BEFORE), limit=data[ATTR_LIMIT])
    return {
        "visits": [public_visit(call.hass, visit) for visit in visits],
        "count": log.count(wanted),
        "before": visits[-1].cursor if len(visits) == data[ATTR_LIMIT] else None,
    }


async def _name_visitor(call: ServiceCall) -> ServiceResponse:
    """Say whose face one of a visit is."""
    data = call.data
    recognizer = (await recognition(call.hass)).runtime_data
    known = {person.id for person in recognizer.persons}
    who = {"person_id" if data[ATTR_PERSON] in known else "name": data[ATTR_PERSON]}
    with translated():
        named = await async_name_visitor(
            call.hass,
            data[ATTR_VISIT],
            _face(call),
            whole_group=data[ATTR_WHOLE_GROUP],
            force=data[ATTR_FORCE],
            **who,
        )
    return {
        **public_person(named.person),
        "visits": list(named.visits),
        "photos_added": named.photos_added,
        "photos_refused": [
            {
                "visit_id": each.face.visit_id,
                "face": each.face.face,
                "reason": each.error.key,
                "details": dict(each.error.placeholders),
                "message": recognition_error_message(each.error),
            }
            for each in named.refused
        ],
    }


async def _not_this_person(call: ServiceCall) -> ServiceResponse:
    """Make a face of a visit a stranger's."""
    with translated():
        return public_visit(
            call.hass, await async_not_this_person(call.hass, call.data[ATTR_VISIT], _face(call, known=True))
        )


async def _forget_visit(call: ServiceCall) -> ServiceResponse:
    """Delete a visit with its pictures."""
    with translated():
        visit = await async_forget_visit(call.hass, call.data[ATTR_VISIT])
    return {"visit_id": visit.visit_id, "pictures": len(visit.pictures)}


async def _rename_person(call: ServiceCall) -> ServiceResponse:
    """Give a person another name."""
    person_id = await _person_id(call)
    with translated():
        return public_person(await async_rename_person(call.hass, person_id, call.data[ATTR_NAME]))


async def _remove_person(call: ServiceCall) -> ServiceResponse:
    """Forget a person, and tell what was removed where."""
    person_id = await _person_id(call)
    with translated():
        return public_removal(await async_remove_person(call.hass, person_id))


async def _forget_everyone(call: ServiceCall) -> ServiceResponse:
    """Forget all persons and visits, and tell what was removed where."""
    if not is_confirmed(call.data[ATTR_CONFIRM]):
        raise invalid("not_confirmed", phrase=FORGET_EVERYONE)
    with translated():
        return public_removal(await async_forget_everyone(call.hass))


async def _person_id(call: ServiceCall) -> str:
    """Return the id of the person whose id or name is given."""
    recognizer = (await recognition(call.hass)).runtime_data
    with translated():
        return recognizer.find(call.data[ATTR_PERSON]).id


def _face(call: ServiceCall, *, known: bool = False) -> int:
    """Return the face that is meant: unless told, the largest of a stranger (or of a person) there is."""
    if ATTR_FACE in call.data:
        face: int = call.data[ATTR_FACE]
        return face
    visit = call.hass.data[VISITS].get(call.data[ATTR_VISIT])
    faces = visit.faces if visit else ()
    return next((index for index, each in enumerate(faces) if (each.person_id is not None) is known), 0)


ACTIONS: Final = (
    Action(
        name="list_visits",
        handler=_list_visits,
        schema={
            vol.Optional(ATTR_DEVICE_ID): cv.string,
            vol.Optional(ATTR_PERSON): cv.string,
            vol.Optional(ATTR_OUTCOME): vol.In([outcome.value for outcome in Outcome]),
            vol.Optional(ATTR_MISSED): cv.boolean,
            vol.Optional(ATTR_BEFORE): cv.string,
            vol.Optional(ATTR_LIMIT, default=PAGE): vol.All(vol.Coerce(int), vol.Range(1, MOST_VISITS)),
        },
    ),
    Action(
        name="name_visitor",
        handler=_name_visitor,
        schema={
            **_FACE,
            **_PERSON,
            vol.Optional(ATTR_WHOLE_GROUP, default=True): cv.boolean,
            vol.Optional(ATTR_FORCE, default=False): cv.boolean,
        },
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="not_this_person",
        handler=_not_this_person,
        schema=_FACE,
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="forget_visit",
        handler=_forget_visit,
        schema=_VISIT,
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="rename_person",
        handler=_rename_person,
        schema={**_PERSON, vol.Required(ATTR_NAME): cv.string},
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="remove_person",
        handler=_remove_person,
        schema=_PERSON,
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
    Action(
        name="forget_everyone",
        handler=_forget_everyone,
        schema={vol.Required(ATTR_CONFIRM): cv.string},
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
)
