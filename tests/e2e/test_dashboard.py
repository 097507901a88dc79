"""The dashboard as somebody sees it in a browser."""

from collections.abc import Mapping
import json
from pathlib import Path
import re
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect
import pytest

from harness.home_assistant import REPOSITORY
from harness.photos import FETCHED, KNOWN, NOBODY

from .conftest import (
    DASHBOARD,
    DESKTOP,
    PHONE,
    SCREENSHOTS,
    House,
    open_dashboard,
    ours,
    picture,
    watch_errors,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOORBELL = "event.front_door_doorbell"
CAMERA = "camera.front_door_camera"

ROW_PX = 110  # of a visit with one face at most, however narrow the list is
SCREENS = ((1920, 1080), (1366, 768), (1280, 800), (1024, 768), (768, 1024), (390, 844))

TRANSLATIONS = REPOSITORY / "custom_components" / "face_doorbell" / "translations"
PLACEHOLDER = re.compile(r"{(\w+)}")


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
    await expect(page.locator("hui-iframe-card")).to_be_hidden()
    await picture(page, name)
    assert await page.locator("hui-error-card").count() == 0
    assert ours(errors) == []
    await page.context.close()


async def test_who_was_at_the_door_is_seen_without_scrolling_on_every_screen(house: House) -> None:
    page = await house.page()
    card = await open_dashboard(house, page)
    live = page.locator("hui-picture-entity-card").first
    for width, height in SCREENS:
        await page.set_viewport_size({"width": width, "height": height})
        await expect(card).to_have_count(1)
        for part in (live, card.locator("li").first, card.locator("li").nth(2)):
            await expect(part).to_be_in_viewport(ratio=0.99)
        await page.screenshot(path=SCREENSHOTS / f"screen-{width}.png")
        assert await card.evaluate("(card) => card.scrollWidth <= card.clientWidth")
        heights = await card.locator("li").evaluate_all("(rows) => rows.map((row) => row.offsetHeight)")
        assert max(heights) < ROW_PX
    await page.context.close()


async def test_a_camera_that_is_lost_leaves_a_word_and_no_blank_box(house: House) -> None:
    page = await house.page()
    await open_dashboard(house, page)
    picture_of_now = page.locator("hui-picture-entity-card img").first
    lost = page.get_by_text("The camera gives no picture.")
    await expect(picture_of_now).to_be_visible()
    await expect(lost).to_have_count(0)
    before = await house.home.get(f"/api/states/{CAMERA}")
    await house.home.post(f"/api/states/{CAMERA}", {**before, "state": "unavailable"})
    await expect(lost).to_be_visible()
    await expect(page.locator("hui-picture-entity-card")).to_have_count(1)  # that of the last visitor
    await house.home.post(f"/api/states/{CAMERA}", before)
    await expect(lost).to_have_count(0)
    await expect(page.locator("hui-picture-entity-card")).to_have_count(2)
    await page.context.close()


async def test_numbers_are_as_the_language_writes_them(house: House) -> None:
    page = await house.page(locale="de-DE")
    card = await open_dashboard(house, page)
    await card.locator("li", has_text=KNOWN).first.get_by_role("button", name="Vergrößern").click()
    await expect(dialog(page)).to_contain_text(re.compile(rf"{KNOWN}: Ähnlichkeit \d+(,\d)? %"))
    await page.context.close()


async def test_it_reads_from_right_to_left_but_pictures_do_not(house: House) -> None:
    page = await house.page(locale="he", viewport=PHONE)
    card = await open_dashboard(house, page)
    row = card.locator("li", has_text=KNOWN).first
    face, words = await row.locator(".faces").bounding_box(), await row.locator(".chip").bounding_box()
    assert face
    assert words
    assert words["x"] + words["width"] <= face["x"]
    assert await card.evaluate("(card) => card.scrollWidth <= card.clientWidth")
    await picture(page, "right-to-left")
    await row.get_by_role("button", name="Enlarge").click()
    shown = dialog(page)
    title = await shown.get_by_role("heading").bounding_box()
    close = await shown.get_by_role("button", name="Close").bounding_box()
    assert title
    assert close
    assert close["x"] < title["x"]
    await expect(shown.locator(".frame img")).to_have_js_property("complete", value=True)
    box, frame = await shown.locator(".box").bounding_box(), await shown.locator(".frame").bounding_box()
    assert box
    assert frame
    left = await shown.locator(".box").evaluate("(box) => parseFloat(box.style.left) / 100")
    assert box["x"] - frame["x"] == pytest.approx(left * frame["width"], abs=2)
    await page.context.close()


def dialog(page: Page) -> Locator:
    """Return the open dialog of a card, which stands beside it."""
    return page.locator("#face-doorbell-dialog dialog[open]")


async def faults(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds serious in what is ours; the rest of the page is Home Assistant's."""
    found = await Axe().run(page)
    return [
        (each["id"], node["html"])
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
        if "face-doorbell" in str(node["target"])
    ]


# Whatever of ours can be pressed or typed in, and is too small for a finger.
SMALL = """() => {
  const found = [];
  (function look(root, ours) {
    for (const each of root.querySelectorAll("*")) {
      const mine = ours || each.localName.startsWith("face-doorbell") || each.id.startsWith("face-doorbell");
      if (ours && each.matches("button, select, input:not([type=checkbox])") && each.checkVisibility()) {
        const { width, height } = each.getBoundingClientRect();
        if (width < 44 || height < 44) found.push(`${each.outerHTML} ${width} x ${height}`);
      }
      if (each.shadowRoot) look(each.shadowRoot, mine);
    }
  })(document, false);
  return found;
}"""


@pytest.mark.parametrize(
    ("path", "element", "buttons"),
    [
        (DASHBOARD, "face-doorbell-visits", ("Who is this?", "Enlarge")),
        (f"{DASHBOARD}/people", "face-doorbell-people", (KNOWN, "Add person", "Check photos")),
    ],
)
@pytest.mark.parametrize("colors", ["light", "dark"])
async def test_axe_finds_nothing_serious_and_a_finger_hits_everything(
    house: House, path: str, element: str, buttons: tuple[str, ...], colors: str
) -> None:
    page = await house.page(viewport=PHONE, color_scheme=colors)
    await page.goto(house.home.url + path)
    card = page.locator(element)
    await card.locator("li").first.wait_for()
    for button in (None, *buttons):
        if button:
            await card.get_by_role("button", name=button).first.click()
            await expect(dialog(page)).to_be_visible()
        assert await faults(page) == []
        assert await page.evaluate(SMALL) == []
        await page.keyboard.press("Escape")
        await expect(dialog(page)).to_have_count(0)
    await page.context.close()


async def test_a_press_is_a_new_row_and_a_banner_without_reload(house: House) -> None:
    # Whoever rang before has long gone when the page is opened.
    ring = await house.home.get(f"/api/states/{DOORBELL}")
    long_ago = {"state": "2026-01-01T00:00:00+00:00", "attributes": ring["attributes"]}
    await house.home.post(f"/api/states/{DOORBELL}", long_ago)
    page = await house.page()
    card = await open_dashboard(house, page)
    await expect(page.get_by_text("at the door.")).to_have_count(0)
    rows = await card.locator("li").count()
    await house.rings(NOBODY)
    await expect(card.locator("li")).to_have_count(rows + 1)
    await expect(card.locator("li").first).to_contain_text("No face seen")
    await expect(page.get_by_text("Somebody is at the door.")).to_be_visible()
    await house.rings(KNOWN)
    await expect(page.get_by_text(f"At the door: {KNOWN}")).to_be_visible()
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
    await expect(dialog(page)).to_have_count(0)
    await picture(page, "named", whole=False)
    await row.get_by_role("button", name=f"Not {stranger}").click()
    await dialog(page).get_by_role("button", name="A stranger").click()
    await expect(card.locator("li", has_text=stranger)).to_have_count(0)
    assert ours(errors) == []
    await page.context.close()


async def test_the_focus_stays_in_the_dialog_and_comes_back(house: House) -> None:
    page = await house.page()
    card = await open_dashboard(house, page)
    opener = card.get_by_role("button", name="Enlarge").first
    await opener.focus()
    await page.keyboard.press("Enter")
    buttons = dialog(page).get_by_role("button")
    for _ in range(2 * await buttons.count()):
        await page.keyboard.press("Tab")
        # Between the last one and the first, the browser's own controls may have it; never the page behind.
        assert await page.evaluate("['BODY', 'DIV'].includes(document.activeElement.tagName)")
    await page.keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await page.context.close()


async def test_somebody_is_added_corrected_and_removed_on_the_page_of_people(house: House) -> None:
    page = await house.page()
    errors = watch_errors(page)
    await page.goto(f"{house.home.url}{DASHBOARD}/people")
    card = page.locator("face-doorbell-people")
    await card.get_by_role("button", name="Add person").click()
    shown = dialog(page)
    await expect(shown).to_contain_text("Or take a visitor whom nobody has named yet")
    await expect(shown).not_to_contain_text(re.compile("null|false|undefined"))
    await shown.get_by_label("Name").fill("Joe Biden")
    await upload(page, shown, "biden.jpg", "coffee.png", "obama.jpg")
    # Each photo is judged by itself; that the dashboard has changed meanwhile, as a person has come, closes nothing.
    await expect(shown.get_by_text("There is no face in this photo.")).to_be_visible()
    await expect(shown.get_by_text(f"This looks like {KNOWN}")).to_be_visible()
    await expect(shown.get_by_text("Photos: 1", exact=True)).to_be_visible()
    await page.screenshot(path=SCREENSHOTS / "add-person.png")
    await shown.get_by_role("button", name="Use the photo anyway").click()
    await expect(shown.get_by_text("Photos: 2", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await card.get_by_role("button", name="Check photos").click()
    wrong = re.compile(rf"Photo 2 of Joe Biden, added on \w+ \d+, 20\d\d, looks more like {KNOWN}")
    await expect(shown.get_by_text(wrong)).to_be_visible()
    await shown.get_by_role("button", name="Joe Biden").click()
    await shown.get_by_role("button", name="Remove: Photo 2 of Joe Biden").click()
    await expect(shown.get_by_text("Photos: 1", exact=True)).to_be_visible()
    await expect(shown.get_by_role("button", name="Remove: Photo")).to_have_count(0)  # the last one
    await shown.get_by_label("Name").fill("Joe")
    await page.keyboard.press("Enter")
    await expect(shown.get_by_role("heading", name="Joe", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    tile = card.get_by_role("button", name="Joe Photos: 1")
    await expect(tile).to_be_visible()
    await card.get_by_role("button", name="Check photos").click()
    await expect(shown.get_by_text("Only one photo, so that nothing could be compared: Joe.")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.screenshot(path=SCREENSHOTS / "people.png")
    await tile.click()
    await shown.get_by_role("button", name="Remove this person").click()
    await expect(shown.get_by_text("This deletes Joe with all photos (1)")).to_be_visible()
    await shown.get_by_role("button", name="Remove Joe").click()
    await expect(tile).to_have_count(0)
    await expect(dialog(page)).to_have_count(0)
    assert [error for error in ours(errors) if "404" not in error] == []
    await page.context.close()


async def upload(page: Page, shown: Locator, *names: str) -> None:
    """Choose photos as a person does."""
    async with page.expect_file_chooser() as chooser:
        await shown.get_by_role("button", name="Choose photos").click()
    files: list[str | Path] = [FETCHED / name for name in names]
    await (await chooser.value).set_files(files)


async def test_who_may_only_look_sees_no_people_and_changes_nothing(house: House) -> None:
    page = await guest_page(house)
    card = await open_dashboard(house, page)
    await expect(page.get_by_role("tab", name="People")).to_have_count(0)
    await expect(card.get_by_role("button", name="Enlarge").first).to_be_visible()
    await expect(card.get_by_role("button", name="Who is this?")).to_have_count(0)
    await page.context.close()


async def guest_page(house: House) -> Page:
    """Return the page of somebody who is no administrator."""
    async with house.home.websocket() as socket:
        user = (await socket.command("config/auth/create", name="Guest", group_ids=["system-users"]))["user"]
        await socket.command(
            "config/auth_provider/homeassistant/create",
            user_id=user["id"],
            username="guest",
            password="doorbell",
        )
    token = await house.home.token_of("guest", "doorbell")
    return await house.page(token=token)


async def test_without_our_javascript_the_door_is_still_there(house: House) -> None:
    page = await house.page()
    await page.route("**/face_doorbell/*.js*", lambda route: route.abort())
    await page.goto(house.home.url + DASHBOARD)
    await expect(page.locator("hui-picture-entity-card img")).to_have_count(2)
    await expect(page.locator("hui-logbook-card")).to_be_visible()
    assert not await page.evaluate("Boolean(customElements.get('face-doorbell-visits'))")
    await page.context.close()


async def test_the_card_picker_suggests_the_cards(house: House) -> None:
    page = await house.page()
    await open_dashboard(house, page)
    suggest = """(entity) => {
      const { hass } = document.querySelector("home-assistant");
      return window.customCards.map((card) => card.getEntitySuggestion(hass, entity)?.config).filter(Boolean);
    }"""
    (visits,) = await page.evaluate(suggest, "camera.front_door_camera")
    assert visits["type"] == "custom:face-doorbell-visits"
    assert visits["device_id"]
    (people,) = await page.evaluate(suggest, "sensor.barack_obama_last_seen")
    assert people == {"type": "custom:face-doorbell-people"}
    assert await page.evaluate(suggest, "sun.sun") == []
    await page.context.close()


async def test_a_visit_can_be_enlarged_and_forgotten(house: House) -> None:
    page = await house.page(viewport=PHONE)
    card = await open_dashboard(house, page)
    rows = await card.locator("li").count()
    await card.locator("li", has_text=KNOWN).first.get_by_role("button", name="Enlarge").click()
    await expect(dialog(page).locator(".box")).to_be_visible()
    await picture(page, "enlarged", whole=False)
    await dialog(page).get_by_role("button", name="Forget this visit").click()
    await dialog(page).get_by_role("button", name="Really delete").click()
    await expect(card.locator("li")).to_have_count(rows - 1)
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


async def test_two_cards_on_a_page_both_have_their_texts(house: House) -> None:
    """Of two that ask for the same texts at the same time, Home Assistant lets only one wait for them."""
    cards = [{"type": "custom:face-doorbell-visits"}, {"type": "custom:face-doorbell-people"}]
    async with house.home.websocket() as socket:
        await socket.command(
            "lovelace/dashboards/create", url_path="both-cards", title="Both", mode="storage"
        )
        config = {"views": [{"type": "masonry", "cards": cards}]}
        await socket.command("lovelace/config/save", url_path="both-cards", config=config)
    page = await house.page()
    card = await open_dashboard(house, page, "/both-cards")
    await expect(card.get_by_label("Show")).to_be_visible()
    await expect(page.get_by_role("button", name="Add person")).to_be_visible()
    await page.context.close()


# What Home Assistant's formatter makes of texts in the language of the browser.
SAY = """async ([language, categories, keys, values]) => {
  const { hass } = document.querySelector("home-assistant");
  if (hass.language !== language) throw new Error(`the language is ${hass.language}`);
  let localize;
  for (const category of categories) localize = await hass.loadBackendTranslation(category, "face_doorbell");
  return keys.map((key) => localize(key, values));
}"""


def flat(path: str, texts: str | Mapping[str, Any]) -> dict[str, str]:
    """Return all texts by their whole path."""
    if isinstance(texts, str):
        return {path: texts}
    return {each: text for key, below in texts.items() for each, text in flat(f"{path}.{key}", below).items()}


async def test_the_frontend_says_every_text_in_every_language(house: House) -> None:
    """Each text of each language passes through Home Assistant's formatter as it stands in our file."""
    for file in sorted(TRANSLATIONS.glob("*.json")):
        page = await house.page(locale=file.stem)
        await page.goto(house.home.url + "/profile")
        await page.wait_for_function("() => document.querySelector('home-assistant')?.hass?.user")
        by_category = json.loads(file.read_text())
        texts = flat("component.face_doorbell", by_category)
        values = {name: f"<{name}>" for text in texts.values() for name in PLACEHOLDER.findall(text)}
        said = await page.evaluate(SAY, [file.stem, list(by_category), list(texts), values])
        wanted = {key: PLACEHOLDER.sub(r"<\1>", text) for key, text in texts.items()}
        assert dict(zip(texts, said, strict=True)) == wanted
        await page.context.close()
