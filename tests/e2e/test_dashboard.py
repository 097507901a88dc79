"""The dashboard as somebody sees it in a browser."""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect
import pytest

from harness.photos import KNOWN, NOBODY

from .conftest import DESKTOP, PHONE, House, open_dashboard, ours, picture, watch_errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLD_LOADS = 5
SLOWER = 4  # times, as an old tablet on the wall is


@pytest.mark.parametrize(
    ("name", "viewport", "colors"),
    [("desktop-light", DESKTOP, "light"), ("desktop-dark", DESKTOP, "dark"), ("phone", PHONE, "light")],
)
async def test_it_shows_the_door_and_the_visits_without_any_error(
    house: House, name: str, viewport: dict[str, int], colors: str
) -> None:
    page = await house.page(viewport=viewport, color_scheme=colors)
    errors = watch_errors(page)
    card = await open_dashboard(house, page)
    await expect(card.locator("li")).to_have_count(3)
    await expect(card.locator("li").last).to_contain_text(KNOWN)
    await picture(page, name)
    assert await page.locator("hui-error-card").count() == 0
    assert ours(errors) == []
    await page.context.close()


async def test_axe_finds_nothing_serious_in_the_card_and_its_dialogs(house: House) -> None:
    page = await house.page()
    card = await open_dashboard(house, page)
    axe = Axe()
    for button in (None, "Who is this?", "Enlarge"):
        if button:
            await card.get_by_role("button", name=button).first.click()
            await expect(card.locator("dialog[open]")).to_be_visible()
        found = await axe.run(page)
        serious = [
            (each["id"], node["html"])
            for each in found.response["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
            if "face-doorbell-visits" in str(node["target"])  # the rest of the page is Home Assistant's
        ]
        assert serious == []
        await page.keyboard.press("Escape")
    await page.context.close()


async def test_a_press_is_a_new_row_and_a_banner_without_reload(house: House) -> None:
    page = await house.page()
    card = await open_dashboard(house, page)
    rows = await card.locator("li").count()
    await house.rings(NOBODY)
    await expect(card.locator("li")).to_have_count(rows + 1)
    await expect(card.locator("li").first).to_contain_text("No face seen")
    await expect(page.get_by_text("Somebody is at the door.")).to_be_visible()
    await page.context.close()


async def test_a_stranger_is_named_by_keyboard_and_corrected_again(house: House) -> None:
    page = await house.page(viewport=PHONE)
    errors = watch_errors(page)
    card = await open_dashboard(house, page)
    stranger = house.photos.strangers[-1]
    await card.get_by_role("button", name="Who is this?").first.focus()
    await page.keyboard.press("Enter")
    await picture(page, "who-is-this", whole=False)
    await page.keyboard.type(stranger)
    await page.keyboard.press("Enter")
    row = card.locator("li", has_text=stranger)
    await expect(row).to_have_count(1)
    await expect(card.locator("dialog[open]")).to_have_count(0)
    await picture(page, "named", whole=False)
    await row.get_by_role("button", name=f"Not {stranger}").click()
    await card.get_by_role("button", name="A stranger").click()
    await expect(card.locator("li", has_text=stranger)).to_have_count(0)
    assert ours(errors) == []
    await page.context.close()


async def test_a_visit_can_be_enlarged_and_forgotten(house: House) -> None:
    page = await house.page(viewport=PHONE)
    card = await open_dashboard(house, page)
    rows = await card.locator("li").count()
    await card.locator("li", has_text=KNOWN).get_by_role("button", name="Enlarge").click()
    await expect(card.locator("dialog .box")).to_be_visible()
    await picture(page, "enlarged", whole=False)
    await card.get_by_role("button", name="Forget this visit").click()
    await card.get_by_role("button", name="Really delete").click()
    await expect(card.locator("li")).to_have_count(rows - 1)
    await page.context.close()


async def test_the_card_is_there_after_every_cold_load_on_a_slow_device(house: House) -> None:
    for _ in range(COLD_LOADS):
        page = await house.page()
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        await open_dashboard(house, page)
        assert await page.locator("hui-error-card").count() == 0
        await page.context.close()


async def test_the_strategy_makes_the_same_dashboard(house: House) -> None:
    async with house.home.websocket() as socket:
        await socket.command("lovelace/dashboards/create", url_path="own-copy", title="Own", mode="storage")
        config = {"strategy": {"type": "custom:face-doorbell"}}
        await socket.command("lovelace/config/save", url_path="own-copy", config=config)
    page = await house.page()
    await open_dashboard(house, page, "/own-copy")
    assert await page.locator("hui-error-card").count() == 0
    await page.context.close()
