"""Every automation that the documentation shows is one that Home Assistant takes and runs."""

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import yaml as yaml_util
import pytest
from pytest_homeassistant_custom_component.common import async_mock_service

from custom_components.face_doorbell.recognition.errors import EngineUnavailableError
from tests.bridge.doubles import RunningBridge

from .helpers import (
    STRANGER,
    Answer,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    known,
    state,
    until_acked,
)

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/automations.md")


def recipes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each automation of the documentation with its name."""
    for page in PAGES:
        for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", (ROOT / page).read_text()):
            recipe = yaml_util.parse_yaml(block)
            assert isinstance(recipe, dict)
            if "triggers" in recipe:
                yield f"{page}: {recipe['alias']}", recipe


RECIPES = dict(recipes())


def test_there_are_ten_recipes() -> None:
    assert sum(name.startswith("docs/") for name in RECIPES) >= 10


@pytest.mark.parametrize("name", RECIPES)
async def test_home_assistant_takes_it(hass: HomeAssistant, name: str) -> None:
    assert await async_setup_component(hass, "automation", {"automation": {"id": "it", **RECIPES[name]}})
    await hass.async_block_till_done()

    # One that is invalid is unavailable.
    (automation,) = hass.states.async_entity_ids("automation")
    assert state(hass, automation).state == "on"
    await switch_off(hass)


async def switch_off(hass: HomeAssistant) -> None:
    """Let no automation wait for its time any more."""
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


@pytest.mark.parametrize(
    ("name", "answer", "action", "expected"),
    [
        (
            "Who is at the door",
            (known("alice-1"),),
            "notify.mobile_app_phone",
            ["Somebody is at the door", "Alice at the door"],
        ),
        (
            "Tell when recognition has failed",
            EngineUnavailableError("throttled"),
            "persistent_notification.create",
            ["A visitor at Front door could not be recognized: throttled"],
        ),
    ],
)
async def test_it_does_what_it_says(
    hass: HomeAssistant,
    bridge: RunningBridge,
    *,
    name: str,
    answer: Answer,
    action: str,
    expected: list[str],
) -> None:
    await add_recognition(hass, ScriptedEngine([answer]), {"alice-1": "Alice"})
    await add_doorbell(hass, bridge)
    calls = async_mock_service(hass, *action.split("."))
    recipe = RECIPES[f"docs/automations.md: {name}"]
    assert await async_setup_component(hass, "automation", {"automation": recipe})

    bridge.press()
    await until_acked(bridge)
    await hass.async_block_till_done()

    assert [call.data["message"] for call in calls] == expected


async def test_the_visitors_of_the_day(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([(STRANGER,)]))
    await add_doorbell(hass, bridge)
    calls = async_mock_service(hass, "notify", "mobile_app_phone")
    recipe = RECIPES["docs/automations.md: Visitors of the day"]
    assert await async_setup_component(hass, "automation", {"automation": recipe})
    bridge.press()
    await until_acked(bridge)

    (automation,) = hass.states.async_entity_ids("automation")
    await hass.services.async_call("automation", "trigger", {"entity_id": automation}, blocking=True)

    assert [call.data["message"] for call in calls] == ["1 visits today"]
    await switch_off(hass)
