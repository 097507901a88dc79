"""What an assistant with a language model may know of the visits."""

from typing import Any

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
import pytest

from tests.bridge.doubles import RunningBridge

from .helpers import LAST_VISITOR, STRANGER, ScriptedEngine, add_doorbell, add_recognition, known, until_acked

TOOL = "face_doorbell__list_visits"
ASSISTANT = "conversation"


@pytest.fixture
async def visits(hass: HomeAssistant, bridge: RunningBridge) -> None:
    """Ann and a stranger were at the door."""
    for domain in ("homeassistant", "llm"):
        assert await async_setup_component(hass, domain, {})
    await add_recognition(hass, ScriptedEngine([[known("ann-1")], [STRANGER]]), {"ann-1": "Ann"})
    await add_doorbell(hass, bridge)
    for _ in range(2):
        bridge.press()
        await until_acked(bridge)


async def assist(hass: HomeAssistant) -> llm.APIInstance:
    context = llm.LLMContext("test", Context(), "en", ASSISTANT, None)
    return await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)


async def ask(hass: HomeAssistant, **asked: Any) -> Any:
    api = await assist(hass)
    answer = await api.async_call_tool(llm.ToolInput(TOOL, asked))
    assert isinstance(answer, llm.ToolResult)
    assert not answer.error
    return answer.data


@pytest.mark.usefixtures("visits")
async def test_nothing_is_told_unless_the_user_says_so(hass: HomeAssistant) -> None:
    assert TOOL not in [tool.name for tool in (await assist(hass)).tools]


@pytest.mark.usefixtures("visits")
async def test_who_was_at_the_door(hass: HomeAssistant) -> None:
    async_expose_entity(hass, ASSISTANT, LAST_VISITOR, True)

    (tool,) = (each for each in (await assist(hass)).tools if each.name == TOOL)
    told = await ask(hass)

    assert tool.annotations.read_only
    assert told["count"] == 2
    assert [visit["outcome"] for visit in told["visits"]] == ["unknown", "recognized"]
    stranger, ann = told["visits"]
    assert (stranger["persons"], stranger["strangers"]) == ([], 1)
    assert (ann["persons"], ann["door"]) == (["Ann"], "Front door")
    # What a model need not know stays here.
    assert set(ann) == {"at", "door", "outcome", "persons", "strangers", "test"}


@pytest.mark.usefixtures("visits")
async def test_only_what_is_asked_for(hass: HomeAssistant) -> None:
    async_expose_entity(hass, ASSISTANT, LAST_VISITOR, True)

    assert (await ask(hass, person="ann"))["count"] == 1
    assert (await ask(hass, until="2020-01-01T00:00:00"))["count"] == 0
    assert (await ask(hass, since="2020-01-01 00:00:00+00:00"))["count"] == 2
    assert len((await ask(hass, limit=1))["visits"]) == 1
