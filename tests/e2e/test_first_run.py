"""From an empty configuration to the dashboard with a live picture and a name, with nothing but the browser."""

from collections.abc import AsyncIterator
import itertools
from pathlib import Path

from PIL import Image, ImageOps
from playwright.async_api import Locator, Page, ViewportSize, expect
import pytest
import pytest_asyncio

from harness.home_assistant import PASSWORD, USERNAME
from harness.photos import FETCHED, KNOWN

from .conftest import PATIENCE_MS, SCREENSHOTS, House, built, ours, watch_errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCREEN: ViewportSize = {"width": 1280, "height": 860}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def empty_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A Home Assistant with an owner and nothing else, in whose network a doorbell is announced."""
    async with built(tmp_path_factory.mktemp("empty"), announced=True, configuration="zeroconf:\n") as house:
        yield house


class Steps:
    """Numbered screenshots of what somebody sees who sets everything up."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._numbers = itertools.count(1)

    async def seen(self, page: Page, name: str) -> None:
        """Keep a screenshot, once nothing moves any more."""
        await page.evaluate("document.fonts.ready")
        await page.screenshot(
            path=SCREENSHOTS / f"first-run-{next(self._numbers):02}-{name}.png", animations="disabled"
        )


def third_photo(folder: Path) -> Path:
    """Return one more photo of the person who is enrolled: there are two, and the third stands at the door."""
    path = folder / "third.jpg"
    with Image.open(FETCHED / "obama2.jpg") as photo:
        ImageOps.mirror(photo).save(path)
    return path


async def choose_photo(page: Page, dialog: Locator, number: int, photo: Path) -> None:
    """Choose a file in the file chooser that a photo's button opens, and wait until it is uploaded."""
    async with page.expect_file_chooser() as chooser:
        await dialog.get_by_role("button", name=f"Photo {number}").click()
    await (await chooser.value).set_files(photo)
    await expect(dialog.get_by_text(photo.name)).to_be_visible()


async def test_from_nothing_to_a_name_with_only_the_browser(empty_house: House, tmp_path: Path) -> None:
    context = await empty_house.browser.new_context(viewport=SCREEN)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    errors = watch_errors(page)
    steps = Steps()

    await page.goto(empty_house.home.url)
    await page.locator("input[name=username]").fill(USERNAME)
    await page.locator("input[name=password]").fill(PASSWORD)
    await steps.seen(page, "log-in")
    await page.get_by_role("button", name="Log in", exact=True).click()

    # The doorbell has announced itself; there may be others in the network.
    await page.locator("ha-sidebar").get_by_text("Settings").click()
    await page.get_by_text("Devices & services").click()
    found = page.locator("ha-config-flow-card")
    await found.first.wait_for()
    flows = await found.evaluate_all("cards => cards.map((card) => card.flow.context.unique_id)")
    card = found.nth(flows.index(await empty_house.doorbell.bridge_id()))
    await expect(card).to_contain_text("Front door")
    await steps.seen(page, "discovered")
    await card.get_by_role("button", name="Add").click()

    dialog = page.locator("dialog-data-entry-flow")
    submit = dialog.get_by_role("button", name="Submit")
    await expect(dialog).to_contain_text("Doorbell found")
    await expect(submit).to_be_visible()
    await steps.seen(page, "doorbell-found")
    await submit.click()

    await expect(dialog).to_contain_text("Pair with the doorbell")
    await dialog.get_by_role("textbox").fill("AAAA-AAAA")
    await steps.seen(page, "pairing")
    await submit.click()
    await expect(dialog.get_by_text("This is not the code")).to_be_visible()
    await steps.seen(page, "wrong-code")
    await dialog.get_by_role("textbox").fill(await empty_house.doorbell.pairing_code())
    await submit.click()

    await expect(dialog).to_contain_text("Who recognizes the faces?")
    await steps.seen(page, "engine")
    await dialog.get_by_text("The doorbell itself").click()

    await expect(dialog).to_contain_text("Add a person")
    await dialog.get_by_role("textbox").first.fill(KNOWN)
    first, second = empty_house.photos.enrolled
    await choose_photo(page, dialog, 1, first)
    await choose_photo(page, dialog, 2, second)
    await choose_photo(page, dialog, 3, FETCHED / "coffee.png")
    await steps.seen(page, "person")
    await submit.click()
    await expect(dialog.get_by_text("no face in this photo")).to_be_visible()
    await steps.seen(page, "photo-without-a-face")
    await dialog.get_by_role("button", name="Delete").last.click()
    await choose_photo(page, dialog, 3, third_photo(tmp_path))
    await submit.click()

    await expect(dialog).to_contain_text(KNOWN)
    await steps.seen(page, "finished")
    await dialog.get_by_role("button", name="Finish").click()

    # Without a reload: this page was opened before there was a card.
    await page.locator("ha-sidebar").get_by_text("Doorbell", exact=True).click()
    visits = page.locator("face-doorbell-visits")
    await expect(visits).to_contain_text("Nobody has rung")
    await expect(page.locator("hui-error-card")).to_have_count(0)
    live = page.locator("hui-picture-entity-card img").first
    await expect(live).to_be_visible()
    await steps.seen(page, "dashboard")

    door = await context.new_page()
    await door.goto(empty_house.doorbell.page)
    await door.get_by_role("button", name=KNOWN).click()
    await expect(door.get_by_role("button", name=KNOWN)).to_have_attribute("aria-pressed", "true")
    await door.get_by_role("button", name="Press the doorbell").click()
    await expect(door.get_by_label("Green LED on")).to_be_visible()
    await steps.seen(door, "at-the-door")

    await page.bring_to_front()
    await expect(page.get_by_text(f"At the door: {KNOWN}")).to_be_visible()
    await expect(visits.locator("li").first).to_contain_text(KNOWN)
    await expect(live).to_be_visible()
    await steps.seen(page, "name")
    await visits.scroll_into_view_if_needed()
    await steps.seen(page, "visit")
    # To take back a photo that was refused, the form asks to delete the file, which was deleted when it was read.
    assert [error for error in ours(errors) if "/api/file_upload" not in error] == []
    await context.close()
