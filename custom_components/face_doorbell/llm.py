"""A tool for assistants that work with a language model: who was at the door?

It is there for the doors whose sensor *Last visitor* is exposed to the assistant, which none is until the user does so:
the names of visitors then go to the model, wherever it runs. It only reads.
"""

from datetime import datetime
from typing import Final, cast, override

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.components.llm import LLMTools
from homeassistant.const import CONF_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.llm import LLM_API_ASSIST, LLMContext, Tool, ToolAnnotations, ToolInput
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .const import DOMAIN, EntryKind
from .entries import doorbell_name, kind
from .sensor import LAST_VISITOR
from .visits import VISITS, Visit

MOST_VISITS: Final = 50  # what a model can read without losing the thread
DEFAULT_VISITS: Final = 20

SINCE: Final = "since"
UNTIL: Final = "until"
PERSON: Final = "person"
LIMIT: Final = "limit"


@callback
def async_get_tools(hass: HomeAssistant, llm_context: LLMContext, api_id: str) -> LLMTools | None:
    """Return the tool if there is a door that it may tell of."""
    if api_id != LLM_API_ASSIST or not _exposed_doors(hass, llm_context):
        return None
    return LLMTools([VisitsTool()])


class VisitsTool(Tool):
    """Lists visits, the newest first."""

    name = f"{DOMAIN}__list_visits"
    title = "List visitors"
    description = "Who was at the door, and when: lists the visits at the doorbells, the newest first."
    integration = DOMAIN
    annotations = ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=False)
    parameters = vol.Schema(
        {
            vol.Optional(SINCE, description="Local time; the start of today if missing"): cv.datetime,
            vol.Optional(UNTIL, description="Local time; now if missing"): cv.datetime,
            vol.Optional(PERSON, description="Only visits of the person with this name"): cv.string,
            vol.Optional(LIMIT, default=DEFAULT_VISITS): vol.All(vol.Coerce(int), vol.Range(1, MOST_VISITS)),
        }
    )

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: ToolInput, llm_context: LLMContext
    ) -> JsonObjectType:
        """Return the visits that are asked for."""
        asked = self.parameters(tool_input.tool_args)
        since = _local(asked.get(SINCE, dt_util.start_of_local_day()))
        until = _local(asked.get(UNTIL, dt_util.now()))
        person = cast(str, asked.get(PERSON, "")).casefold()
        doors = _exposed_doors(hass, llm_context)
        visits = [
            visit
            for visit in hass.data[VISITS].newest_first()
            if visit.doorbell_id in doors
            and since <= visit.at <= until
            and (not person or person in (name.casefold() for name in visit.names))
        ]
        return {"visits": [_told(hass, visit) for visit in visits[: asked[LIMIT]]], "count": len(visits)}


def _told(hass: HomeAssistant, visit: Visit) -> JsonObjectType:
    return {
        "at": dt_util.as_local(visit.at).isoformat(timespec="minutes"),
        "door": doorbell_name(hass, visit.doorbell_id),
        "outcome": visit.outcome,
        "persons": list(visit.names),
        "strangers": visit.strangers,
        "test": visit.test,
    }


def _local(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=dt_util.get_default_time_zone())


@callback
def _exposed_doors(hass: HomeAssistant, llm_context: LLMContext) -> set[str]:
    """Return the ids of the doorbells whose last visitor the assistant may know."""
    registry = er.async_get(hass)
    doors: set[str] = {
        entry.data[CONF_ID]
        for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        if kind(entry) is EntryKind.DOORBELL
    }
    return {
        door
        for door in doors
        if llm_context.assistant
        and (entity_id := registry.async_get_entity_id("sensor", DOMAIN, f"{door}_{LAST_VISITOR.key}"))
        and async_should_expose(hass, llm_context.assistant, entity_id)
    }
