"""The form of a person in a browser: a face is picked, a doubt is confirmed, and what is missing is told."""

from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect
import pytest

from tests.photos import photo, two_people

from .conftest import SCREENSHOTS, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def dialog_of(page: Page, house: House) -> Locator:
    """Open the form from the page of the integration."""
    await page.goto(f"{house.home.url}/config/integrations/integration/face_doorbell")
    await page.get_by_role("button", name="Add person").first.click()
    dialog = page.locator("dialog-data-entry-flow")
    await dialog.locator("step-flow-form").wait_for()
    return dialog


async def fill(page: Page, dialog: Locator, name: str, file: Path) -> None:
    """Enter a name and the first photo."""
    await dialog.locator("ha-selector-text input").first.fill(name)
    await dialog.locator("ha-file-upload input[type=file]").first.set_input_files(file)
    await expect(dialog.get_by_text(file.name).first).to_be_visible()


async def submit(page: Page) -> None:
    """Go on."""
    await page.get_by_role("button", name="Submit").click()


async def shown(dialog: Locator, count: int) -> None:
    """Wait until so many pictures are there, all of which show something."""
    images = dialog.locator("ha-markdown img")
    await expect(images).to_have_count(count)
    for index in range(count):
        assert await images.nth(index).evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


async def test_a_face_is_picked_and_a_doubt_confirmed(house: House, tmp_path: Path) -> None:
    file = tmp_path / "family.jpg"
    file.write_bytes(two_people())
    page: Any = await house.page()
    dialog = await dialog_of(page, house)
    await fill(page, dialog, "Joe", file)
    await submit(page)
    await expect(dialog.get_by_text("There are several faces in this photo")).to_be_visible()
    await shown(dialog, 2)
    await page.screenshot(path=SCREENSHOTS / "person_face.png")
    await dialog.get_by_role("radio").first.click()
    await submit(page)
    await expect(dialog.get_by_text("Photos so far: 1")).to_be_visible()
    await page.screenshot(path=SCREENSHOTS / "person_advice.png")
    await page.context.close()

    twin = tmp_path / "twin.jpg"
    twin.write_bytes(photo("biden"))
    page = await house.page()
    dialog = await dialog_of(page, house)
    await fill(page, dialog, "Twin", twin)
    await submit(page)
    await expect(dialog.get_by_text("Is this Twin?")).to_be_visible()
    await shown(dialog, 2)
    await page.screenshot(path=SCREENSHOTS / "person_doubt.png")
    await dialog.get_by_text("Choose other photos", exact=True).click()
    await expect(dialog.locator("step-flow-form")).to_be_visible()
    await page.context.close()
