"""Each blueprint, imported into Home Assistant as a user does it, with default and with all inputs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
import os
from pathlib import Path
from typing import Any

from homeassistant.components.conversation import async_converse
from homeassistant.core import Context, HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util, yaml as yaml_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_mock_service,
)
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.face_doorbell.recognition.errors import EngineUnavailableError
from pi_bridge.model import Output
from tests import photos
from tests.bridge.doubles import RunningBridge

from .helpers import (
    BUZZER,
    DOORBELL,
    LAST_VISITOR,
    STRANGER,
    VISITOR,
    Answer,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    known,
    recognition,
    set_up,
    state,
    until,
    until_acked,
)

FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "face_doorbell"
SOURCE = "https://github.com/face-doorbell/face-doorbell/blob/main/blueprints/automation/face_doorbell"
README = FOLDER.parents[2] / "docs" / "automations.md"

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
PERSONS = {"ann-1": "Ann", "bob-1": "Bob"}
ANN: Answer = (known("ann-1"),)
AUTOMATION = "automation.under_test"

Press = Callable[[Answer], Awaitable[None]]


@pytest.mark.parametrize("name", NAMES)
async def test_it_is_imported_from_its_address(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, aioclient_mock: AiohttpClientMocker, name: str
) -> None:
    assert await async_setup_component(hass, "automation", {})
    raw = SOURCE.replace("github.com", "raw.githubusercontent.com").replace("/blob", "")
    aioclient_mock.get(f"{raw}/{name}.yaml", text=(FOLDER / f"{name}.yaml").read_text())
    client = await hass_ws_client(hass)

    await client.send_json_auto_id({"type": "blueprint/import", "url": f"{SOURCE}/{name}.yaml"})
    answer = await client.receive_json()

    assert answer["success"], answer
    assert answer["result"]["validation_errors"] is None
    metadata = answer["result"]["blueprint"]["metadata"]
    assert metadata["source_url"] == f"{SOURCE}/{name}.yaml"
    assert f"blueprint_url={SOURCE}/{name}.yaml" in README.read_text(), "there is no import badge"


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
async def ring(hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine) -> Press:
    """Return what presses the button for somebody of whom the engine says this."""
    await add_recognition(hass, engine, PERSONS)
    await add_doorbell(hass, bridge)

    async def rung(answer: Answer) -> None:
        engine.answers = [*engine.answers[: len(engine.asked)], answer]
        bridge.press()
        await until_acked(bridge)

    engine.answers = []
    return rung


@pytest.fixture
async def press(hass: HomeAssistant, ring: Press) -> Press:
    """Return what presses the button and waits until all automations have done what they do."""

    async def pressed(answer: Answer) -> None:
        await ring(answer)
        await hass.async_block_till_done()

    return pressed


def inputs_of(blueprint: str) -> set[str]:
    """Return the names of all inputs of a blueprint."""
    inputs: set[str] = set()
    parsed = yaml_util.parse_yaml((FOLDER / f"{blueprint}.yaml").read_text())
    assert isinstance(parsed, dict)
    for name, about in parsed["blueprint"]["input"].items():
        inputs |= set(about["input"]) if "input" in about else {name}  # a section has inputs of its own
    return inputs


async def use(hass: HomeAssistant, ws: WebSocketGenerator, blueprint: str, **inputs: Any) -> None:
    """Save a blueprint as the import dialog does, and make an automation of it."""
    if "with_all_inputs" in os.environ["PYTEST_CURRENT_TEST"]:
        assert inputs.keys() == inputs_of(blueprint)
    assert await async_setup_component(hass, "automation", {})
    client = await ws(hass)
    path = f"face_doorbell/{blueprint}.yaml"
    await client.send_json_auto_id(
        {
            "type": "blueprint/save",
            "domain": "automation",
            "path": path,
            "yaml": (FOLDER / f"{blueprint}.yaml").read_text(),
        }
    )
    answer = await client.receive_json()
    assert answer["success"], answer
    assert await async_setup_component(hass, "automation", {})
    await _load(hass, {"alias": "Under test", "use_blueprint": {"path": path, "input": inputs}})
    assert state(hass, AUTOMATION).state == "on"


async def _load(hass: HomeAssistant, automation: Mapping[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:

        async def configuration(_: HomeAssistant) -> dict[str, Any]:
            return {"automation": [automation]}

        patch.setattr("homeassistant.config.async_hass_config_yaml", configuration)
        await hass.services.async_call("automation", "reload", blocking=True)
    await hass.async_block_till_done()


def phone(hass: HomeAssistant, name: str) -> tuple[str, list[ServiceCall]]:
    """Return the device of a phone with the app, and what it is told."""
    entry = MockConfigEntry(domain="mobile_app")
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("mobile_app", name)}, name=name
    )
    slug = name.lower().replace(" ", "_")
    return device.id, async_mock_service(hass, "notify", f"mobile_app_{slug}")


async def tap(hass: HomeAssistant, action: Mapping[str, Any], **more: str) -> None:
    hass.bus.async_fire("mobile_app_notification_action", {"action": action["action"], **more})
    await hass.async_block_till_done()


# Notify


async def test_notify_tells_of_a_visit_in_one_notification(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    device, told = phone(hass, "Ann's phone".replace("'", ""))
    await use(hass, hass_ws_client, "notify", doorbell=DOORBELL, phones=[device])

    await press(ANN)

    first, second = (call.data for call in told)
    assert (first["title"], first["message"]) == ("Front door", "Somebody is at the door")
    assert second["message"] == "Ann is at the door"
    visit_id = state(hass, VISITOR).attributes["visit_id"]
    assert first["data"]["tag"] == second["data"]["tag"] == visit_id
    assert "image" not in first["data"]
    assert second["data"]["image"].startswith(f"/api/face_doorbell/visits/{visit_id}/")
    assert second["data"]["entity_id"] == "camera.front_door_camera"
    assert [each["title"] for each in second["data"]["actions"]] == ["Open"]
    assert second["data"]["push"] == {"interruption-level": "time-sensitive"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((known("ann-1"), known("bob-1", 95)), "Ann and Bob are at the door"),
        ((STRANGER,), "Somebody you do not know is at the door"),
        ((), "Somebody rang, but nobody is to be seen"),
        (EngineUnavailableError("throttled"), "Somebody is at the door, recognition has failed"),
    ],
)
async def test_notify_has_a_text_for_everything(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press, answer: Answer, message: str
) -> None:
    device, told = phone(hass, "Phone")
    await use(hass, hass_ws_client, "notify", doorbell=DOORBELL, phones=[device])

    await press(answer)

    assert told[-1].data["message"] == message


@pytest.mark.parametrize(
    ("photo_count", "message"),
    [
        (1, "From now on Carl is known"),
        (0, "This was Carl. The picture is not good enough to know Carl by"),
    ],
)
async def test_the_reply_to_who_is_this_names_the_stranger(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press, photo_count: int, message: str
) -> None:
    named: list[ServiceCall] = async_mock_service(
        hass,
        "face_doorbell",
        "name_visitor",
        response={"name": "Carl", "photos": photo_count},
        supports_response=SupportsResponse.OPTIONAL,
    )
    device, told = phone(hass, "Phone")
    await use(hass, hass_ws_client, "notify", doorbell=DOORBELL, phones=[device])
    await press((STRANGER,))
    who, _ = told[-1].data["data"]["actions"]
    assert (who["title"], who["behavior"]) == ("Who is this?", "textInput")

    await tap(hass, {"action": "face_doorbell|automation.another|who|1"}, reply_text="Nobody")
    await tap(hass, who, reply_text=" Carl ")

    visit_id = state(hass, VISITOR).attributes["visit_id"]
    assert [call.data for call in named] == [{"visit_id": visit_id, "person": "Carl"}]
    assert told[-1].data["message"] == message
    assert told[-1].data["data"] == {"tag": visit_id}


async def test_who_was_named_in_a_reply_is_recognized_from_then_on(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, seeing_bridge: RunningBridge
) -> None:
    device, told = phone(hass, "Phone")
    await add_doorbell(hass, seeing_bridge)
    await set_up(hass, recognition())
    await use(hass, hass_ws_client, "notify", doorbell=DOORBELL, phones=[device])
    seeing_bridge.press(photos.photo("biden"))
    await until_acked(seeing_bridge)
    await hass.async_block_till_done()
    who, _ = told[-1].data["data"]["actions"]

    await tap(hass, who, reply_text="Joe")
    await until(lambda: told[-1].data["message"] == "From now on Joe is known")
    await hass.async_block_till_done()
    seeing_bridge.press(photos.photo("biden"))
    await until_acked(seeing_bridge)
    await hass.async_block_till_done()

    assert told[-1].data["message"] == "Joe is at the door"


async def test_a_reply_that_helps_nothing_is_told(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    device, told = phone(hass, "Phone")
    await use(hass, hass_ws_client, "notify", doorbell=DOORBELL, phones=[device])
    await press((STRANGER,))
    who, _ = told[-1].data["data"]["actions"]

    await tap(hass, who, reply_text="")

    assert "could not be named" in told[-1].data["message"]


async def test_notify_with_all_inputs(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    opened = async_mock_service(hass, "test", "opened")
    started = async_mock_service(hass, "timer", "start")
    first, told_first = phone(hass, "First phone")
    second, told_second = phone(hass, "Second phone")
    hass.states.async_set("timer.quiet", "idle")
    hass.states.async_set("zone.home", "0")
    await use(
        hass,
        hass_ws_client,
        "notify",
        doorbell=[DOORBELL],
        phones=[first, second],
        kinds=["recognized", "unknown_visitor"],
        persons=["Ann"],
        title="Door",
        message_rang="Ring",
        message_recognized="It is {{ trigger.names[0] }}",
        message_unknown_visitor="Stranger",
        message_no_face="Nobody",
        message_failed="Failed",
        who_is_this=False,
        own_title="Open the gate",
        own_actions=[{"action": "test.opened"}],
        dashboard="/my-doors/0",
        quiet_from="00:00:00",
        quiet_until="00:00:00",
        presence="away",
        cooldown=0,
        silence_timer="timer.quiet",
        critical_kinds=["unknown_visitor"],
    )

    await press(ANN)
    await press((known("bob-1"),))
    await press(())
    await press((STRANGER,))

    assert [call.data["message"] for call in told_first] == ["It is Ann", "Stranger"]
    assert [call.data for call in told_second] == [call.data for call in told_first]
    known_visit, stranger = (call.data for call in told_first)
    assert known_visit["title"] == "Door"
    assert known_visit["data"]["push"]["interruption-level"] == "time-sensitive"
    assert stranger["data"]["push"]["sound"]["critical"] == 1
    own, silence, dashboard = stranger["data"]["actions"]
    assert (own["title"], own["authenticationRequired"]) == ("Open the gate", True)
    assert dashboard["uri"] == "/my-doors/0"

    await tap(hass, own)
    assert len(opened) == 1
    await tap(hass, silence)
    assert started[0].data == {"entity_id": ["timer.quiet"], "duration": "00:30:00"}
    hass.states.async_set("timer.quiet", "active")
    await press(ANN)
    assert len(told_first) == 2


@pytest.mark.parametrize(
    "inputs",
    [
        {"presence": "home"},
        {"quiet_from": "00:00:01", "quiet_until": "00:00:00"},
        {"cooldown": 3600},
    ],
)
async def test_notify_is_quiet_when_it_is_to_be(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press, inputs: Mapping[str, Any]
) -> None:
    hass.states.async_set("zone.home", "0")
    await press(ANN)  # the visit before
    device, told = phone(hass, "Phone")
    await use(hass, hass_ws_client, "notify", doorbell=DOORBELL, phones=[device], **inputs)

    await press(ANN)

    assert not told


# Announce


async def test_announce_speaks_on_satellites(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    said = async_mock_service(hass, "assist_satellite", "announce")
    await use(hass, hass_ws_client, "announce", doorbell=DOORBELL, satellites=["assist_satellite.hall"])

    await press(ANN)
    await press((STRANGER,))
    await press(())

    assert [call.data["message"] for call in said] == [
        "Ann is at the door",
        "Somebody you do not know is at the door",
    ]
    assert said[0].data["entity_id"] == ["assist_satellite.hall"]


async def test_announce_with_default_inputs_says_nothing(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    said = async_mock_service(hass, "tts", "speak")
    await use(hass, hass_ws_client, "announce", doorbell=DOORBELL)

    await press(ANN)

    assert not said


async def test_announce_with_all_inputs(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    spoken = async_mock_service(hass, "tts", "speak")
    said = async_mock_service(hass, "assist_satellite", "announce")
    await use(
        hass,
        hass_ws_client,
        "announce",
        doorbell=[DOORBELL],
        speakers=["media_player.kitchen", "media_player.hall"],
        engine="tts.voice",
        satellites=["assist_satellite.hall"],
        kinds=["rang", "recognized"],
        message_rang="Ding dong",
        message_recognized="It is {{ trigger.names[0] }}",
        message_unknown_visitor="A stranger",
        texts={"Ann": "Mum is home"},
        quiet_from="00:00:00",
        quiet_until="00:00:00",
    )

    await press(ANN)
    await press((known("bob-1"),))
    await press((STRANGER,))

    messages = ["Ding dong", "Mum is home", "Ding dong", "It is Bob", "Ding dong"]
    assert [call.data["message"] for call in spoken] == messages
    assert [call.data["message"] for call in said] == messages
    assert spoken[0].data["entity_id"] == ["tts.voice"]
    assert spoken[0].data["media_player_entity_id"] == ["media_player.kitchen", "media_player.hall"]


async def test_announce_is_quiet_when_it_is_to_be(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    said = async_mock_service(hass, "assist_satellite", "announce")
    await use(
        hass,
        hass_ws_client,
        "announce",
        doorbell=DOORBELL,
        satellites="assist_satellite.hall",
        quiet_from="00:00:01",
        quiet_until="00:00:00",
    )

    await press(ANN)

    assert not said


# Welcome


async def test_welcome_does_what_is_chosen(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    done = async_mock_service(hass, "test", "welcomed")
    await use(
        hass,
        hass_ws_client,
        "welcome",
        doorbell=DOORBELL,
        persons=["Ann"],
        welcome=[{"action": "test.welcomed", "data": {"who": "{{ visit.names[0] }}"}}],
    )

    await press((known("bob-1", 99),))
    await press((known("ann-1", 94),))
    await press((known("ann-1", 99), STRANGER))
    assert not done
    await press((known("ann-1", 99),))

    assert [call.data for call in done] == [{"who": "Ann"}]


def at_home(hass: HomeAssistant, person: str, where: str, minutes_ago: float = 0) -> None:
    """Let a person be somewhere since so long ago."""
    since = dt_util.utcnow() - timedelta(minutes=minutes_ago)
    hass.states.async_set(person, where, timestamp=since.timestamp())


def waiting(hass: HomeAssistant) -> int:
    """Return how many runs of the automation wait for something."""
    runs: int = state(hass, AUTOMATION).attributes["current"]
    return runs


Welcome = Callable[..., Awaitable[list[ServiceCall]]]
SURE: Answer = (known("ann-1", 99),)


@pytest.fixture
async def welcome(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> AsyncIterator[Welcome]:
    """Return what makes the automation with a second factor, and returns its welcomes."""

    async def used(**inputs: Any) -> list[ServiceCall]:
        done: list[ServiceCall] = async_mock_service(hass, "test", "welcomed")
        action = {"action": "test.welcomed", "data": {"who": "{{ visit.names[0] }}"}}
        common = {"doorbell": [DOORBELL], "persons": ["Ann"], "welcome": [action]}
        await use(hass, hass_ws_client, "welcome", **common, **inputs)
        return done

    yield used
    # Or what waits would go on waiting.
    await hass.services.async_call("automation", "turn_off", {"entity_id": AUTOMATION}, blocking=True)


async def test_welcome_with_all_inputs(hass: HomeAssistant, ring: Press, welcome: Welcome) -> None:
    at_home(hass, "person.ann", "not_home", 11)
    hass.states.async_set("input_boolean.guests", "off")
    done = await welcome(
        similarity=90,
        alone=False,
        phones=["person.ann"],
        away_for=10,
        came_home_within=10,
        more_conditions=[{"condition": "state", "entity_id": "input_boolean.guests", "state": "on"}],
    )
    visit = (known("ann-1", 91), STRANGER)

    await ring(visit)
    await ring((known("ann-1", 89),))
    assert waiting(hass) == 1
    at_home(hass, "person.ann", "home")
    await until(lambda: waiting(hass) == 1)  # for another ring: there were no guests
    assert not done
    hass.states.async_set("input_boolean.guests", "on")
    await ring(visit)

    await until(lambda: waiting(hass) == 0)
    assert [call.data for call in done] == [{"who": "Ann"}]


async def test_a_phone_that_comes_home_before_the_ring_is_a_second_factor(
    hass: HomeAssistant, ring: Press, welcome: Welcome
) -> None:
    at_home(hass, "person.ann", "not_home", 6)
    at_home(hass, "person.bob", "home", 600)
    done = await welcome(phones=["person.ann", "person.bob"])

    at_home(hass, "person.ann", "home")
    await until(lambda: waiting(hass) == 1)
    assert not done
    await ring(SURE)

    await until(lambda: waiting(hass) == 0)
    assert [call.data for call in done] == [{"who": "Ann"}]


async def test_a_phone_may_tell_after_the_ring_that_it_has_come_home(
    hass: HomeAssistant, ring: Press, welcome: Welcome
) -> None:
    at_home(hass, "person.ann", "not_home", 6)
    done = await welcome(phones=["person.ann"])

    await ring(SURE)
    assert waiting(hass) == 1
    assert not done
    at_home(hass, "person.ann", "home")

    await until(lambda: done)
    assert [call.data for call in done] == [{"who": "Ann"}]


@pytest.mark.parametrize(
    ("ann", "bob"),
    [
        (("home", 600), ("home", 600)),  # at home all day
        (("not_home", 4), ("home", 600)),  # away, but not for long
        (("unavailable", 60), ("unknown", 60)),  # nobody knows
    ],
)
async def test_what_is_no_second_factor(
    hass: HomeAssistant, ring: Press, welcome: Welcome, *, ann: tuple[str, float], bob: tuple[str, float]
) -> None:
    at_home(hass, "person.ann", *ann)
    at_home(hass, "person.bob", *bob)
    done = await welcome(phones=["person.ann", "person.bob"])

    await ring(SURE)
    at_home(hass, "person.ann", "home")
    await ring(SURE)

    assert waiting(hass) == 0
    assert not done


async def test_a_phone_that_was_away_has_to_come_home_itself(
    hass: HomeAssistant, ring: Press, welcome: Welcome
) -> None:
    at_home(hass, "person.ann", "not_home", 60)
    at_home(hass, "person.bob", "not_home", 1)
    done = await welcome(phones=["person.ann", "person.bob"])

    await ring(SURE)
    assert waiting(hass) == 1
    at_home(hass, "person.bob", "home")

    await until(lambda: waiting(hass) == 0)
    assert not done


@pytest.mark.parametrize("first", ["phone", "ring"])
async def test_a_phone_that_comes_home_at_another_time_is_no_second_factor(
    hass: HomeAssistant, ring: Press, welcome: Welcome, first: str
) -> None:
    at_home(hass, "person.ann", "not_home", 60)
    done = await welcome(phones=["person.ann"])

    if first == "phone":
        at_home(hass, "person.ann", "home")
    else:
        await ring(SURE)
    await until(lambda: waiting(hass) == 1)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=5, seconds=1))
    await until(lambda: waiting(hass) == 0)
    if first == "phone":
        await ring(SURE)
    else:
        at_home(hass, "person.ann", "home")

    assert not done


# Unknown visitor while away


@pytest.fixture
def recorded(hass: HomeAssistant) -> Mapping[str, list[ServiceCall]]:
    """What would happen in the house."""
    actions = ("light.turn_on", "siren.turn_on", "camera.record")
    return {action: async_mock_service(hass, *action.split(".")) for action in actions}


async def test_unknown_while_away_sends_the_picture(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    press: Press,
    recorded: Mapping[str, list[ServiceCall]],
) -> None:
    hass.states.async_set("zone.home", "1")
    device, told = phone(hass, "Phone")
    await use(hass, hass_ws_client, "unknown_while_away", doorbell=DOORBELL, phones=[device])

    await press((STRANGER,))
    assert not told
    hass.states.async_set("zone.home", "0")
    await press(ANN)
    await press(())
    assert not told
    await press((STRANGER,))

    (call,) = told
    assert call.data["message"] == "Somebody you do not know is at the door, and nobody is home"
    assert call.data["data"]["image"].startswith("/api/face_doorbell/visits/")
    assert not any(recorded.values())


async def test_unknown_while_away_with_all_inputs(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    press: Press,
    recorded: Mapping[str, list[ServiceCall]],
) -> None:
    hass.states.async_set("person.ann", "not_home")
    hass.states.async_set("person.bob", "home")
    first, told_first = phone(hass, "First phone")
    second, told_second = phone(hass, "Second phone")
    await use(
        hass,
        hass_ws_client,
        "unknown_while_away",
        doorbell=[DOORBELL],
        phones=[first, second],
        persons_home=["person.ann", "person.bob"],
        failed_too=True,
        message="Look!",
        lights=["light.hall", "light.porch"],
        sirens=[BUZZER],
        siren_for=5,
        cameras=["camera.porch"],
        record_for=20,
        folder="/media/porch",
    )

    await press((STRANGER,))
    assert not told_first
    hass.states.async_set("person.bob", "Office")
    await press(())
    await press((STRANGER,))

    assert [call.data["message"] for call in told_first] == ["Look!", "Look!"]
    assert len(told_second) == 2
    assert recorded["light.turn_on"][0].data["entity_id"] == ["light.hall", "light.porch"]
    siren = recorded["siren.turn_on"][0].data
    assert (siren["entity_id"], siren["duration"]) == ([BUZZER], 5)
    camera = recorded["camera.record"][-1].data
    assert (camera["entity_id"], camera["duration"]) == (["camera.porch"], 20)
    visit_id = state(hass, VISITOR).attributes["visit_id"]
    assert camera["filename"] == f"/media/porch/camera_porch-{visit_id}.mp4"


# Who was at the door?


async def ask(hass: HomeAssistant, words: str) -> str:
    """Say something to Assist, and return its answer."""
    answer = await async_converse(hass, words, None, Context())
    spoken: str = answer.response.speech["plain"]["speech"]
    return spoken


@pytest.fixture
async def conversation(hass: HomeAssistant) -> None:
    for domain in ("homeassistant", "conversation"):
        assert await async_setup_component(hass, domain, {})


@pytest.mark.usefixtures("conversation")
async def test_assist_answers_who_was_at_the_door(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    await use(hass, hass_ws_client, "who_was_at_the_door", last_visitor=LAST_VISITOR)

    assert await ask(hass, "who was at the door") == "Nobody has been at the door."
    await press(ANN)
    assert (await ask(hass, "Who is at the front door?")).startswith("Ann, ")
    await press((STRANGER,))
    assert (await ask(hass, "who rang?")).startswith("Somebody I do not know, ")
    await press(())
    assert (await ask(hass, "Who was there?")).endswith(" ago.")


@pytest.mark.usefixtures("conversation")
async def test_who_was_at_the_door_with_all_inputs(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    await use(
        hass,
        hass_ws_client,
        "who_was_at_the_door",
        last_visitor=LAST_VISITOR,
        sentences=["wer war da"],
        nobody="Niemand",
        stranger="Ein Fremder",
        somebody="Jemand",
    )

    assert await ask(hass, "wer war da") == "Niemand"
    await press((STRANGER,))
    assert (await ask(hass, "Wer war da?")).startswith("Ein Fremder, ")
    await press(())
    assert (await ask(hass, "Wer war da?")).startswith("Jemand, ")


# Chime


async def test_the_chime_sounds_on_the_real_buzzer(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, bridge: RunningBridge, press: Press
) -> None:
    await use(hass, hass_ws_client, "chime", doorbell=DOORBELL, sirens=[BUZZER])

    await press((STRANGER,))

    await until(lambda: bridge.running.bridge.outputs.playing[Output.BUZZER] == "fast")


async def test_the_chime_has_a_sound_for_each_outcome(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    await use(hass, hass_ws_client, "chime", doorbell=DOORBELL, sirens=[BUZZER])
    sounds = async_mock_service(hass, "siren", "turn_on")

    for answer in (ANN, (STRANGER,), (), EngineUnavailableError("throttled")):
        await press(answer)

    assert [call.data for call in sounds] == [
        {"entity_id": [BUZZER], "tone": "double", "duration": 2},
        {"entity_id": [BUZZER], "tone": "fast", "duration": 2},
    ]


async def test_the_chime_with_all_inputs(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    await use(
        hass,
        hass_ws_client,
        "chime",
        doorbell=[DOORBELL],
        sirens=[BUZZER, "siren.hall"],
        recognized="none",
        unknown_visitor="double",
        no_face="blink",
        failed="on",
        duration=5,
        quiet_from="12:00:00",
        quiet_until="12:00:00",
    )
    sounds = async_mock_service(hass, "siren", "turn_on")

    for answer in (ANN, (STRANGER,), (), EngineUnavailableError("throttled")):
        await press(answer)

    assert [call.data["tone"] for call in sounds] == ["double", "blink", "on"]
    assert sounds[0].data["entity_id"] == [BUZZER, "siren.hall"]
    assert sounds[0].data["duration"] == 5


async def test_the_chime_is_silent_in_quiet_hours(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, press: Press
) -> None:
    await use(
        hass,
        hass_ws_client,
        "chime",
        doorbell=DOORBELL,
        sirens=[BUZZER],
        quiet_from="00:00:01",
        quiet_until="00:00:00",
    )
    sounds = async_mock_service(hass, "siren", "turn_on")

    await press(ANN)

    assert not sounds
    assert state(hass, VISITOR).attributes["event_type"] == "recognized"
