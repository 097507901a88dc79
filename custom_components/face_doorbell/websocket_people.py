"""What the people card needs beyond the actions: persons with their photos, photos by upload, the check in sentences.

All of it is for administrators. What is refused is an answer like any other: it stands in no log.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.decorators import async_response, require_admin, websocket_command
from homeassistant.const import ATTR_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from .check_report import findings
from .const import DOMAIN
from .entries import async_loaded_recognition, rule
from .errors import recognition_error_message
from .media import async_read_upload
from .naming import async_enrol_photo, async_remove_photos
from .public import public_check, public_member
from .recognition.errors import RecognitionError
from .recognition.gallery import MAX_PHOTOS

ATTR_FACE: Final = "face"
ATTR_FORCE: Final = "force"
ATTR_PERSON_ID: Final = "person_id"
ATTR_PHOTO_ID: Final = "photo_id"
ATTR_UPLOAD: Final = "upload"

type Message = dict[str, Any]
type Answer = Callable[[HomeAssistant, Message], Awaitable[object]]
type Command = Callable[[HomeAssistant, ActiveConnection, Message], None]


@callback
def async_setup_websocket_people(hass: HomeAssistant) -> None:
    """Register all commands."""
    for command in (list_people, add_photo, remove_photo, check_people):
        async_register_command(hass, command)


def _answered(answer: Answer) -> Command:
    """Make a command of a function: its result is sent, and so is what it refuses, with the key of the text."""

    @require_admin
    @async_response
    @wraps(answer)
    async def command(hass: HomeAssistant, connection: ActiveConnection, msg: Message) -> None:
        try:
            result = await answer(hass, msg)
        except RecognitionError as err:
            connection.send_error(
                msg["id"],
                err.key,
                recognition_error_message(err),
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.placeholders,
            )
        else:
            connection.send_result(msg["id"], result)

    return command


@websocket_command({vol.Required("type"): "face_doorbell/people/list"})
@_answered
async def list_people(hass: HomeAssistant, msg: Message) -> object:
    """Return all persons, by name, with their photos, and how many photos each can have."""
    entry = await async_loaded_recognition(hass)
    people = [public_member(hass, person) for person in entry.runtime_data.persons]
    return {"people": people, "most_photos": MAX_PHOTOS}


@websocket_command(
    {
        vol.Required("type"): "face_doorbell/people/add_photo",
        vol.Exclusive(ATTR_PERSON_ID, "who"): cv.string,
        vol.Exclusive(ATTR_NAME, "who"): cv.string,
        vol.Required(ATTR_UPLOAD): cv.string,
        vol.Optional(ATTR_FACE): vol.All(int, vol.Range(min=1)),
        vol.Optional(ATTR_FORCE, default=False): cv.boolean,
    }
)
@_answered
async def add_photo(hass: HomeAssistant, msg: Message) -> object:
    """Add an uploaded photo to a person, or a new person of this name with it."""
    person = await async_enrol_photo(
        hass,
        await async_read_upload(hass, msg[ATTR_UPLOAD]),
        person_id=msg.get(ATTR_PERSON_ID),
        name=msg.get(ATTR_NAME, ""),
        face=msg.get(ATTR_FACE),
        force=msg[ATTR_FORCE],
    )
    return public_member(hass, person)


@websocket_command(
    {
        vol.Required("type"): "face_doorbell/people/remove_photo",
        vol.Required(ATTR_PERSON_ID): cv.string,
        vol.Required(ATTR_PHOTO_ID): cv.string,
    }
)
@_answered
async def remove_photo(hass: HomeAssistant, msg: Message) -> object:
    """Remove a photo of a person, but not the last one."""
    return public_member(hass, await async_remove_photos(hass, msg[ATTR_PERSON_ID], [msg[ATTR_PHOTO_ID]]))


@websocket_command({vol.Required("type"): "face_doorbell/people/check"})
@_answered
async def check_people(hass: HomeAssistant, msg: Message) -> object:
    """Compare all photos with each other; `findings` are keys of sentences in `common`, and what to fill in."""
    entry = await async_loaded_recognition(hass)
    decided_by = rule(entry)
    check = await entry.runtime_data.check(decided_by)
    sentences = [
        {"key": key, "placeholders": placeholders} for key, placeholders in findings(check, decided_by)
    ]
    return {**public_check(check), "findings": sentences}
