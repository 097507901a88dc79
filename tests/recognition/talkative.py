"""A process in which everything logs all that it can, while AWS is asked in both modes; see `test_rekognition.py`."""

import asyncio
from dataclasses import replace
import logging
from pathlib import Path
import sys

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.rekognition import (
    Mode,
    RekognitionEngine,
    check,
    create_bucket,
)
from tests.fake_rekognition import PaintedEyes, aws_server, paint
from tests.recognition.conftest import SETTINGS


async def talk(root: Path, endpoint: str) -> None:
    """Set up, sync, recognize, compare and forget."""
    logging.basicConfig(level=logging.DEBUG)
    settings = replace(SETTINGS, endpoint_url=endpoint)
    await create_bucket(settings)
    gallery = Gallery(root)
    gallery.load()
    gallery.add_person("Ann", [NewPhoto(paint(0)), NewPhoto(paint(0, mark=1))])
    for mode in Mode:
        await check(replace(settings, mode=mode))
        engine = RekognitionEngine(replace(settings, mode=mode), Rule())
        await engine.sync(gallery)
        await engine.recognize(Picture(paint(0, 120)))
        await engine.inspect(paint(0))
        await engine.compare(paint(0), paint(0, mark=1))
        await engine.forget_everyone(gallery)
        await engine.close()


if __name__ == "__main__":
    with aws_server(PaintedEyes()) as (url, _):
        asyncio.run(talk(Path(sys.argv[1]), url))
