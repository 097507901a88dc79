"""The pictures of the README, of people whose photos are in the public domain.

They are made in every run and kept with `script/e2e -k readme --keep-screenshots`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import expect
import pytest
import pytest_asyncio

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.visits.store import VisitStore
from harness.demo import set_up
from harness.home_assistant import REPOSITORY
from harness.photos import NOBODY, PUBLISHED, PUBLISHED_ENROLLED, PUBLISHED_KNOWN, lay_out_photos

from .conftest import PHONE, SCREENSHOTS, House, built, open_dashboard, ours, picture, watch_errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGES = REPOSITORY / "docs" / "images"
DESKTOP = {"width": 1400, "height": 1080}  # wide enough for the visits beside the last one
LIMIT = 300_000  # bytes
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # of the screenshot: the largest that is within the limit is taken
EXACT = 96  # colours at most that are kept as they are: of areas, as icons are, and of letters

# How long ago somebody rang, the latest first, once the household is as old as one that people live in.
AGES = (timedelta(minutes=47), timedelta(hours=3), timedelta(hours=8), timedelta(days=1, hours=2))


def age_visits(house: House) -> None:
    """Let the visits have been at other times, while Home Assistant does not run."""
    store = VisitStore(house.home.folder / DOMAIN / "visits")
    visits = sorted(store.read_all(), key=lambda stored: stored.visit.at, reverse=True)
    for stored, age in zip(visits, AGES, strict=True):
        store.rewrite(replace(stored.visit, at=datetime.now(UTC) - age), stored.embeddings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A household with some visits of the last days, where somebody known is at the door."""
    folder = tmp_path_factory.mktemp("shown")
    photos = await lay_out_photos(
        folder / "photos", PUBLISHED, known=PUBLISHED_KNOWN, enrolled=PUBLISHED_ENROLLED
    )
    async with built(folder, photos) as house:
        await set_up(house.home, house.doorbell, photos)
        for visitor in (PUBLISHED_KNOWN, NOBODY, PUBLISHED_KNOWN, *photos.strangers):
            await house.rings(visitor)
        await house.home.stop()
        await asyncio.to_thread(age_visits, house)
        await house.home.start()
        await house.rings(PUBLISHED_KNOWN)
        yield house


def compressed(screenshot: bytes) -> bytes:
    """Return a PNG with a palette that is as large as the limit lets it be."""
    with Image.open(BytesIO(screenshot)) as image:
        for scale in SCALES:
            size = (round(image.width * scale), round(image.height * scale))
            target = BytesIO()
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            with_palette(small).save(target, "PNG", optimize=True)
            if target.tell() < LIMIT:
                return target.getvalue()
    raise AssertionError("no scale is small enough")


def frequent(codes: NDArray[np.uint32], count: int) -> NDArray[np.uint32]:
    """Return the most frequent colours."""
    values, counts = np.unique(codes, return_counts=True)
    return values[np.argsort(counts)[-count:]]


def with_palette(image: Image.Image) -> Image.Image:
    """Return an image of 256 colours: those of letters and icons exactly, those of photos dithered."""
    pixels = np.asarray(image)
    codes = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    inside = codes[1:-1, 1:-1]
    around = (codes[:-2, 1:-1], codes[2:, 1:-1], codes[1:-1, :-2], codes[1:-1, 2:])
    flat = inside[np.logical_and.reduce([inside == each for each in around])]
    exact = np.union1d(frequent(flat, EXACT // 2), frequent(codes, EXACT // 2))
    photos = Image.fromarray(pixels[~np.isin(codes, exact)][None])
    colors = photos.quantize(256 - len(exact), Image.Quantize.MEDIANCUT, kmeans=1).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([int(code) >> shift & 0xFF for code in exact for shift in (16, 8, 0)] + colors)
    dithered = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    # The nearest colour in a palette is only looked for roughly.
    places = np.asarray(dithered).copy()
    for place, code in enumerate(exact):
        places[codes == code] = place
    result = Image.fromarray(places, "P")
    result.putpalette(palette.getpalette() or [])
    return result


@pytest.mark.parametrize(
    ("name", "screen"),
    [
        ("dashboard-light", {"viewport": DESKTOP, "color_scheme": "light"}),
        ("dashboard-dark", {"viewport": DESKTOP, "color_scheme": "dark"}),
        ("dashboard-phone", {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2}),
    ],
)
async def test_readme_picture(
    shown_house: House, pytestconfig: pytest.Config, name: str, screen: dict[str, Any]
) -> None:
    page = await shown_house.page(**screen)
    errors = watch_errors(page)
    card = await open_dashboard(shown_house, page)
    await expect(card.locator("li")).to_have_count(len(AGES) + 1)
    await picture(page, f"readme-{name}", whole=False)
    assert ours(errors) == []
    await page.context.close()
    screenshot = await asyncio.to_thread((SCREENSHOTS / f"readme-{name}.png").read_bytes)
    small = await asyncio.to_thread(compressed, screenshot)
    if pytestconfig.getoption("keep_screenshots"):
        await asyncio.to_thread(keep, IMAGES / f"{name}.png", small)


def keep(path: Path, image: bytes) -> None:
    """Write a picture of the README."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(image)
