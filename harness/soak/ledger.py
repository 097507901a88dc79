"""What was pressed, what came of it, and what that says about the promise."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
import json
from typing import Final, Self

from custom_components.face_doorbell.visits import Visit

CLOCK_TOLERANCE: Final = timedelta(seconds=1)
# A link is dead after 15 s of silence: so long may a message be on its way, and its age stands still.
AGE_TOLERANCE: Final = timedelta(seconds=17)
# Milliseconds, and many times that where sixteen processes share two cores: by then a ring must be in the journal.
STORED_WITHIN: Final = timedelta(seconds=1)
NOT_YET: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Trouble:
    """A time in which the disk takes nothing."""

    began: datetime
    ended: datetime = NOT_YET


class CutShort(StrEnum):
    """Why a ring may be missing: its door died, or lost its journal, before anybody could have had it."""

    AT_ONCE = "cut_short"
    WITHOUT_DISK = "cut_short_without_disk"
    FORGOTTEN = "cut_short_by_damage"


@dataclass(slots=True)
class Ring:
    """A press that became a ring."""

    number: int
    ring_id: str
    at: datetime
    clock_ok: bool
    stored: bool = False
    cut_short: CutShort | None = None


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
        self._ordered: dict[int, tuple[datetime, bool]] = {}
        self.told_again: list[str] = []
        self.troubles: list[Trouble] = []
        self.faults: Counter[str] = Counter()

    def ordered(self, number: int, *, clock_ok: bool) -> None:
        """Note that the button is pressed now."""
        self._ordered[number] = (datetime.now(UTC), clock_ok)

    def rang(self, ring: Ring) -> None:
        """Note a ring."""
        self._ordered.pop(ring.number, None)
        self.rings[ring.ring_id] = ring

    def settled(self, number: int) -> None:
        """Note that the ring of a press is stored, and so are all before it."""
        for ring in self.rings.values():
            ring.stored |= ring.number <= number

    @contextmanager
    def disk_trouble(self) -> Iterator[None]:
        """Note that the disk takes nothing within this context."""
        trouble = Trouble(datetime.now(UTC))
        self.troubles.append(trouble)
        try:
            yield
        finally:
            trouble.ended = datetime.now(UTC)

    def died(self, at: datetime, stored: Iterable[str]) -> None:
        """Note that the door has died with these rings in its journal, oldest first.

        It may have stored one that it had no time to report; for those it has not stored it must have had no chance.
        """
        for ring_id in stored:
            if ring_id not in self.rings and self._ordered:
                number = min(self._ordered)
                self.rang(Ring(number, ring_id, *self._ordered[number]))
            if ring_id in self.rings:
                self.rings[ring_id].stored = True
        self._ordered.clear()
        for ring in self.rings.values():
            if not ring.stored:
                ring.cut_short = ring.cut_short or self._excuse(ring, at)

    def forgot(self, received: set[str]) -> None:
        """Note that the door has forgotten the household before it could tell it the rest."""
        for ring in self.rings.values():
            if ring.ring_id not in received:
                ring.cut_short = CutShort.FORGOTTEN

    def _excuse(self, ring: Ring, died: datetime) -> CutShort | None:
        """Return why a ring is not stored: its door had no time, or no disk until shortly before its death."""
        until, why = ring.at + STORED_WITHIN, CutShort.AT_ONCE
        for trouble in self.troubles:  # in the order of their beginnings
            if trouble.began < until and trouble.ended > ring.at:
                until, why = max(until, min(trouble.ended, died) + STORED_WITHIN), CutShort.WITHOUT_DISK
        return why if died < until else None

    def missing(self, received: set[str]) -> list[Ring]:
        """Return the rings that were promised and have not arrived."""
        return [ring for ring in self.rings.values() if not ring.cut_short and ring.ring_id not in received]

    def report(self, visits: Iterable[Visit]) -> Report:
        """Return the result, given all visits that the household has stored."""
        reported = [(ring.ring_id, replace(visit, at=ring.at)) for visit in visits for ring in visit.rings]
        by_id = dict(reported)
        arrived = [ring for ring in self.rings.values() if ring.ring_id in by_id]
        missing = self.missing(set(by_id))
        never_rang = by_id.keys() - self.rings.keys()
        mistimed = [ring for ring in arrived if _mistimed(ring, by_id[ring.ring_id])]
        cut_short = Counter(
            ring.cut_short.value
            for ring in self.rings.values()
            if ring.cut_short and ring.ring_id not in by_id
        )
        twice = [
            ring_id for ring_id, times in Counter(ring_id for ring_id, _ in reported).items() if times > 1
        ]
        return Report(
            sent=len(arrived) + len(missing),
            received=len(arrived),
            duplicates=len(self.told_again) + len(twice) + len(never_rang),
            lost=len(missing),
            mistimed=len(mistimed),
            faults=self.faults + cut_short,
            broken=[
                *(f"lost: {ring}" for ring in missing),
                *(f"told again: {self.rings.get(ring_id)}" for ring_id in self.told_again),
                *(f"in two visits: {by_id[ring_id]}" for ring_id in twice),
                *(f"never rang: {by_id[visit_id]}" for visit_id in never_rang),
                *(f"mistimed: {ring}, {by_id[ring.ring_id].at}" for ring in mistimed),
            ],
        )


def _mistimed(ring: Ring, visit: Visit) -> bool:
    tolerance = CLOCK_TOLERANCE if ring.clock_ok else AGE_TOLERANCE
    return visit.at_sure and abs(visit.at - ring.at) > tolerance
