"""Visitors who press again, and connections that break while somebody is at the door: one visit, and no ring lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import time

from homeassistant.const import CONF_PORT, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
import pytest

from custom_components.face_doorbell import burst
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.engines import storage
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.visits import VISITS, Visit, VisitLog
from harness.soak.link import Link
from tests.bridge.doubles import RunningBridge

from .helpers import (
    DOORBELL,
    TEST_RING,
    VISITOR,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    known,
    pair,
    set_up,
    until,
    until_acked,
)

ANN = {"ann-1": "Ann"}


@asynccontextmanager
async def noted(hass: HomeAssistant, entity_id: str) -> AsyncIterator[list[State]]:
    """Give the list of an event entity's events; each counts once."""
    events: list[State] = []

    def note(now: State) -> bool:
        # The state is the time of the event; it comes again when the entity is available again.
        if now.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN, *(event.state for event in events)}:
            events.append(now)
        return False

    async with change(hass, entity_id, note):
        yield events


def visits(hass: HomeAssistant) -> list[Visit]:
    """Return all visits, the oldest first."""
    return list(hass.data[VISITS].newest_first())[::-1]


@pytest.fixture
async def engine(hass: HomeAssistant) -> ScriptedEngine:
    """Knows Ann, and thinks until told to go on."""
    engine = ScriptedEngine([[known("ann-1")]])
    engine.go.clear()
    await add_recognition(hass, engine, ANN)
    return engine


# Pressing again


async def test_presses_before_the_answer_are_one_visit(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine
) -> None:
    await add_doorbell(hass, bridge)

    async with noted(hass, DOORBELL) as rings, noted(hass, VISITOR) as answers:
        for _ in range(3):
            async with change(hass, DOORBELL) as rang:
                bridge.press()
                await rang
        engine.go.set()
        await until_acked(bridge)

    (visit,) = visits(hass)
    assert [ring.attributes["event_type"] for ring in rings] == ["ring"] * 3
    assert [ring.attributes["ring_id"] for ring in rings] == [ring.ring_id for ring in visit.rings]
    assert {ring.attributes["visit_id"] for ring in rings} == {visit.visit_id}
    assert sorted(visit.rings, key=lambda ring: ring.at) == list(visit.rings)
    assert [answer.attributes["visit_id"] for answer in answers] == [visit.visit_id]
    assert len(engine.asked) == 1


async def test_a_press_after_the_answer_is_another_visit(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine
) -> None:
    await add_doorbell(hass, bridge)
    engine.go.set()

    for _ in range(2):
        async with change(hass, VISITOR) as visitor:
            bridge.press()
            await visitor
    await until_acked(bridge)

    assert [len(visit.rings) for visit in visits(hass)] == [1, 1]


async def test_a_visitor_who_presses_during_a_test_is_no_test(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine
) -> None:
    await add_doorbell(hass, bridge)

    async with noted(hass, DOORBELL) as rings:
        await hass.services.async_call("button", "press", {"entity_id": TEST_RING}, blocking=True)
        bridge.press()
        await until(lambda: len(rings) == 2)
        engine.go.set()
        await until_acked(bridge)

    (visit,) = visits(hass)
    assert not visit.test


async def test_rings_that_come_late_together_stay_apart(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine
) -> None:
    entry = await add_doorbell(hass, bridge)
    assert await hass.config_entries.async_unload(entry.entry_id)
    seconds_ago = [100, 99, 50]
    for ago in seconds_ago:
        bridge.panel.press(time.monotonic_ns() - ago * 1_000_000_000)

    async with noted(hass, DOORBELL) as rings:
        await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: len(rings) == 3)
        engine.go.set()
        await until_acked(bridge)

    assert [len(visit.rings) for visit in visits(hass)] == [2, 1]
    assert {ring.attributes["event_type"] for ring in rings} == {"missed"}


async def test_a_ring_that_joined_a_visit_is_known_after_a_restart(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine
) -> None:
    entry = await add_doorbell(hass, bridge)
    async with noted(hass, DOORBELL) as rings, change(hass, VISITOR) as visitor:
        bridge.press()
        bridge.press()
        await until(lambda: len(rings) == 2 and engine.asked)
        # The visit is stored, but the bridge does not learn of it.
        await bridge.stop()
        engine.go.set()
        await visitor
    assert await hass.config_entries.async_unload(entry.entry_id)
    # Home Assistant cannot be restarted in a test; it forgets what it kept in memory.
    hass.data.pop(f"{DOMAIN}_heard")
    hass.data[VISITS] = VisitLog(hass, storage(hass) / "visits")
    await hass.data[VISITS].async_load()

    async with noted(hass, DOORBELL) as rings:
        await bridge.start()
        assert bridge.running.bridge.health()["pending"]
        await hass.config_entries.async_setup(entry.entry_id)
        await until_acked(bridge)

    assert rings == []
    assert [len(visit.rings) for visit in visits(hass)] == [2]


# Broken connections


async def test_a_reload_does_not_ring_again(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine
) -> None:
    entry = await add_doorbell(hass, bridge)

    async with noted(hass, DOORBELL) as rings, noted(hass, VISITOR) as answers:
        bridge.press()
        await until(lambda: engine.asked)
        await hass.config_entries.async_reload(entry.entry_id)
        engine.go.set()
        await until_acked(bridge)

    assert len(rings) == 1
    assert [answer.attributes["event_type"] for answer in answers] == [Outcome.RECOGNIZED]
    assert len(visits(hass)) == 1


@pytest.fixture
async def link(hass: HomeAssistant, bridge: RunningBridge) -> AsyncIterator[Link]:
    """A network between Home Assistant and the bridge, and the doorbell set up behind it."""
    async with Link() as link:
        link.target = bridge.port
        entry = await pair(hass, bridge)
        entry.add_to_hass(hass)
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PORT: link.port})
        await set_up(hass, entry)
        yield link
        await hass.config_entries.async_unload(entry.entry_id)


async def test_a_connection_lost_while_pictures_are_fetched_comes_back(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine, link: Link
) -> None:
    engine.go.set()

    async with noted(hass, DOORBELL) as rings, noted(hass, VISITOR) as answers:
        link.down = True  # what is connected stays; the pictures need another connection
        bridge.press()
        await until(lambda: rings)
        link.cut()
        link.down = False
        await until_acked(bridge)

    assert len(rings) == 1
    assert [answer.attributes["event_type"] for answer in answers] == [Outcome.RECOGNIZED]
    assert len(visits(hass)) == 1


async def test_a_connection_lost_while_pictures_are_fetched_ends_the_visit_with_what_is_there(
    hass: HomeAssistant,
    bridge: RunningBridge,
    engine: ScriptedEngine,
    link: Link,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(burst, "BURST_S", 0.3)

    async with noted(hass, DOORBELL) as rings, noted(hass, VISITOR) as answers:
        link.down = True
        bridge.press()
        await until(lambda: rings)
        link.cut()
        await until(lambda: answers)
        link.down = False
        await until_acked(bridge)

    assert len(rings) == 1
    assert [answer.attributes["reason"] for answer in answers] == ["no_picture"]
    assert len(visits(hass)) == 1
    assert not engine.asked
