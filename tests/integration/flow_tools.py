"""Walking through flows, as the user interface does."""

from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant

from custom_components.face_doorbell.const import DOMAIN, SUBENTRY_PERSON
from tests.bridge.doubles import RunningBridge
from tests.recognition.conftest import BUCKET, REGION

KEYS = {"access_key_id": "AKIATEST", "secret_access_key": "very secret"}
AWS_FORM: dict[str, Any] = {
    **KEYS,
    "region": REGION,
    "bucket": BUCKET,
    "collection": "face_doorbell",
    "mode": "search",
    "advanced": {},
}

Step = Mapping[str, Any]  # what any of the three kinds of flows shows next


async def start(hass: HomeAssistant, *answers: Mapping[str, Any]) -> Step:
    """Start a flow as a user and answer its first steps."""
    step: Step = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    for each in answers:
        step = await answer(hass, step, each)
    return step


async def answer(hass: HomeAssistant, step: Step, user_input: Mapping[str, Any]) -> Step:
    """Answer a step of a config flow; return the next one, once Home Assistant has settled."""
    step = await hass.config_entries.flow.async_configure(step["flow_id"], dict(user_input))
    await hass.async_block_till_done()
    return step


def choose(option: str) -> dict[str, str]:
    """Return the answer to a menu."""
    return {"next_step_id": option}


def address(bridge: RunningBridge) -> dict[str, Any]:
    """Return the answer to where the bridge is."""
    return {"host": bridge.host, "port": bridge.port}


def state(entry: ConfigEntry) -> ConfigEntryState:
    """Return the state of an entry as it is now."""
    return entry.state


async def add_doorbell(hass: HomeAssistant, bridge: RunningBridge) -> ConfigEntry:
    """Pair a doorbell."""
    step = await start(hass)
    if step["type"] == "menu":
        step = await answer(hass, step, choose("doorbell"))
    step = await answer(hass, step, address(bridge))
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    entry: ConfigEntry = step["result"]
    return entry


async def reconfigure(hass: HomeAssistant, entry: ConfigEntry, engine: str) -> Step:
    step: Step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert step["step_id"] == "recognition"
    return await answer(hass, step, choose(engine))


def suggested(step: Step) -> dict[str, Any]:
    """Return what a form shows in its fields."""
    shown: dict[str, Any] = {}
    for marker, validator in step["data_schema"].schema.items():
        fields = validator.schema.schema if hasattr(validator, "options") else {marker: validator}
        shown |= {
            str(field): field.description["suggested_value"]
            for field in fields
            if field.description and field.description.get("suggested_value")
        }
    return shown


async def start_person(hass: HomeAssistant, entry: ConfigEntry) -> Step:
    """Start to add a person."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_PERSON), context={"source": SOURCE_USER}
    )


async def change_person(hass: HomeAssistant, entry: ConfigEntry, what: str) -> Step:
    """Start to change the one person of an entry."""
    (subentry_id,) = entry.subentries
    menu = await entry.start_subentry_reconfigure_flow(hass, subentry_id)  # type: ignore[attr-defined] # test plugin
    return await answer_person(hass, menu, choose(what))


async def answer_person(hass: HomeAssistant, step: Step, user_input: Mapping[str, Any]) -> Step:
    """Answer a step of a person's flow."""
    step = await hass.config_entries.subentries.async_configure(step["flow_id"], dict(user_input))
    await hass.async_block_till_done()
    return step


async def options(hass: HomeAssistant, entry: ConfigEntry, what: str) -> Step:
    """Start to change some of the options of an entry."""
    menu = await hass.config_entries.options.async_init(entry.entry_id)
    return await hass.config_entries.options.async_configure(menu["flow_id"], choose(what))


async def upload(client: TestClient[Any, Any], content: bytes, name: str = "photo.jpg") -> str:
    """Upload a file as the user interface does; return its id."""
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name)
    response = await client.post("/api/file_upload", data=form)
    assert response.status == 200
    file_id: str = (await response.json())["file_id"]
    return file_id
