"""An automation made by somebody who only clicks: when a person rings, turn on the light in the hall."""

import asyncio
from collections.abc import AsyncIterator
import re

from playwright.async_api import Page, expect
import pytest
import pytest_asyncio

from harness.demo import VISIT_TIMEOUT, set_up
from harness.home_assistant import WebSocket
from harness.photos import KNOWN

from .conftest import SCREENSHOTS, House, built, ours, watch_errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALL_LIGHT = "light.hall_light"
VISITOR = "event.front_door_visitor"
# A light that does what it is told; new automations need the list that the editor writes.
CONFIGURATION = """\
automation: !include automations.yaml
template:
  - light:
      - name: Hall light
        unique_id: hall
        turn_on: []
        turn_off: []
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house_with_light(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A household that knows one person and has a light in the hall."""
    folder = tmp_path_factory.mktemp("hall")
    automations = folder / "home_assistant" / "automations.yaml"
    await asyncio.to_thread(automations.parent.mkdir)
    await asyncio.to_thread(automations.write_text, "[]\n")
    async with built(folder, configuration=CONFIGURATION) as house:
        await set_up(house.home, house.doorbell, house.photos)
        yield house


async def seen(page: Page, name: str) -> None:
    """Keep a screenshot."""
    await page.screenshot(path=SCREENSHOTS / f"automation-{name}.png", animations="disabled")


async def outcomes_until_light(socket: WebSocket) -> list[str]:
    """Return what came of the visits until the light in the hall went on."""
    outcomes: list[str] = []
    async with asyncio.timeout(VISIT_TIMEOUT):
        while True:
            change = (await socket.event())["data"]
            state = change["new_state"]
            if change["entity_id"] == HALL_LIGHT and state["state"] == "on":
                return outcomes
            if change["entity_id"] == VISITOR:
                outcomes.append(state["attributes"]["event_type"])


async def test_when_a_person_rings_turn_on_the_light_with_only_clicks(house_with_light: House) -> None:
    page = await house_with_light.page(viewport={"width": 1280, "height": 860})
    errors = watch_errors(page)
    await page.goto(f"{house_with_light.home.url}/config/automation/dashboard")
    await page.get_by_role("button", name="Create automation").first.click()
    await page.get_by_text("Create new automation").click()

    await page.get_by_role("button", name="Add trigger").click()
    picker = page.locator("add-automation-element-dialog")
    await picker.get_by_role("treeitem", name="Devices").click()
    await picker.get_by_role("treeitem", name="Front door").click()
    trigger = picker.get_by_role("button", name="Doorbell recognized a visitor")
    await trigger.scroll_into_view_if_needed()
    await seen(page, "1-triggers")
    await trigger.click()
    persons = page.locator("ha-settings-row", has_text="Persons")
    await persons.locator("ha-checkbox").click()
    await persons.get_by_text("Select a device").click()
    await page.get_by_text(KNOWN).click()
    await expect(persons).to_contain_text(KNOWN)
    await seen(page, "2-person")

    await page.get_by_role("button", name="Add action").click()
    await picker.get_by_text("Entities", exact=True).click()
    await picker.get_by_role("treeitem", name="Light").click()
    await picker.get_by_role("treeitem", name="Hall light").click()
    action = picker.get_by_role("button", name="Turn on light")
    await expect(action).to_be_visible()
    await seen(page, "3-actions")
    await action.click()
    await expect(page.locator("ha-automation-action-row")).to_contain_text("Turn on light")
    await seen(page, "4-whole")

    await page.get_by_role("button", name="Save", exact=True).click()
    save = page.locator("ha-dialog-automation-save").get_by_role("button", name="Save")
    await expect(save).to_be_visible()
    await seen(page, "5-save")
    await save.click()
    await page.wait_for_url(re.compile("/config/automation/edit/(?!new)"))

    async with house_with_light.home.websocket() as socket:
        await socket.subscribe_events("state_changed")
        await house_with_light.rings(house_with_light.photos.strangers[0])
        await house_with_light.rings(KNOWN)
        assert await outcomes_until_light(socket) == ["unknown", "recognized"]
    await page.get_by_role("button", name="Back").click()
    await expect(page.locator("ha-automation-picker")).to_contain_text("New automation")
    await seen(page, "6-saved")
    assert ours(errors) == []
    await page.context.close()
