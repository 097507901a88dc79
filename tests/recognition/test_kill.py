"""Home Assistant is killed while it changes the gallery: afterwards gallery, index and disk agree.

`KILLS=200 pytest --timeout 0 tests/recognition/test_kill.py` is the long form; SEED chooses other points.
"""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import random
import subprocess
import sys
from typing import Any

import pytest

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from tests.fake_rekognition import FakeRekognition, PaintedEyes, aws_server
from tests.photos import ROOT
from tests.recognition import killed
from tests.recognition.conftest import BUCKET, s3_with_bucket

KILLS = int(os.environ.get("KILLS", "10"))  # for each engine
SEED = int(os.environ.get("SEED", "4"))
NEVER = 1_000_000_000


class Lives:
    """Lives one life of Home Assistant after the other, in processes that can be killed."""

    def __init__(
        self, root: Path, endpoint: str | None = None, module: str = "tests.recognition.killed"
    ) -> None:
        self.root, self.endpoint = root, endpoint
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, seed: int, point: int) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        life = {"root": str(self.root), "endpoint": self.endpoint, "seed": seed, "point": point}
        print(json.dumps(life), file=self._process.stdin, flush=True)
        ended: dict[str, Any] = json.loads(self._process.stdout.readline())
        return ended

    def close(self) -> None:
        self._process.communicate()


def lives(root: Path, endpoint: str | None) -> Iterator[Lives]:
    root.mkdir()
    lived = Lives(root, endpoint)
    yield lived
    lived.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Lives]:
    yield from lives(tmp_path / "local", None)


@pytest.fixture
def aws() -> Iterator[tuple[str, FakeRekognition]]:
    """AWS as a server, which outlives those who ask it."""
    with aws_server(PaintedEyes()) as server:
        yield server


@pytest.fixture
def rekognition(tmp_path: Path, aws: tuple[str, FakeRekognition]) -> Iterator[Lives]:
    yield from lives(tmp_path / "rekognition", aws[0])


async def agreed(lived: Lives) -> tuple[Recognizer, Gallery]:
    """Start again; what Home Assistant knows, the gallery and the disk are the same."""
    recognizer, gallery = killed.new_recognizer(lived.root, lived.endpoint)
    known = killed.names(lived.root)
    await recognizer.start(known)
    assert recognizer.in_sync
    # Who was removed does not come back, though Home Assistant had no time to write that down.
    known = {person_id: name for person_id, name in known.items() if person_id not in recognizer.forgotten}
    assert {person.id: person.name for person in gallery.persons} == known
    files = {
        f"{person.id}/{name}"
        for person in gallery.persons
        for name in ["person.json", *(f"{photo.id}.jpg" for photo in person.photos)]
    }
    people = lived.root / "faces" / "people"
    on_disk = {str(path.relative_to(people)) for path in people.rglob("*") if path.is_file()}
    assert on_disk == files
    for person in gallery.persons:
        for photo in person.photos:
            picture = Picture(gallery.photo(person.id, photo.id))
            (face,) = (await recognizer.recognize(picture)).faces
            assert face.person_id == person.id
    return recognizer, gallery


def points(first: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield seeds and the points to die at, spread over a life of the usual length."""
    assert first["status"] == 0
    random_ = random.Random(SEED)
    for number in range(KILLS):
        yield SEED * 10_000 + number, random_.randint(1, int(first["passed"]))


async def test_a_kill_leaves_the_local_engine_in_agreement(local: Lives) -> None:
    deaths = 0
    for seed, point in points(local.live(SEED, NEVER)):
        deaths += local.live(seed, point)["status"] == -9
        recognizer, _ = await agreed(local)
        await recognizer.close()
    assert deaths > KILLS / 3


async def test_a_kill_leaves_aws_in_agreement(rekognition: Lives, aws: tuple[str, FakeRekognition]) -> None:
    endpoint, fake = aws
    s3 = s3_with_bucket(endpoint)
    deaths = 0
    for seed, point in points(rekognition.live(SEED, NEVER)):
        deaths += rekognition.live(seed, point)["status"] == -9
        recognizer, gallery = await agreed(rekognition)
        await recognizer.close()
        photos = {f"{person.id}/{photo.id}" for person in gallery.persons for photo in person.photos}
        keys = {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}
        in_bucket = {key.removeprefix("face_doorbell/people/").removesuffix(".jpg") for key in keys}
        assert {each for each in in_bucket if not each.endswith(".json")} == photos
        collection = fake.collection()
        assert collection
        assert {face.user_id for face in collection.faces.values()} == {each.split("/")[0] for each in photos}
        assert len(collection.faces) == len(photos)
    assert deaths > KILLS / 3
