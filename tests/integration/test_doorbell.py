"""From the finger on the button to the answer at the door: the real bridge, engines by the book."""

from collections.abc import Callable
from pathlib import Path

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
import pytest

from custom_components.face_doorbell import burst
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.recognition.errors import EngineAuthError, EngineUnavailableError
from custom_components.face_doorbell.recognition.model import FaceAnswer
from pi_bridge.config import BurstConfig, Config
from pi_bridge.model import Output
from tests import photos
from tests.bridge.doubles import FakeFaces, RunningBridge, one_face, running_bridge

from .helpers import (
    DOORBELL,
    LAST_VISITOR,
    LOOKALIKE,
    RECOGNIZED,
    STRANGER,
    VISITOR,
    Answer,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    known,
    state,
    until,
    until_acked,
)

ANN = {"ann-1": "Ann"}


def event(event_type: str) -> Callable[[State], bool]:
    return lambda now: now.attributes["event_type"] == event_type


async def test_the_ring_does_not_wait_for_the_engine(hass: HomeAssistant, bridge: RunningBridge) -> None:
    engine = ScriptedEngine([[known("ann-1")]])
    engine.go.clear()
    await add_recognition(hass, engine, ANN)
    await add_doorbell(hass, bridge)

    async with change(hass, DOORBELL) as rang, change(hass, VISITOR) as visitor:
        bridge.press()
        ring = await rang
        await until(lambda: engine.asked)
        assert not visitor.done()
        engine.go.set()
        visit = await visitor

    assert ring.attributes["event_type"] == "ring"
    assert (ring.attributes["replay"], ring.attributes["test"]) == (False, False)
    assert visit.attributes["visit_id"] == ring.attributes["visit_id"]


@pytest.mark.parametrize(
    ("answer", "expected", "shown", "recognized"),
    [
        ([known("ann-1")], Outcome.RECOGNIZED, "Ann", "on"),
        ([STRANGER], Outcome.UNKNOWN, "unknown_visitor", "off"),
        ([], Outcome.NO_FACE, "no_face", "off"),
        (EngineUnavailableError("throttled"), Outcome.FAILED, "failed", STATE_UNKNOWN),
    ],
)
async def test_each_outcome_has_its_states(
    hass: HomeAssistant,
    bridge: RunningBridge,
    *,
    answer: Answer,
    expected: Outcome,
    shown: str,
    recognized: str,
) -> None:
    await add_recognition(hass, ScriptedEngine([answer]), ANN)
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR) as visitor:
        bridge.press()
        visit = (await visitor).attributes

    assert visit["event_type"] == expected
    assert state(hass, LAST_VISITOR).state == shown
    assert state(hass, LAST_VISITOR).attributes["visit_id"] == visit["visit_id"]
    assert state(hass, RECOGNIZED).state == recognized
    await until_acked(bridge)


@pytest.mark.parametrize(
    ("answer", "green", "red"),
    [
        ([known("ann-1")], "blink", "off"),
        ([STRANGER], "off", "blink"),
        ([], "on", "on"),
        (EngineUnavailableError("throttled"), "fast", "fast"),
    ],
)
async def test_each_outcome_has_its_answer_at_the_door(
    hass: HomeAssistant, bridge: RunningBridge, answer: Answer, green: str, red: str
) -> None:
    await add_recognition(hass, ScriptedEngine([answer]), ANN)
    await add_doorbell(hass, bridge)

    bridge.press()
    await until_acked(bridge)

    playing = bridge.running.bridge.outputs.playing
    assert (playing[Output.GREEN], playing[Output.RED]) == (green, red)
    if green != "off":
        await bridge.panel.until(Output.GREEN, lit=True)
    if red != "off":
        await bridge.panel.until(Output.RED, lit=True)


async def test_what_the_visitor_event_tells(hass: HomeAssistant, bridge: RunningBridge) -> None:
    engine = ScriptedEngine([[known("bob-1", 92.04), STRANGER, known("ann-1", 99)]])
    await add_recognition(hass, engine, {**ANN, "bob-1": "Bob"})
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR) as visitor:
        bridge.press()
        visit = (await visitor).attributes

    assert visit["names"] == ["Ann", "Bob"]
    assert visit["person_ids"] == ["ann-1", "bob-1"]
    assert visit["similarity"] == 99
    assert visit["certainty"] == "sure"
    assert visit["unknown_faces"] == 1
    assert visit["engine"] == "scripted"
    assert visit["reason"] is None
    assert visit["decision_ms"] >= 0
    assert state(hass, LAST_VISITOR).state == "Ann, Bob"


async def test_a_failure_says_why(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([EngineUnavailableError("throttled")]))
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR) as visitor:
        bridge.press()
        visit = (await visitor).attributes

    assert (visit["event_type"], visit["reason"]) == (Outcome.FAILED, "throttled")


async def test_without_a_camera_the_visit_has_failed(hass: HomeAssistant, bridge: RunningBridge) -> None:
    engine = ScriptedEngine()
    await add_recognition(hass, engine)
    await add_doorbell(hass, bridge)
    bridge.camera.jpeg = None
    await bridge.restart()

    async with change(hass, VISITOR, event(Outcome.FAILED)) as visitor:
        await until(lambda: state(hass, DOORBELL).state != STATE_UNAVAILABLE)
        bridge.press()
        visit = (await visitor).attributes

    assert visit["reason"] == "no_picture"
    assert not engine.asked


async def test_recognition_that_does_not_run_is_no_stranger(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    recognition = await add_recognition(hass, ScriptedEngine(), ANN)
    await add_doorbell(hass, bridge)
    recognition.mock_state(hass, ConfigEntryState.SETUP_RETRY)

    async with change(hass, VISITOR) as visitor:
        bridge.press()
        visit = (await visitor).attributes

    assert (visit["event_type"], visit["reason"]) == (Outcome.FAILED, "recognition_not_ready")


async def test_a_ring_during_a_reload_waits_for_recognition(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    recognition = await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), ANN)
    await add_doorbell(hass, bridge)
    recognition.mock_state(hass, ConfigEntryState.SETUP_IN_PROGRESS)

    async with change(hass, DOORBELL) as rang, change(hass, VISITOR) as visitor:
        bridge.press()
        await rang
        recognition.mock_state(hass, ConfigEntryState.LOADED)
        assert (await visitor).attributes["event_type"] == Outcome.RECOGNIZED


async def test_wrong_keys_ask_for_others(hass: HomeAssistant, bridge: RunningBridge) -> None:
    recognition = await add_recognition(hass, ScriptedEngine([EngineAuthError()]), ANN, access_key_id="AKIA")
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR, event(Outcome.FAILED)) as visitor:
        bridge.press()
        await visitor
    await hass.async_block_till_done()

    assert list(recognition.async_get_active_flows(hass, {"reauth"}))


# Which picture decides


@pytest.fixture
def two_pictures(bridge: RunningBridge) -> Callable[[], None]:
    """Return what presses so that a good picture comes first and a better one later."""
    assert isinstance(bridge.faces, FakeFaces)
    first, second = photos.photo("obama2"), photos.photo("biden")
    bridge.faces.answers = {first: one_face(0.6), second: one_face(0.9)}

    def press() -> None:
        bridge.press(first)
        bridge.camera.show(second)

    return press


@pytest.mark.parametrize("answer", [known("ann-1"), STRANGER])
async def test_a_clear_first_picture_decides(
    hass: HomeAssistant, bridge: RunningBridge, two_pictures: Callable[[], None], answer: FaceAnswer
) -> None:
    engine = ScriptedEngine([[answer]])
    await add_recognition(hass, engine, ANN)
    await add_doorbell(hass, bridge)

    two_pictures()
    await until_acked(bridge)

    assert [picture.jpeg for picture in engine.asked] == [photos.photo("obama2")]


async def test_a_doubt_is_settled_by_the_best_picture(
    hass: HomeAssistant, bridge: RunningBridge, two_pictures: Callable[[], None]
) -> None:
    engine = ScriptedEngine([[LOOKALIKE], [known("ann-1")]])
    await add_recognition(hass, engine, ANN)
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR) as visitor:
        two_pictures()
        assert (await visitor).attributes["event_type"] == Outcome.RECOGNIZED

    assert [picture.jpeg for picture in engine.asked] == [photos.photo("obama2"), photos.photo("biden")]


async def test_a_doubt_that_stays_is_a_stranger(
    hass: HomeAssistant, bridge: RunningBridge, two_pictures: Callable[[], None]
) -> None:
    engine = ScriptedEngine([[LOOKALIKE], EngineUnavailableError("throttled")])
    await add_recognition(hass, engine, ANN)
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR) as visitor:
        two_pictures()
        assert (await visitor).attributes["event_type"] == Outcome.UNKNOWN


async def test_a_poor_picture_waits_for_the_end_of_the_burst(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    assert isinstance(bridge.faces, FakeFaces)
    bridge.faces.answers = {photos.photo("obama2"): one_face(0.2)}
    engine = ScriptedEngine([[known("ann-1")]])
    await add_recognition(hass, engine, ANN)
    await add_doorbell(hass, bridge)

    async with change(hass, VISITOR) as visitor:
        bridge.press()
        assert (await visitor).attributes["event_type"] == Outcome.RECOGNIZED
    assert len(engine.asked) == 1


# Several, again, late


async def test_a_ring_that_nobody_heard_is_missed(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), ANN)
    entry = await add_doorbell(hass, bridge)
    await restart(hass, entry.entry_id, meanwhile=bridge.press)

    await until_acked(bridge)

    ring = state(hass, DOORBELL).attributes
    assert ring["event_type"] == "missed"
    assert ring["replay"]
    assert state(hass, LAST_VISITOR).state == "Ann"
    assert state(hass, LAST_VISITOR).attributes["missed"]
    assert state(hass, LAST_VISITOR).attributes["visit_id"] == ring["visit_id"]
    assert state(hass, VISITOR).state == STATE_UNKNOWN
    assert Output.GREEN not in {output for output, _ in bridge.panel.writes}


async def restart(hass: HomeAssistant, entry_id: str, meanwhile: Callable[[], None]) -> None:
    """Set up a doorbell as after a restart of Home Assistant."""
    assert await hass.config_entries.async_unload(entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    meanwhile()
    # Home Assistant cannot be restarted in a test; it forgets what it kept in memory.
    hass.data.pop(f"{DOMAIN}_heard")
    await hass.config_entries.async_setup(entry_id)
    await hass.async_block_till_done()


async def test_a_short_loss_of_the_connection_loses_nothing(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), ANN)
    await add_doorbell(hass, bridge)

    async with change(hass, DOORBELL, event("ring")) as rang, change(hass, VISITOR) as visitor:
        # Pressed while the connection is away: the bridge has just started again.
        await bridge.restart()
        bridge.press()
        ring, visit = await rang, await visitor

    assert ring.attributes["replay"]
    assert visit.attributes["visit_id"] == ring.attributes["visit_id"]
    await until_acked(bridge)


async def test_a_ring_that_comes_again_is_dropped(hass: HomeAssistant, bridge: RunningBridge) -> None:
    engine = ScriptedEngine([[known("ann-1")]])
    engine.go.clear()
    await add_recognition(hass, engine, ANN)
    await add_doorbell(hass, bridge)
    rings: list[State] = []

    def note(now: State) -> bool:
        if now.state != STATE_UNAVAILABLE:
            rings.append(now)
        return False

    async with change(hass, VISITOR) as visitor:
        bridge.press()
        await until(lambda: engine.asked)
        # The visit is stored, but the bridge does not learn of it.
        await bridge.stop()
        engine.go.set()
        await visitor
    async with change(hass, DOORBELL, note):
        await bridge.start()
        await until_acked(bridge)

    assert [ring.attributes["visit_id"] for ring in rings] == [state(hass, VISITOR).attributes["visit_id"]]
    assert len(engine.asked) == 1


async def test_a_burst_that_never_ends_is_decided_on_what_is_there(
    hass: HomeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burst, "BURST_S", 0.5)
    engine = ScriptedEngine([[LOOKALIKE]])
    photo = photos.photo("obama2")
    config = Config(burst=BurstConfig(5.0))
    finder = FakeFaces({photo: one_face(0.9)})
    async with running_bridge(tmp_path / "bridge", photos=[photo], finder=finder, config=config) as bridge:
        await add_recognition(hass, engine, ANN)
        await add_doorbell(hass, bridge)

        async with change(hass, VISITOR) as visitor:
            bridge.press()
            await until(lambda: engine.asked)
            await bridge.stop()  # in the middle of the burst, and for good
            visit = (await visitor).attributes

    assert visit["event_type"] == Outcome.UNKNOWN
    assert len(engine.asked) == 1


async def test_without_recognition_a_doorbell_still_rings(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)

    async with change(hass, DOORBELL, event("ring")) as rang:
        bridge.press()
        await rang
    await until_acked(bridge)

    assert state(hass, LAST_VISITOR).state == "visitor"
    assert state(hass, VISITOR).state == STATE_UNKNOWN
    assert {output for output, lit in bridge.panel.writes if lit} == {Output.BUZZER}
