"""What was pressed, what came of it, and what that says about the promise."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
import json
from typing import Final, Self

from custom_components.face_doorbell.visits import Visit

CLOCK_TOLERANCE: Final = timedelta(seconds=1)
# A link is dead after 15 s of silence: so long may a message be on its way, and its age stands still.
AGE_TOLERANCE: Final = timedelta(seconds=17)


@dataclass(slots=True)
class Ring:
    """A press that became a ring. `cut_short`: the door died before it had stored the ring, or nobody was paired."""

    number: int
    ring_id: str
    at: datetime
    clock_ok: bool
    stored: bool = False
    cut_short: bool = False


@dataclass(slots=True)
class Report:
    """The result, as it is written to FILE."""

    sent: int = 0
    received: int = 0
    duplicates: int = 0
    lost: int = 0
    mistimed: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return self.sent > 0 and not (self.lost or self.duplicates or self.mistimed)

    def __add__(self, other: Self) -> Self:
        """Return the sum of two reports."""
        return type(self)(
            self.sent + other.sent,
            self.received + other.received,
            self.duplicates + other.duplicates,
            self.lost + other.lost,
            self.mistimed + other.mistimed,
            Counter(self.faults) + Counter(other.faults),
            self.broken + other.broken,
        )

    def to_json(self) -> str:
        """Return the report as the text of FILE."""
        report = asdict(replace(self, faults=dict(self.faults)))
        del report["broken"]
        return json.dumps(report, indent=2) + "\n"


class Ledger:
    """All rings of one door, and how often the household was told of one again."""

    def __init__(self) -> None:
        """Begin before the first press."""
        self.rings: dict[str, Ring] = {}
        self.told_again: list[str] = []
        self.faults: Counter[str] = Counter()

    def rang(self, ring: Ring) -> None:
        """Note a ring."""
        self.rings[ring.ring_id] = ring

    def settled(self, number: int) -> None:
        """Note that the ring of a press is stored, and so are all before it."""
        for ring in self.rings.values():
            ring.stored |= ring.number <= number

    def died(self, stored: Iterable[str]) -> None:
        """Note that the door has died with these rings in its journal."""
        for ring_id in stored:
            if ring_id in self.rings:
                self.rings[ring_id].stored = True
        for ring in self.rings.values():
            ring.cut_short |= not ring.stored

    def forgot(self, received: set[str]) -> None:
        """Note that the door has forgotten the household before it could tell it the rest."""
        for ring in self.rings.values():
            ring.cut_short |= ring.ring_id not in received

    def missing(self, received: set[str]) -> list[Ring]:
        """Return the rings that were promised and have not arrived."""
        return [ring for ring in self.rings.values() if not ring.cut_short and ring.ring_id not in received]

    def report(self, visits: Iterable[Visit]) -> Report:
        """Return the result, given all visits that the household has stored."""
        by_id = {ring.ring_id: replace(visit, at=ring.at) for visit in visits for ring in visit.rings}
        arrived = [ring for ring in self.rings.values() if ring.ring_id in by_id]
        missing = self.missing(set(by_id))
        never_rang = by_id.keys() - self.rings.keys()
        mistimed = [ring for ring in arrived if _mistimed(ring, by_id[ring.ring_id])]
        cut_short = sum(ring.cut_short for ring in self.rings.values() if ring.ring_id not in by_id)
        return Report(
            sent=len(arrived) + len(missing),
            received=len(arrived),
            duplicates=len(self.told_again) + len(never_rang),
            lost=len(missing),
            mistimed=len(mistimed),
            faults=self.faults + Counter({"cut_short": cut_short}),
            broken=[
                *(f"lost: {ring}" for ring in missing),
                *(f"told again: {self.rings.get(ring_id)}" for ring_id in self.told_again),
                *(f"never rang: {by_id[visit_id]}" for visit_id in never_rang),
                *(f"mistimed: {ring}, {by_id[ring.ring_id].at}" for ring in mistimed),
            ],
        )


def _mistimed(ring: Ring, visit: Visit) -> bool:
    tolerance = CLOCK_TOLERANCE if ring.clock_ok else AGE_TOLERANCE
    return visit.at_sure and abs(visit.at - ring.at) > tolerance
