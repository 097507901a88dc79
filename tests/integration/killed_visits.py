"""The process that `test_visit_kill.py` kills: it stores, changes and deletes visits until it has to die."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
import random

from custom_components.face_doorbell.model import Box, Outcome
from custom_components.face_doorbell.visits.model import Visit, VisitFace, VisitPicture
from custom_components.face_doorbell.visits.store import VisitStore
from tests.recognition.killed import serve

CHANGES = 12  # in one life
START = datetime(2026, 11, 1, tzinfo=UTC)


def live(folder: Path, seed: int) -> None:
    """Read what is there and change it; what is done is noted in `acks`, as the bridge would hear of it."""
    random_ = random.Random(seed)
    store = VisitStore(folder / "visits")
    visits = {stored.visit.visit_id: stored for stored in store.read_all()}
    with (folder / "acks").open("a", buffering=1) as acks:
        for number in range(CHANGES):
            what = random_.choice(["add", "add", "change", "remove"])
            if what == "add" or not visits:
                visit = _visit(f"{seed}-{number}", random_.randint(0, 3))
                pictures = {picture.n: visit.visit_id.encode() * 100 for picture in visit.pictures}
                visits[visit.visit_id] = store.write(visit, (None,), pictures)
                acks.write(f"there {visit.visit_id} {len(pictures)}\n")
                continue
            visit_id = random_.choice(sorted(visits))
            if what == "change":
                named = replace(visits[visit_id].visit.faces[0], name=f"{seed}-{number}")
                visits[visit_id] = store.rewrite(visits[visit_id].visit.with_faces([named]), (None,))
            else:
                acks.write(f"going {visit_id} 0\n")
                store.remove([visit_id])
                acks.write(f"gone {visit_id} 0\n")
                del visits[visit_id]


def _visit(visit_id: str, pictures: int) -> Visit:
    return Visit(
        visit_id,
        "9f3c21ab",
        START + timedelta(minutes=len(visit_id)),
        outcome=Outcome.UNKNOWN,
        faces=(VisitFace(Box(0.1, 0.2, 0.3, 0.4)),),
        pictures=tuple(VisitPicture(n) for n in range(pictures)),
    )


if __name__ == "__main__":
    serve(lambda life: live(Path(life["root"]), life["seed"]))
