"""Visits in pages and as they come, over the WebSocket of the frontend."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.visits import PAGE, VISITS, Visit, VisitFace
from tests.bridge.doubles import RunningBridge

from .helpers import BOX, NAME, ScriptedEngine, add_doorbell, add_recognition

SUBSCRIBE = "face_doorbell/visits/subscribe"
LIST = "face_doorbell/visits/list"


def visit(number: int, **values: Any) -> Visit:
    """Return a visit; higher numbers are later ones."""
    at = dt_util.utcnow() - timedelta(hours=1) + timedelta(seconds=number)
    return Visit(**{"visit_id": f"v{number}", "doorbell_id": "other", "at": at, **values})


async def add(hass: HomeAssistant, visits: Sequence[Visit]) -> None:
    for each in visits:
        await hass.data[VISITS].async_add(each, {})


async def ask(ws: Any, kind: str, **data: object) -> Any:
    await ws.send_json_auto_id({"type": kind, **data})
    answer = await ws.receive_json()
    assert answer["success"], answer
    return answer["result"]


def ids(page: Any) -> list[str]:
    return [each["visit_id"] for each in page["visits"]]


@pytest.fixture
async def recognition(hass: HomeAssistant) -> None:
    await add_recognition(hass, ScriptedEngine(), {"p1": "Alice"})


@pytest.mark.usefixtures("recognition")
async def test_pages_go_on_where_the_last_one_ended(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, hass_read_only_access_token: str
) -> None:
    await add(hass, [visit(number) for number in range(PAGE + 3)])
    ws = await hass_ws_client(hass, hass_read_only_access_token)
    first = await ask(ws, LIST)
    assert ids(first) == [f"v{number}" for number in range(PAGE + 2, 2, -1)]
    assert first["people"] == {"p1": "Alice"}
    second = await ask(ws, LIST, before=first["before"])
    assert ids(second) == ["v2", "v1", "v0"]
    assert second["before"] is None
    short = await ask(ws, LIST, limit=2)
    assert ids(short) == [f"v{PAGE + 2}", f"v{PAGE + 1}"]
    assert ids(await ask(ws, LIST, limit=PAGE, before=short["before"]))[0] == f"v{PAGE}"


@pytest.mark.usefixtures("recognition")
async def test_only_what_is_wanted_is_listed_and_told(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    stranger = visit(1, outcome=Outcome.UNKNOWN, faces=(VisitFace(BOX),))
    await add(hass, [stranger, visit(2, outcome=Outcome.NO_FACE)])
    ws = await hass_ws_client(hass)
    assert ids(await ask(ws, LIST, outcome="unknown")) == ["v1"]
    await ask(ws, SUBSCRIBE, outcome="unknown")
    await add(hass, [visit(3, outcome=Outcome.FAILED), visit(4, outcome=Outcome.UNKNOWN)])
    event = (await ws.receive_json())["event"]
    assert (event["change"], event["visit"]["visit_id"]) == ("added", "v4")
    alice = VisitFace(BOX, "p1", "Alice", by_user=True)
    await hass.data[VISITS].async_change("v1", lambda seen: replace(seen, faces=()).with_face(0, alice))
    event = (await ws.receive_json())["event"]
    assert (event["change"], event["visit"]["names"]) == ("removed", ["Alice"])
    await hass.data[VISITS].async_forget(["v2", "v4"])
    event = (await ws.receive_json())["event"]
    assert (event["change"], event["visit"]["visit_id"]) == ("removed", "v4")


async def test_a_door_is_given_by_its_device_even_when_it_is_away(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    entry = await add_doorbell(hass, bridge)
    await add(hass, [visit(1), visit(2, doorbell_id=entry.unique_id)])
    await hass.config_entries.async_unload(entry.entry_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    ws = await hass_ws_client(hass)
    page = await ask(ws, LIST, device_id=devices[0].id)
    assert ids(page) == ["v2"]
    assert page["visits"][0]["doorbell"] == NAME
    await ws.send_json_auto_id({"type": LIST, "device_id": "none"})
    assert (await ws.receive_json())["error"]["translation_key"] == "not_a_doorbell"


async def test_the_dashboard_can_be_copied(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    hass.set_state(CoreState.not_running)  # no page is older than we are
    await add_doorbell(hass, bridge)
    hass.set_state(CoreState.running)
    ws = await hass_ws_client(hass)
    copy = await ask(ws, "face_doorbell/dashboard")
    assert copy == await ask(ws, "lovelace/config", url_path=DOMAIN.replace("_", "-"))
