"""A process in which everything logs all that it can, while AWS is asked in both modes; see `test_rekognition.py`."""

import asyncio
from dataclasses import replace
import logging
from pathlib import Path
import sys

from moto.server import ThreadedMotoServer

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.rekognition import (
    Mode,
    RekognitionEngine,
    check,
    create_bucket,
)
from tests.fake_rekognition import PaintedEyes, fake_rekognition, paint
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
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with fake_rekognition(PaintedEyes()):
        asyncio.run(talk(Path(sys.argv[1]), f"http://{host}:{port}"))
    server.stop()
