"""A household in a browser: Home Assistant, a doorbell at which somebody known and a stranger have rung, Chromium."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
import time
from typing import Any

from playwright.async_api import Browser, Locator, Page, StorageState, async_playwright, expect
import pytest
import pytest_asyncio

from harness.demo import Watcher, set_up
from harness.doorbell import Doorbell
from harness.home_assistant import REPOSITORY, HomeAssistant
from harness.photos import KNOWN, Photos, lay_out_photos
from harness.process import free_port

SCREENSHOTS = REPOSITORY / "screenshots"
DASHBOARD = "/face-doorbell"
LOGGED_IN_S = 1_700  # a little less than Home Assistant's access tokens live

# Nothing but this machine is asked for anything.
CHROMIUM = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
]

# A machine that does much else at the same time is no reason to fail.
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)

DESKTOP = {"width": 1400, "height": 1000}
PHONE = {"width": 400, "height": 860}

# What stands in the console though nothing is wrong: others' icons come from the internet.
NOT_OURS = ("brands", "net::ERR_NAME_NOT_RESOLVED")


_MEASURED: list[str] = []
GENEROUS = 5  # times a limit: the machine may have much else to do


def measured(what: str, value: float, limit: float | None, unit: str) -> None:
    """Tell a measurement at the end of the run; fails far above its limit only."""
    told = f"   limit {limit:g} {unit}" if limit else ""
    _MEASURED.append(f"{what:60} {value:8.2f} {unit}{told}")
    assert limit is None or value < limit * GENEROUS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `script/e2e` can be asked for."""
    parser.addoption("--keep-screenshots", action="store_true", help="make the pictures of the README anew")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured."""
    if _MEASURED:
        terminalreporter.write_sep("=", "measured")
        for line in _MEASURED:
            terminalreporter.write_line(line)


@dataclass
class House:
    """What a test works with."""

    home: HomeAssistant
    doorbell: Doorbell
    photos: Photos
    browser: Browser

    async def rings(self, who: str) -> None:
        """Let somebody ring and wait until Home Assistant has said who it was."""
        async with self.home.websocket() as socket:
            watcher = await Watcher.start(socket)
            await self.doorbell.put_at_the_door(who)
            await asyncio.sleep(1)  # the bridge takes a second press within 0.3 s for the same finger
            await self.doorbell.press()
            await watcher.visit()

    async def page(self, token: str | None = None, **options: Any) -> Page:
        """Return a fresh browser's page, where the owner or the user of an access token is logged in."""
        token = token or self.home.session.headers["Authorization"].removeprefix("Bearer ")
        tokens = {
            "access_token": token,
            "refresh_token": "",
            "expires_in": LOGGED_IN_S,
            "expires": int((time.time() + LOGGED_IN_S) * 1000),
            "token_type": "Bearer",
            "hassUrl": self.home.url,
            "clientId": f"{self.home.url}/",
        }
        stored: StorageState = {
            "cookies": [],
            "origins": [
                {
                    "origin": self.home.url,
                    "localStorage": [{"name": "hassTokens", "value": json.dumps(tokens)}],
                }
            ],
        }
        context = await self.browser.new_context(storage_state=stored, **{"viewport": DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        return await context.new_page()


def watch_errors(page: Page) -> list[str]:
    """Return a list that fills with the errors of a page."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(f"{message.text} {message.location['url']}") if message.type == "error" else None
        ),
    )
    return errors


def ours(errors: list[str]) -> list[str]:
    """Return the errors that are not known to be others'."""
    return [error for error in errors if not any(word in error for word in NOT_OURS)]


async def open_dashboard(house: House, page: Page, path: str = DASHBOARD) -> Locator:
    """Open the dashboard and return the visits card, with its first row."""
    await page.goto(house.home.url + path)
    card = page.locator("face-doorbell-visits")
    await card.locator("li").first.wait_for()
    return card


async def picture(page: Page, name: str, *, whole: bool = True) -> None:
    """Keep a screenshot, once all pictures are there."""
    await page.wait_for_function(
        """() => {
          const card = (function find(root) {
            for (const each of root.querySelectorAll("*")) {
              if (each.localName === "face-doorbell-visits") return each;
              const inside = each.shadowRoot && find(each.shadowRoot);
              if (inside) return inside;
            }
            return null;
          })(document);
          return card && [...card.shadowRoot.querySelectorAll("img")].every((image) => image.naturalWidth > 0);
        }"""
    )
    await page.locator("hui-picture-entity-card img").first.wait_for()
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


@pytest.fixture(scope="session", autouse=True)
def screenshots() -> None:
    """Forget the screenshots of the last run."""
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)


@asynccontextmanager
async def built(
    folder: Path, photos: Photos | None = None, *, announced: bool = False, configuration: str = ""
) -> AsyncIterator[House]:
    """Give a doorbell and a Home Assistant that know nothing of each other yet, and a browser."""
    photos = photos or await lay_out_photos(folder / "photos")
    async with (
        Doorbell(folder / "bridge", photos.door, announced=announced) as doorbell,
        HomeAssistant(folder / "home_assistant", free_port(), configuration) as home,
        async_playwright() as playwright,
    ):
        # Debian's; Playwright's own is not needed.
        chromium = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield House(home, doorbell, photos, browser)
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The household; one for all tests of a module, as a start takes a while."""
    async with built(tmp_path_factory.mktemp("house")) as house:
        await set_up(house.home, house.doorbell, house.photos)
        for visitor in (KNOWN, *house.photos.strangers):
            await house.rings(visitor)
        yield house
