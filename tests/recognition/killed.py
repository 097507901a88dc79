"""The process that `test_kill.py` kills: it changes a gallery until it meets the point at which it has to die.

Runs a line of JSON from stdin at a time in a child of its own, so that nothing has to be imported anew, and answers
with how the child ended and how many points it has passed. A point is whatever Python reports to its audit hooks that
touches the disk or the network.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import functools
import json
import math
import os
from pathlib import Path
import random
import signal
import sys
from typing import Any

from custom_components.face_doorbell.files import write_file
from custom_components.face_doorbell.model import Box, Embedding, Face
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import PersonError
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.local import LocalEngine
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import RekognitionEngine
from tests.fake_rekognition import PaintedEyes, paint
from tests.recognition.conftest import SETTINGS

MODEL = "painted"
HUES = range(0, 360, 60)  # of the persons; no two look alike
CHANGES = 4  # in one life
EVENTS = ("open", "os.", "shutil.", "socket.")


class Painted:
    """A `FaceFinder` that sees painted faces."""

    def __init__(self) -> None:
        self._eyes = PaintedEyes()

    async def find_faces(self, image: bytes) -> Sequence[Face]:
        return [
            Face(Box(face.left, face.top, face.width, face.height), embedding=_embedding(face.face[0]))
            for face in self._eyes.look(image)
        ]


def _embedding(hue: float) -> Embedding:
    return Embedding(MODEL, (math.cos(math.radians(hue)), math.sin(math.radians(hue))))


photo = functools.cache(lambda hue, mark: paint(hue, mark=mark))


def new_recognizer(root: Path, endpoint: str | None) -> tuple[Recognizer, Gallery]:
    """Return a recognizer with the local engine, or with AWS at an address; not yet started."""
    gallery, finder = Gallery(root / "faces"), Painted()
    if endpoint is None:
        return Recognizer(LocalEngine(finder, Rule()), gallery, finder), gallery
    return Recognizer(RekognitionEngine(replace(SETTINGS, endpoint_url=endpoint), Rule()), gallery), gallery


def names(root: Path) -> dict[str, str]:
    """Return what Home Assistant knows of the persons: their names by id."""
    try:
        known: dict[str, str] = json.loads((root / "names.json").read_bytes())
    except FileNotFoundError:
        return {}
    return known


async def live(root: Path, endpoint: str | None, seed: int) -> None:
    """Start, and change something a few times."""
    random_ = random.Random(seed)
    recognizer, _ = new_recognizer(root, endpoint)
    known = names(root)
    await recognizer.start(known)
    for _ in range(CHANGES):
        try:
            known = await _change(recognizer, known, random_)
        except PersonError:
            continue  # this one cannot be made now
        write_file(root / "names.json", json.dumps(known).encode())
    await recognizer.close()


async def _change(recognizer: Recognizer, known: Mapping[str, str], random_: random.Random) -> dict[str, str]:
    taken = set(known.values())
    free = [hue for hue in HUES if f"Hue {hue}" not in taken and f"Renamed {hue}" not in taken]
    what = random_.choice(["add", "add", "photo", "photo", "rename", "less", "remove"])
    if what == "add" or not known:
        if not free:
            raise PersonError
        hue = random_.choice(free)
        photos = [photo(hue, mark) for mark in random_.sample(range(6), random_.randint(1, 3))]
        person = await recognizer.enrol(f"Hue {hue}", photos, force=True)
        return {**known, person.id: person.name}
    person_id = random_.choice(sorted(known))
    hue = int(known[person_id].split()[1])
    match what:
        case "photo":
            await recognizer.add_photos(person_id, [photo(hue, random_.randrange(6))], force=True)
        case "rename":
            person = await recognizer.rename_person(person_id, f"Renamed {hue}")
            return {**known, person_id: person.name}
        case "less":
            await recognizer.remove_photos(
                person_id, [each.id for each in recognizer.person(person_id).photos[1:]]
            )
        case "remove":
            await recognizer.remove_person(person_id)
            return {each: name for each, name in known.items() if each != person_id}
    return dict(known)


class Life:
    """Counts the points that were passed, and ends at one of them."""

    def __init__(self, point: int) -> None:
        self.passed = 0
        self._point = point
        sys.addaudithook(self._heard)

    def _heard(self, event: str, _args: object) -> None:
        if event.startswith(EVENTS):
            self.passed += 1
            if self.passed == self._point:
                os.kill(os.getpid(), signal.SIGKILL)


def serve(live: Callable[[Mapping[str, Any]], None]) -> None:
    """Live the lives that stdin asks for."""
    for line in sys.stdin:
        life = json.loads(line)
        reading, writing = os.pipe()
        if not (child := os.fork()):
            counted = Life(life["point"])
            live(life)
            os.write(writing, str(counted.passed).encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        passed = os.read(reading, 20).decode()
        os.close(reading)
        sys.stdout.write(json.dumps({"status": os.waitstatus_to_exitcode(status), "passed": passed}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(lambda life: asyncio.run(live(Path(life["root"]), life["endpoint"], life["seed"])))
