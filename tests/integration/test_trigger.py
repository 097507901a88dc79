"""Which trigger fires for which press, and what it carries; the tables in docs/automations.md are made here.

After a change, `pytest tests/integration/test_trigger.py --write-docs` writes them anew.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_mock_service
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell import attendance
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError
from tests import photos
from tests.bridge.doubles import RunningBridge

from .helpers import (
    DOORBELL,
    STRANGER,
    TEST_RING,
    VISITOR,
    Answer,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    known,
    state,
    until,
    until_acked,
)
from .test_condition import RECOGNITION, holds
from .test_doorbell import restart

AUTOMATIONS_MD = Path(__file__).parents[2] / "docs" / "automations.md"

PERSONS = {"ann-1": "Ann", "bob-1": "Bob"}


async def automate(hass: HomeAssistant, **triggers: Mapping[str, Any]) -> list[ServiceCall]:
    """Set up an automation; returns the calls that tell which of its triggers, by name, have fired with what."""
    calls: list[ServiceCall] = async_mock_service(hass, "test", "fired")
    assert await async_setup_component(
        hass,
        "automation",
        {
            "automation": {
                "mode": "parallel",
                "triggers": [{"id": name, **config} for name, config in triggers.items()],
                "actions": {
                    "action": "test.fired",
                    "data": {"id": "{{ trigger.id }}", "told": "{{ trigger }}"},
                },
            }
        },
    )
    await hass.async_block_till_done()
    return calls


def door(key: str, target: Mapping[str, Any] | None = None, **options: object) -> dict[str, Any]:
    """Return the configuration of a trigger of ours."""
    return {
        "trigger": f"face_doorbell.{key}",
        "target": target or {"entity_id": DOORBELL},
        "options": options,
    }


def fired(calls: list[ServiceCall]) -> list[str]:
    return sorted(call.data["id"] for call in calls)


async def press(hass: HomeAssistant, bridge: RunningBridge) -> None:
    bridge.press()
    await until_acked(bridge)
    await hass.async_block_till_done()


# All triggers: ours, ours that want late ones too, and Home Assistant's own, in the order of the table

OURS = ("rang", "recognized", "unknown_visitor", "no_face", "failed")
EVERY_TRIGGER: Mapping[str, Mapping[str, Any]] = {
    **{f"face_doorbell.{key}": door(key) for key in OURS},
    **{f"face_doorbell.{key}, late ones too": door(key, late=True) for key in OURS},
    "doorbell.rang": {"trigger": "doorbell.rang", "target": {"entity_id": DOORBELL}},
    **{
        f"event.received: {outcome}": {
            "trigger": "event.received",
            "target": {"entity_id": VISITOR},
            "options": {"event_type": outcome},
        }
        for outcome in ("recognized", "unknown", "no_face", "failed")
    },
}

# Each condition, with its options

EVERY_CONDITION: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "face_doorbell.is_last_visitor": ("is_last_visitor", {}),
    **{
        f"face_doorbell.is_last_visitor: {outcome}": ("is_last_visitor", {"outcome": outcome})
        for outcome in ("recognized", "unknown", "no_face", "failed")
    },
    "face_doorbell.is_last_visitor: Ann": ("is_last_visitor", {"persons": "Ann"}),
    "face_doorbell.is_last_visitor: within 5 minutes": ("is_last_visitor", {"within": {"minutes": 5}}),
    "face_doorbell.is_recognition_on": ("is_recognition_on", {}),
}

Press = Callable[[HomeAssistant, RunningBridge, str], Awaitable[None]]


async def at_once(hass: HomeAssistant, bridge: RunningBridge, entry_id: str) -> None:
    await press(hass, bridge)


async def with_the_test_button(hass: HomeAssistant, bridge: RunningBridge, entry_id: str) -> None:
    await hass.services.async_call("button", "press", {"entity_id": TEST_RING}, blocking=True)
    await until(lambda: bridge.running.bridge.health()["pending"])
    await until_acked(bridge)
    await hass.async_block_till_done()


async def without_recognition(hass: HomeAssistant, bridge: RunningBridge, entry_id: str) -> None:
    await hass.services.async_call("switch", "turn_off", {"entity_id": RECOGNITION}, blocking=True)
    await press(hass, bridge)


async def while_away(hass: HomeAssistant, bridge: RunningBridge, entry_id: str) -> None:
    await restart(hass, entry_id, meanwhile=bridge.press)
    await until_acked(bridge)
    await hass.async_block_till_done()


async def during_a_short_loss(hass: HomeAssistant, bridge: RunningBridge, entry_id: str) -> None:
    await bridge.restart()
    await press(hass, bridge)


async def with_a_late_answer(hass: HomeAssistant, bridge: RunningBridge, entry_id: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attendance, "late_after", lambda _hass: -1)
        await press(hass, bridge)


KNOWN, FAILS = (known("ann-1"),), EngineUnavailableError("throttled")

PRESSES: Mapping[str, tuple[Answer, Press]] = {
    "a known person": (KNOWN, at_once),
    "a stranger": ((STRANGER,), at_once),
    "nobody to be seen": ((), at_once),
    "recognition fails": (FAILS, at_once),
    "recognition is switched off": (KNOWN, without_recognition),
    "a test ring": (KNOWN, with_the_test_button),
    "the connection was away for a moment": (KNOWN, during_a_short_loss),
    "the answer comes too late": (KNOWN, with_a_late_answer),
    "Home Assistant was away": (KNOWN, while_away),
}


def both(key: str) -> set[str]:
    """Return the names of a trigger of ours without and with late ones."""
    return {f"face_doorbell.{key}", f"face_doorbell.{key}, late ones too"}


RANG = {*both("rang"), "doorbell.rang"}

FIRED: Mapping[str, set[str]] = {
    "a known person": RANG | both("recognized") | {"event.received: recognized"},
    "a stranger": RANG | both("unknown_visitor") | {"event.received: unknown"},
    "nobody to be seen": RANG | both("no_face") | {"event.received: no_face"},
    "recognition fails": RANG | both("failed") | {"event.received: failed"},
    "recognition is switched off": RANG,
    "a test ring": RANG | both("recognized") | {"event.received: recognized"},
    "the connection was away for a moment": RANG | both("recognized") | {"event.received: recognized"},
    "the answer comes too late": RANG | {"face_doorbell.recognized, late ones too"},
    "Home Assistant was away": {
        "face_doorbell.rang, late ones too",
        "face_doorbell.recognized, late ones too",
    },
}


def was(outcome: str, *more: str) -> set[str]:
    """Return the names of the conditions that hold after a visit with this outcome."""
    names = ("", f": {outcome}", ": within 5 minutes", *(f": {name}" for name in more))
    return {f"face_doorbell.is_last_visitor{name}" for name in names} | {"face_doorbell.is_recognition_on"}


HOLDS: Mapping[str, set[str]] = {
    "a known person": was("recognized", "Ann"),
    "a stranger": was("unknown"),
    "nobody to be seen": was("no_face"),
    "recognition fails": was("failed"),
    "recognition is switched off": {
        "face_doorbell.is_last_visitor",
        "face_doorbell.is_last_visitor: within 5 minutes",
    },
    "a test ring": was("recognized", "Ann"),
    "the connection was away for a moment": was("recognized", "Ann"),
    "the answer comes too late": was("recognized", "Ann"),
    "Home Assistant was away": was("recognized", "Ann"),
}


@pytest.mark.parametrize("kind", PRESSES)
async def test_which_trigger_fires_for_which_press(
    hass: HomeAssistant, bridge: RunningBridge, kind: str
) -> None:
    answer, how = PRESSES[kind]
    await add_recognition(hass, ScriptedEngine([answer]), PERSONS)
    entry = await add_doorbell(hass, bridge)
    calls = await automate(hass, **EVERY_TRIGGER)

    await how(hass, bridge, entry.entry_id)

    assert fired(calls) == sorted(FIRED[kind])
    held = {name for name, (key, options) in EVERY_CONDITION.items() if await holds(hass, key, **options)}
    assert held == HOLDS[kind]


def table(names: Iterable[str], true_for: Mapping[str, set[str]]) -> str:
    """Return a table of the documentation: what is true for which press."""
    rows = [
        ["", *PRESSES],
        ["---"] * (len(PRESSES) + 1),
        *([f"`{name}`", *("yes" if name in true_for[kind] else "" for kind in PRESSES)] for name in names),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@pytest.mark.parametrize(
    ("place", "names", "true_for"),
    [("triggers", EVERY_TRIGGER, FIRED), ("conditions", EVERY_CONDITION, HOLDS)],
)
def test_the_documentation_has_the_tables(
    pytestconfig: pytest.Config, place: str, names: Iterable[str], true_for: Mapping[str, set[str]]
) -> None:
    text = AUTOMATIONS_MD.read_text()
    begin, end = f"<!-- {place}: made by tests/integration/test_trigger.py -->\n\n", "\n\n<!-- end -->"
    there = re.search(f"{re.escape(begin)}(.*?){re.escape(end)}", text, re.DOTALL)
    assert there is not None
    made = table(names, true_for)
    if pytestconfig.getoption("write_docs"):
        AUTOMATIONS_MD.write_text(text.replace(there.group(), f"{begin}{made}{end}"))
    else:
        assert there[1] == made, "run this file with --write-docs"


# What they carry, and whom they take


async def test_what_a_ring_carries(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    calls = await automate(hass, rang=door("rang"))

    await press(hass, bridge)

    told = calls[0].data["told"]
    device = dr.async_get(hass).async_get(told["device_id"])
    assert device is not None
    assert device.name == told["door"] == "Front door"
    assert told["visit_id"] == state(hass, DOORBELL).attributes["visit_id"]
    assert (told["late"], told["test"]) == (False, False)


async def test_what_a_visit_carries(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("bob-1", 92), STRANGER, known("ann-1", 99)]]), PERSONS)
    await add_doorbell(hass, bridge)
    calls = await automate(hass, recognized=door("recognized"))

    await press(hass, bridge)

    told = calls[0].data["told"]
    assert told["visit_id"] == state(hass, VISITOR).attributes["visit_id"]
    assert (told["outcome"], told["names"], told["person_ids"]) == (
        "recognized",
        ["Ann", "Bob"],
        ["ann-1", "bob-1"],
    )
    assert (told["similarity"], told["certainty"], told["unknown_faces"]) == (99, "sure", 1)
    assert (told["reason"], told["late"], told["test"]) == (None, False, False)
    picture = await (await hass_client()).get(told["picture"])
    assert await picture.read() == photos.photo("obama2")


async def test_how_long_ago_the_visit_before_was(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([KNOWN]), PERSONS)
    await add_doorbell(hass, bridge)
    calls = await automate(hass, rang=door("rang"), recognized=door("recognized"))

    await press(hass, bridge)
    await press(hass, bridge)

    first, second = (
        [call.data["told"]["since_last"] for call in calls if call.data["id"] == name]
        for name in ("rang", "recognized")
    )
    assert first[0] is None
    assert second[0] is None
    assert 0 < first[1] < second[1]


async def test_a_failure_carries_its_reason(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([FAILS]))
    await add_doorbell(hass, bridge)
    calls = await automate(hass, failed=door("failed"))

    await press(hass, bridge)

    assert calls[0].data["told"]["reason"] == "throttled"


async def test_a_trigger_takes_the_persons_that_it_wants(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_recognition(hass, ScriptedEngine([[known("ann-1", 95), STRANGER]]), PERSONS)
    await add_doorbell(hass, bridge)
    ann = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "ann-1"), entry.entry_id)
    bob = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "bob-1"), entry.entry_id)
    assert ann is not None
    assert bob is not None
    calls = await automate(
        hass,
        anybody=door("recognized"),
        by_device=door("recognized", persons=[ann.id]),
        by_another_device=door("recognized", persons=[bob.id]),
        by_name=door("recognized", persons="ann"),
        by_id=door("recognized", persons=["ann-1"]),
        one_of_them=door("recognized", persons=["Bob", "Ann"]),
        somebody_else=door("recognized", persons=["Bob"]),
        sure_enough=door("recognized", similarity=95),
        surer=door("recognized", similarity=95.5),
        no_strangers=door("recognized", no_strangers=True),
    )

    await press(hass, bridge)

    assert fired(calls) == ["anybody", "by_device", "by_id", "by_name", "one_of_them", "sure_enough"]


async def test_a_trigger_takes_the_doors_that_it_wants(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    registry, areas = er.async_get(hass), ar.async_get(hass)
    doorbell = registry.async_get(DOORBELL)
    assert doorbell is not None
    assert doorbell.device_id is not None
    porch = areas.async_create("Porch")
    calls = await automate(
        hass,
        device=door("rang", {"device_id": doorbell.device_id}),
        area=door("rang", {"area_id": porch.id}),
        other_area=door("rang", {"area_id": areas.async_create("Garden").id}),
        other_entity=door("rang", {"entity_id": "event.back_door_doorbell"}),
    )
    # Put there after the automation was set up.
    dr.async_get(hass).async_update_device(doorbell.device_id, area_id=porch.id)

    await press(hass, bridge)

    assert fired(calls) == ["area", "device"]


async def test_a_test_ring_fires_and_says_so(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([KNOWN]), PERSONS)
    entry = await add_doorbell(hass, bridge)
    calls = await automate(hass, rang=door("rang"), recognized=door("recognized"))

    await entry.runtime_data.async_press()
    await until(lambda: len(calls) == 2)

    assert all(call.data["told"]["test"] for call in calls)


async def test_the_editor_offers_them_for_a_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, hass_ws_client: WebSocketGenerator
) -> None:
    await add_doorbell(hass, bridge)
    await async_setup_component(hass, "automation", {})
    device = er.async_get(hass).async_get(DOORBELL)
    assert device is not None
    client = await hass_ws_client(hass)

    for what, ours in (
        ("triggers", {f"face_doorbell.{key}" for key in OURS}),
        ("conditions", {"face_doorbell.is_last_visitor", "face_doorbell.is_recognition_on"}),
    ):
        await client.send_json_auto_id(
            {"type": f"get_{what}_for_target", "target": {"device_id": [device.device_id]}}
        )
        answer = await client.receive_json()
        assert ours <= set(answer["result"])
