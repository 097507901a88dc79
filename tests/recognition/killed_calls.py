"""The process that `test_usage_kill.py` kills: it asks AWS about visitors until it meets the point at which to die."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.ledger import Ledger
from custom_components.face_doorbell.recognition.rekognition import RekognitionEngine
from custom_components.face_doorbell.recognition.usage import Usage
from tests.fake_rekognition import paint
from tests.recognition.conftest import SETTINGS
from tests.recognition.killed import serve

BUDGET = 0.06  # US dollars
VISITS = 3  # in one life
FACES = 4


def ledger(root: Path) -> Ledger:
    """Return what is kept over all lives."""
    return Ledger(root / "usage.sqlite")


async def live(root: Path, endpoint: str) -> None:
    """Start, and have some pictures with several faces recognized, whose calls are made at the same time."""
    kept = ledger(root)
    usage = Usage(keep=kept.save)
    usage.restore(kept.load())
    usage.budget = BUDGET
    engine = RekognitionEngine(replace(SETTINGS, endpoint_url=endpoint), Rule(), usage)
    gallery = Gallery(root / "faces")
    gallery.load()
    await engine.sync(gallery)
    for _ in range(VISITS):
        try:
            await engine.recognize(Picture(paint(*range(0, 360, 360 // FACES))))
        except EngineUnavailableError as err:
            if err.key != "budget_spent":
                raise
    await engine.close()


def _live(life: Mapping[str, Any]) -> None:
    asyncio.run(live(Path(life["root"]), life["endpoint"]))


if __name__ == "__main__":
    serve(_live)
