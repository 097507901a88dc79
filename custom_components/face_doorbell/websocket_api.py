"""What the frontend needs beyond the actions: visits in pages and as they come, and the dashboard to make a copy of.

All of it is for everybody who is logged in; what changes people are actions for administrators.
"""

from typing import Any, Final

from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.decorators import async_response, websocket_command
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from .actions import doorbell_id
from .dashboard_source import async_dashboard
from .entries import person_names, recognition_entry
from .model import Outcome
from .public import public_visit
from .visits import PAGE, VISITS, ChangeKind, VisitChange, VisitFilter

ATTR_BEFORE: Final = "before"
ATTR_LIMIT: Final = "limit"
ATTR_MISSED: Final = "missed"
ATTR_OUTCOME: Final = "outcome"
ATTR_PERSON_ID: Final = "person_id"

MOST_VISITS: Final = 100  # in one answer

# Which visits are wanted.
_WANTED: Final[dict[str | vol.Marker, object]] = {
    vol.Optional(ATTR_DEVICE_ID): cv.string,
    vol.Optional(ATTR_PERSON_ID): cv.string,
    vol.Optional(ATTR_OUTCOME): vol.In(list(Outcome)),
    vol.Optional(ATTR_MISSED): cv.boolean,
}


@callback
def async_setup_websocket_api(hass: HomeAssistant) -> None:
    """Register all commands."""
    for command in (list_visits, subscribe_visits, get_dashboard):
        async_register_command(hass, command)


@callback
@websocket_command(
    {
        vol.Required("type"): "face_doorbell/visits/list",
        vol.Optional(ATTR_BEFORE): cv.string,
        vol.Optional(ATTR_LIMIT, default=PAGE): vol.All(int, vol.Range(1, MOST_VISITS)),
        **_WANTED,
    }
)
def list_visits(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Return a page of visits, newest first, where the next one begins, and the names of all persons by id."""
    visits = hass.data[VISITS].query(_wanted(hass, msg), before=msg.get(ATTR_BEFORE), limit=msg[ATTR_LIMIT])
    entry = recognition_entry(hass)
    connection.send_result(
        msg["id"],
        {
            "visits": [public_visit(hass, visit) for visit in visits],
            "before": visits[-1].cursor if len(visits) == msg[ATTR_LIMIT] else None,
            "people": person_names(entry) if entry else {},
        },
    )


@callback
@websocket_command({vol.Required("type"): "face_doorbell/visits/subscribe", **_WANTED})
def subscribe_visits(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Tell of every visit that is added, changed or removed from now on, as `{"change", "visit"}`.

    A visit that has become another than is wanted is `removed`: somebody has said who the stranger was.
    """
    wanted = _wanted(hass, msg)

    @callback
    def changed(change: VisitChange) -> None:
        kind = change.kind
        if not wanted.takes(change.visit):
            if kind is not ChangeKind.CHANGED:
                return
            kind = ChangeKind.REMOVED
        connection.send_event(msg["id"], {"change": kind, "visit": public_visit(hass, change.visit)})

    connection.subscriptions[msg["id"]] = hass.data[VISITS].async_subscribe(changed)
    connection.send_result(msg["id"])


@websocket_command({vol.Required("type"): "face_doorbell/dashboard"})
@async_response
async def get_dashboard(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Return the dashboard of what there is now."""
    connection.send_result(msg["id"], await async_dashboard(hass))


def _wanted(hass: HomeAssistant, msg: dict[str, Any]) -> VisitFilter:
    return VisitFilter(
        doorbell_id=doorbell_id(hass, msg[ATTR_DEVICE_ID]) if ATTR_DEVICE_ID in msg else None,
        person_id=msg.get(ATTR_PERSON_ID),
        outcome=Outcome(msg[ATTR_OUTCOME]) if ATTR_OUTCOME in msg else None,
        missed=msg.get(ATTR_MISSED),
    )
