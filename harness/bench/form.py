"""How long a person form takes to open in a real Home Assistant, over HTTP: 200 persons with 5 photos each."""

import asyncio
from collections.abc import Iterator
import json
from pathlib import Path
import random
import re
import statistics
import time
from typing import Final
import uuid

from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_doorbell.const import (
    CONF_ENGINE,
    CONF_KIND,
    CONF_PERSON_ID,
    DOMAIN,
    ENGINE_LOCAL,
    SUBENTRY_PERSON,
    EntryKind,
)
from custom_components.face_doorbell.recognition.gallery import Gallery

from ..home_assistant import HomeAssistant
from ..process import free_port
from .gallery import PHOTOS, fill
from .measure import Measure

PERSON_FLOWS: Final = "/api/config/config_entries/subentries/flow"
TIMES: Final = 11
LIMIT_MS: Final = 1_000  # as promised to users

Steps = tuple[dict[str, str], ...]

# The ways into a form, by what they show.
FORMS: Final[dict[str, Steps | None]] = {
    "add a person": None,
    "change a person, photos shown": (),
    "add photos, photos shown": ({"next_step_id": "add_photos"},),
    "remove photos, photos shown": ({"next_step_id": "remove_photos"},),
}


async def measure(folder: Path) -> list[Measure]:
    """Return the medians in milliseconds, of a form with all its photos."""
    config = folder / "home_assistant"
    async with HomeAssistant(config, free_port()):
        pass  # which makes its memory
    entry_id, subentries = await asyncio.to_thread(_enrol, config)
    async with HomeAssistant(config, free_port()) as home:
        await _until_loaded(home, entry_id)
        random_ = random.Random(4)  # noqa: S311 - to be repeatable
        medians = {}
        for what, steps in FORMS.items():
            taken = []
            for _ in range(TIMES):
                begun = time.perf_counter()
                await _open(
                    home, entry_id, None if steps is None else random_.choice(subentries), steps or ()
                )
                taken.append((time.perf_counter() - begun) * 1000)
            medians[what] = statistics.median(taken)
    return [Measure(f"open the form: {what}", median, "ms", LIMIT_MS) for what, median in medians.items()]


async def _open(home: HomeAssistant, entry_id: str, subentry_id: str | None, steps: Steps) -> None:
    """Open a form as the user interface does, with all photos that it shows."""
    start: dict[str, object] = {"handler": [entry_id, SUBENTRY_PERSON]}
    if subentry_id:
        start["subentry_id"] = subentry_id
    step = await home.post(PERSON_FLOWS, start)
    for answer in steps:
        step = await home.post(f"{PERSON_FLOWS}/{step['flow_id']}", answer)
    urls = re.findall(r"!\[\d+\]\((\S+)\)", (step["description_placeholders"] or {}).get("photos", ""))
    if len(urls) != (PHOTOS if subentry_id else 0):
        raise RuntimeError(f"the form shows {len(urls)} photos")
    await asyncio.gather(*(_fetch(home, url) for url in urls))


async def _fetch(home: HomeAssistant, url: str) -> None:
    async with home.session.get(home.url + url) as response:
        response.raise_for_status()
        await response.read()


async def _until_loaded(home: HomeAssistant, entry_id: str) -> None:
    while True:
        entries = await home.get("/api/config/config_entries/entry")
        if next(each["state"] for each in entries if each["entry_id"] == entry_id) == "loaded":
            return
        await asyncio.sleep(0.1)


def _enrol(config: Path) -> tuple[str, list[str]]:
    """Put everybody into the gallery and Home Assistant's memory; return the ids of the entry and its subentries."""
    gallery = Gallery(config / DOMAIN)
    gallery.load()
    fill(gallery, random.Random(4))  # noqa: S311 - to be repeatable
    file = config / ".storage" / "core.config_entries"
    memory = json.loads(file.read_text())
    data = {CONF_KIND: EntryKind.RECOGNITION, CONF_ENGINE: ENGINE_LOCAL}
    entry = dict(MockConfigEntry(domain=DOMAIN, title="Face recognition", data=data).as_dict())
    entry["subentries"] = list(_subentries(gallery))
    memory["data"]["entries"].append(entry)
    file.write_text(json.dumps(memory, default=str))
    return entry["entry_id"], [each["subentry_id"] for each in entry["subentries"]]


def _subentries(gallery: Gallery) -> Iterator[dict[str, object]]:
    for person in gallery.persons:
        yield {
            "subentry_id": uuid.uuid4().hex,
            "subentry_type": SUBENTRY_PERSON,
            "title": person.name,
            "unique_id": person.id,
            "data": {CONF_PERSON_ID: person.id},
        }
