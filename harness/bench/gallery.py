"""How long a large gallery takes in Home Assistant: 200 persons with 5 photos each, no bridge, no network."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
import math
from pathlib import Path
import random
import statistics
import time

from PIL import Image

from custom_components.face_doorbell.model import Box, Embedding, Face, Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.images import FACE_SIDE, thumbnail
from custom_components.face_doorbell.recognition.local import LocalEngine
from custom_components.face_doorbell.recognition.self_check import check_persons

from .measure import Measure

PERSONS = 200
PHOTOS = 5
LENGTH = 192  # of a vector of mobilefacenet-1
MODEL = "mobilefacenet-1"
SPREAD = 0.03  # of a component: photos of one person lie within L2 0.6

# Median milliseconds: recognition and the form as promised to users, the others so that nobody waits.
LIMITS = {
    "recognize one face": 10.0,
    "start": 5_000.0,
    "photos of a form": 1_000.0,
    "check the gallery": 10_000.0,
}


class NoBridge:
    """A `FaceFinder` that nobody may need."""

    async def find_faces(self, image: bytes) -> Sequence[Face]:
        """Fail: all faces are embedded already."""
        raise AssertionError


def near(centre: Sequence[float], random_: random.Random) -> tuple[float, ...]:
    """Return a unit vector near another."""
    vector = [value + random_.gauss(0, SPREAD) for value in centre]
    length = math.hypot(*vector)
    return tuple(value / length for value in vector)


def fill(gallery: Gallery, random_: random.Random) -> None:
    """Enrol everybody, with photos that differ in a byte behind their end only."""
    target = BytesIO()
    Image.effect_noise((1280, 960), 60).convert("RGB").save(target, "JPEG", quality=88)
    jpeg = target.getvalue()
    for number in range(PERSONS):
        centre = near([0.0] * LENGTH, random_)
        photos = [
            NewPhoto(jpeg + f"{number}-{photo}".encode(), Embedding(MODEL, near(centre, random_)))
            for photo in range(PHOTOS)
        ]
        gallery.add_person(f"Person {number}", photos)


async def median_ms(times: int, work: Callable[[], Awaitable[object]]) -> float:
    """Return the median duration in milliseconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


async def measure(root: Path) -> list[Measure]:
    """Return the medians in milliseconds."""
    random_ = random.Random(4)  # noqa: S311 - to be repeatable
    gallery = Gallery(root)
    gallery.load()
    fill(gallery, random_)
    engine = LocalEngine(NoBridge(), Rule())
    await engine.sync(gallery)
    person = gallery.persons[0]
    face = Face(Box(0.4, 0.2, 0.2, 0.3), embedding=Embedding(MODEL, person.photos[0].embeddings[MODEL]))
    (answer,) = (await engine.recognize(Picture(b"", (face,)))).faces
    if answer.person_id != person.id:
        raise RuntimeError("the wrong person was recognized")

    async def start() -> None:
        again = Gallery(root)
        await asyncio.to_thread(again.load)
        await LocalEngine(NoBridge(), Rule()).sync(again)

    async def form() -> None:
        for photo in person.photos:
            await asyncio.to_thread(thumbnail, gallery.photo(person.id, photo.id), FACE_SIDE)

    medians = {
        "recognize one face": await median_ms(101, lambda: engine.recognize(Picture(b"", (face,)))),
        "start": await median_ms(3, start),
        "photos of a form": await median_ms(11, form),
        "check the gallery": await median_ms(
            1, lambda: asyncio.to_thread(check_persons, gallery.persons, Rule())
        ),
    }
    return [Measure(what, medians[what], "ms", limit) for what, limit in LIMITS.items()]
