"""Home Assistant is killed while it keeps visits: what was acked is there, and no picture is without its visit.

`KILLS=200 pytest --timeout 0 tests/integration/test_visit_kill.py` is the long form; SEED chooses other points.
"""

from collections.abc import Iterator
import os
from pathlib import Path
import random

import pytest

from custom_components.face_doorbell.visits.store import VisitStore
from tests.recognition.test_kill import NEVER, Lives

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", "4"))


def agreed(folder: Path) -> None:
    """Start again; the disk holds what was acked, whole, and nothing else but what was not acked yet."""
    stored = {each.visit.visit_id: each.visit for each in VisitStore(folder / "visits").read_all()}
    said: dict[str, tuple[str, int]] = {}
    for line in (folder / "acks").read_text().splitlines():
        what, visit_id, pictures = line.split()
        said[visit_id] = (what, int(pictures))
    for visit_id, (state, count) in said.items():
        if state == "there":
            assert len(stored[visit_id].pictures) == count
        if state == "gone":
            assert visit_id not in stored
    files = {
        f"{visit_id}/{name}"
        for visit_id, visit in stored.items()
        for name in ["visit.json", *(f"{picture.n}.jpg" for picture in visit.pictures)]
    }
    visits = folder / "visits"
    assert {str(path.relative_to(visits)) for path in visits.rglob("*") if path.is_file()} == files
    assert {path.name for path in visits.iterdir()} == set(stored)


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    lived = Lives(tmp_path, module="tests.integration.killed_visits")
    yield lived
    lived.close()


def test_a_kill_leaves_no_half_visit(lives: Lives) -> None:
    whole = lives.live(SEED, NEVER)
    assert whole["status"] == 0
    agreed(lives.root)
    random_ = random.Random(SEED)
    deaths = 0
    for number in range(KILLS):
        point = random_.randint(1, int(whole["passed"]))
        deaths += lives.live(SEED * 10_000 + number, point)["status"] == -9
        agreed(lives.root)
    assert deaths > KILLS / 3
