"""What a doorbell sounds and answers, chosen in its options and heard on the real bridge."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from pi_bridge.chime import Chime
from pi_bridge.config import BurstConfig, BuzzerConfig, BuzzerKind, Config
from pi_bridge.model import Melody, Output, Pattern
from pi_bridge.session import Session
from tests import photos
from tests.bridge.doubles import BURST_S, FakeClock, FakeFaces, RunningBridge, one_face, running_bridge

from .helpers import (
    BUZZER,
    DOORBELL,
    STRANGER,
    VISITOR,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    known,
    pair,
    set_up,
    state,
    until,
    until_acked,
)

ZONE = "America/Los_Angeles"  # of Home Assistant in tests is US/Pacific, whose name is older
NIGHT = {"quiet_from": "22:00:00", "quiet_until": "07:00:00"}
PASSIVE = pytest.mark.parametrize("buzzer", [BuzzerConfig(kind=BuzzerKind.PASSIVE)])


@pytest.fixture
def buzzer() -> BuzzerConfig:
    return BuzzerConfig()


@pytest.fixture
def clock() -> FakeClock:
    """The bridge's clock; at noon."""
    return clock_at(12)


def clock_at(hour: int) -> FakeClock:
    clock = FakeClock()
    set_hour(clock, hour)
    return clock


def set_hour(clock: FakeClock, hour: int) -> None:
    clock.wrong_by = datetime(2026, 11, 27, hour, tzinfo=ZoneInfo(ZONE)) - datetime.now(UTC)


@pytest.fixture
async def bridge(tmp_path: Path, buzzer: BuzzerConfig, clock: FakeClock) -> AsyncIterator[RunningBridge]:
    """The real bridge, with a clock and a buzzer of the test's choice."""
    photo = photos.photo("obama2")
    async with running_bridge(
        tmp_path / "bridge",
        photos=[photo],
        finder=FakeFaces({photo: one_face(0.9)}),
        config=Config(buzzer=buzzer, burst=BurstConfig(BURST_S)),
        clock=clock,
    ) as running:
        yield running


@pytest.fixture(autouse=True)
async def time_zone(hass: HomeAssistant) -> None:
    await hass.config.async_set_time_zone(ZONE)


@pytest.fixture
async def door(hass: HomeAssistant, bridge: RunningBridge) -> MockConfigEntry:
    return await add_doorbell(hass, bridge)


async def ask(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> Any:
    """Open a step of the options."""
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    assert flow["type"] is FlowResultType.MENU
    return await hass.config_entries.options.async_configure(flow["flow_id"], {"next_step_id": step})


async def choose(hass: HomeAssistant, entry: MockConfigEntry, step: str, **chosen: Any) -> Any:
    """Fill a step of the options in, and return what comes of it."""
    form = await ask(hass, entry, step)
    result = await hass.config_entries.options.async_configure(form["flow_id"], chosen)
    await hass.async_block_till_done()
    return result


def playing(bridge: RunningBridge) -> dict[str, str]:
    outputs = bridge.running.bridge.outputs.playing
    return {output: tone for output, tone in outputs.items() if tone is not Pattern.OFF}


def silence(bridge: RunningBridge) -> None:
    bridge.running.bridge.outputs.close()


# At a press


async def test_what_is_chosen_sounds_at_a_press(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    result = await choose(hass, door, "chime", chime_tone="double", chime_seconds=1.5, **NIGHT)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert bridge.running.bridge.chime.to_json() == {
        "tone": "double",
        "for_ms": 1500,
        "quiet": {"start": "22:00:00", "end": "07:00:00", "zone": ZONE},
    }
    bridge.press()
    assert playing(bridge) == {Output.BUZZER: Pattern.DOUBLE}


async def test_in_quiet_hours_all_but_the_buzzer_works(
    hass: HomeAssistant, bridge: RunningBridge, clock: FakeClock, door: MockConfigEntry
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    answer = {"green": "blink", "red": "off", "buzzer": "fast", "seconds": 60}
    usual = {"green": "off", "red": "off", "buzzer": "off", "seconds": 1}
    others = dict.fromkeys(("unknown", "no_face", "failed"), usual)
    await choose(hass, door, "answers", recognized=answer, **others)
    await choose(hass, door, "chime", chime_tone="on", **NIGHT)
    set_hour(clock, 23)

    async with change(hass, VISITOR) as visited:
        bridge.press()
        assert playing(bridge) == {}
        assert (await visited).attributes["event_type"] == "recognized"
    await until_acked(bridge)

    assert state(hass, DOORBELL).attributes["event_type"] == "ring"
    assert playing(bridge) == {Output.GREEN: Pattern.BLINK}
    # Who asks for a sound himself gets it.
    await hass.services.async_call("siren", "turn_on", {"entity_id": BUZZER}, blocking=True)
    assert playing(bridge)[Output.BUZZER] == Pattern.ON

    silence(bridge)
    set_hour(clock, 12)
    bridge.press()
    await until_acked(bridge)
    assert playing(bridge) == {Output.GREEN: Pattern.BLINK, Output.BUZZER: Pattern.FAST}


async def test_quiet_hours_hold_while_home_assistant_is_away(
    hass: HomeAssistant, bridge: RunningBridge, clock: FakeClock, door: MockConfigEntry
) -> None:
    await choose(hass, door, "chime", chime_tone="on", **NIGHT)
    await hass.config_entries.async_unload(door.entry_id)
    await bridge.restart()

    set_hour(clock, 23)
    bridge.press()
    assert playing(bridge) == {}

    set_hour(clock, 8)
    bridge.press()
    assert playing(bridge) == {Output.BUZZER: Pattern.ON}


async def test_a_doorbell_without_network_time_goes_by_home_assistant(
    hass: HomeAssistant, bridge: RunningBridge, clock: FakeClock, door: MockConfigEntry
) -> None:
    clock.synchronized = False
    # From a minute ago: it is always quiet now.
    start = dt_util.now() - timedelta(minutes=1)
    end = start + timedelta(hours=1)
    quiet = {"quiet_from": f"{start:%H:%M:%S}", "quiet_until": f"{end:%H:%M:%S}"}
    await choose(hass, door, "chime", chime_tone="on", **quiet)

    bridge.press()

    assert playing(bridge) == {}


async def test_the_doorbell_keeps_what_it_has_until_somebody_chooses(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await pair(hass, bridge)
    await bridge.running.bridge.choose_chime(Chime(tone="fast"))

    await set_up(hass, entry)

    assert bridge.running.bridge.chime == Chime(tone="fast")
    await choose(hass, entry, "chime", chime_tone="as_on_the_pi")
    assert bridge.running.bridge.chime == Chime()


async def test_a_doorbell_that_was_away_is_told_later(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    await bridge.stop()
    await until(lambda: not door.runtime_data.connected)

    result = await choose(hass, door, "chime", chime_tone="double")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await bridge.start()

    await until(lambda: bridge.running.bridge.chime == Chime(tone="double"))


async def test_quiet_hours_move_with_the_time_zone(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    await choose(hass, door, "chime", chime_tone="on", **NIGHT)

    await hass.config.async_update(time_zone="Europe/Berlin")

    def zone() -> str | None:
        quiet = bridge.running.bridge.chime.quiet
        return quiet.zone.key if quiet else None

    await until(lambda: zone() == "Europe/Berlin")


async def test_the_form_shows_what_was_chosen(hass: HomeAssistant, door: MockConfigEntry) -> None:
    await choose(hass, door, "chime", chime_tone="double", chime_seconds=2, **NIGHT)

    form = await ask(hass, door, "chime")

    shown = {str(key): (key.description or {}).get("suggested_value") for key in form["data_schema"].schema}
    assert shown == {"chime_tone": "double", "chime_seconds": 2, **NIGHT}
    result = await hass.config_entries.options.async_configure(form["flow_id"], {"chime_tone": "off"})
    assert result["data"] == {"chime_tone": "off"}


@pytest.mark.parametrize(
    ("chosen", "zone", "error"),
    [
        ({"quiet_from": "22:00:00"}, ZONE, "quiet_hours_incomplete"),
        (NIGHT, "Mars/Olympus_Mons", "unknown_zone"),
    ],
)
async def test_a_mistake_is_told_and_loses_nothing(
    hass: HomeAssistant,
    bridge: RunningBridge,
    door: MockConfigEntry,
    *,
    chosen: dict[str, Any],
    zone: str,
    error: str,
) -> None:
    hass.config.time_zone = zone

    form = await choose(hass, door, "chime", chime_tone="double", **chosen)

    assert form["errors"] == {"base": error}
    assert bridge.running.bridge.chime == Chime()
    hass.config.time_zone = ZONE
    result = await hass.config_entries.options.async_configure(
        form["flow_id"], {"chime_tone": "double", **NIGHT}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_an_older_doorbell_is_not_asked_for_what_it_does_not_know(
    hass: HomeAssistant, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_hello = Session._hello

    def hello_of_earlier(self: Session, *args: Any) -> dict[str, Any]:
        hello = say_hello(self, *args)
        del hello["tones"], hello["chime"]
        return hello

    monkeypatch.setattr(Session, "_hello", hello_of_earlier)
    entry = await add_doorbell(hass, bridge)

    result = await ask(hass, entry, "chime")

    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "bridge_too_old_for_chime")
    assert state(hass, BUZZER).attributes["available_tones"] == ["on", "blink", "fast", "double"]
    assert (await ask(hass, entry, "answers"))["type"] is FlowResultType.FORM


async def test_an_older_doorbell_that_has_come_in_place_of_another_is_told_of(
    hass: HomeAssistant,
    bridge: RunningBridge,
    door: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await choose(hass, door, "chime", chime_tone="double")
    say_hello = Session._hello
    monkeypatch.setattr(
        Session, "_hello", lambda *args: {k: v for k, v in say_hello(*args).items() if k != "chime"}
    )

    await bridge.restart()

    await until(lambda: "Front door is too old to be told what sounds" in caplog.text)


async def test_a_doorbell_that_is_not_set_up_has_no_options(
    hass: HomeAssistant, door: MockConfigEntry
) -> None:
    await hass.config_entries.async_unload(door.entry_id)

    result = await hass.config_entries.options.async_init(door.entry_id)

    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "doorbell_not_running")


# A passive buzzer


@PASSIVE
async def test_the_siren_lists_what_the_buzzer_can_play(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    tones = state(hass, BUZZER).attributes["available_tones"]
    assert tones == ["on", "blink", "fast", "double", *Melody]

    await hass.services.async_call(
        "siren", "turn_on", {"entity_id": BUZZER, "tone": "ding_dong", "duration": 2}, blocking=True
    )

    assert playing(bridge) == {Output.BUZZER: Melody.DING_DONG}


@PASSIVE
async def test_a_melody_at_a_press_is_played_once(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    await choose(hass, door, "chime", chime_tone="rising")

    async with change(hass, BUZZER, lambda state: state.state == "on") as on:
        bridge.press()
        await on
    async with change(hass, BUZZER, lambda state: state.state == "off") as off:
        await off

    assert [hz for output, lit, hz in bridge.panel.played if lit and output is Output.BUZZER] == [
        pytest.approx(hz, abs=1) for hz in (1047, 1319, 1568, 2093)
    ]


async def test_an_active_buzzer_offers_no_melodies(hass: HomeAssistant, door: MockConfigEntry) -> None:
    with pytest.raises(InvalidData):
        await choose(hass, door, "chime", chime_tone="ding_dong")


# Answers


async def test_each_outcome_has_the_answer_that_is_chosen(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    engine = ScriptedEngine([[known("ann-1")], [STRANGER], []])
    await add_recognition(hass, engine, {"ann-1": "Ann"})
    form = await ask(hass, door, "answers")
    usual = form["data_schema"]({key: {} for key in ("recognized", "unknown", "no_face", "failed")})
    assert usual["recognized"] == {"green": "blink", "red": "off", "buzzer": "off", "seconds": 5}
    await hass.config_entries.options.async_configure(
        form["flow_id"],
        {
            **usual,
            "recognized": {"green": "off", "red": "off", "buzzer": "double", "seconds": 60},
            "unknown": {"green": "off", "red": "fast", "buzzer": "on", "seconds": 60},
        },
    )
    await choose(hass, door, "chime", chime_tone="off")

    for expected in (
        {Output.BUZZER: Pattern.DOUBLE},
        {Output.RED: Pattern.FAST, Output.BUZZER: Pattern.ON},
        {Output.GREEN: Pattern.ON, Output.RED: Pattern.ON},
    ):
        bridge.press()
        await until_acked(bridge)
        assert playing(bridge) == expected
        silence(bridge)


@PASSIVE
async def test_an_answer_that_the_buzzer_cannot_play_is_left_out(
    hass: HomeAssistant, bridge: RunningBridge, door: MockConfigEntry
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    form = await ask(hass, door, "answers")
    usual = form["data_schema"]({key: {} for key in ("recognized", "unknown", "no_face", "failed")})
    melody = {"green": "on", "red": "off", "buzzer": "westminster", "seconds": 60}
    await hass.config_entries.options.async_configure(form["flow_id"], {**usual, "recognized": melody})
    await choose(hass, door, "chime", chime_tone="off")

    bridge.press()
    await until_acked(bridge)
    assert playing(bridge) == {Output.GREEN: Pattern.ON, Output.BUZZER: Melody.WESTMINSTER}

    bridge.config = Config(
        server=bridge.config.server, storage=bridge.config.storage, burst=BurstConfig(BURST_S)
    )
    await bridge.restart()
    await until(lambda: door.runtime_data.connected and "alarm" not in door.runtime_data.tones)
    bridge.press()
    await until_acked(bridge)

    assert playing(bridge) == {Output.GREEN: Pattern.ON}
    # The form does not show what cannot be chosen any more.
    form = await ask(hass, door, "answers")
    shown = form["data_schema"]({key: {} for key in ("recognized", "unknown", "no_face", "failed")})
    assert shown["recognized"]["buzzer"] == "off"
