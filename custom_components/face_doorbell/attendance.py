"""A ring, or several in a row, on the way to becoming a visit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
import logging
from time import monotonic
from typing import Final, NamedTuple, Self
from uuid import uuid4

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .bridge import Ring
from .burst import Look, RingBurst, Shot, look
from .entries import RecognitionEntry, async_ready_recognition, late_after, person_names
from .model import SAME_FACE, Box, Embedding, Face, Outcome, Picture
from .recognition.errors import EngineAuthError, RecognitionError
from .recognition.model import Recognition
from .visits import Timings, Visit, VisitFace, VisitPicture, VisitRing

_LOGGER = logging.getLogger(__name__)

# An engine has answered by then: who presses later has come back, or is somebody else.
SAME_VISIT_S: Final = 30


class Decision(NamedTuple):
    """What came of a ring, the JPEGs of its pictures by number, and of each face what it can be recognized by."""

    visit: Visit
    pictures: Mapping[int, bytes]
    embeddings: Sequence[Embedding | None]


class Attendance:
    """Collects the rings of one visit and the first one's pictures, has them recognized, and stops their time."""

    def __init__(self, ring: Ring, doorbell_id: str, *, missed: bool) -> None:
        """Begin; `missed`: the ring is too old to answer at the door."""
        self._rings = [ring]
        self._more_rings: list[VisitRing] = []
        self.missed = missed
        self.burst = RingBurst()
        self._doorbell_id = doorbell_id
        self._at = _rung_at(ring)
        self._pressed = _pressed(ring)
        self._decided = False
        self._laps: dict[str, int] = {}
        self._embeddings: Sequence[Embedding | None] = ()

    @classmethod
    def to_picture(cls, picture: Picture, doorbell_id: str) -> Self:
        """Begin with a test ring that no bridge has sent, of a visitor who looks like this; no other ring joins it."""
        ring = Ring(seq=0, ring_id=str(uuid4()), at=dt_util.utcnow(), test=True)
        attendance = cls(ring, doorbell_id, missed=False)
        attendance.burst.add(Shot(0, 0, good=True, picture=picture))
        attendance.burst.end()
        attendance._decided = True
        return attendance

    @property
    def ring(self) -> Ring:
        """The first ring."""
        return self._rings[0]

    @property
    def visit_id(self) -> str:
        """The id of the visit: that of its first ring."""
        return self._rings[0].ring_id

    @property
    def ring_ids(self) -> list[str]:
        """The ids of the rings so far."""
        return [ring.ring_id for ring in self._rings]

    def join(self, ring: Ring, *, missed: bool) -> bool:
        """Take one more ring, if it belongs to this visit; return whether it does.

        It does when it was pressed soon after the first one and nobody has decided yet: its visitor waits for the
        same answer.
        """
        sure = ring.age_ok and self._rings[0].age_ok
        soon = sure and abs(_pressed(ring) - self._pressed) < SAME_VISIT_S
        if self._decided or missed is not self.missed or not soon:
            return False
        self._rings.append(ring)
        self._more_rings.append(VisitRing(ring.ring_id, _rung_at(ring)))
        return True

    @property
    def timings(self) -> Timings:
        """The times stopped so far."""
        return Timings(**self._laps)

    def lap(self, step: str) -> None:
        """Stop the time from the press to a step of `Timings`, when it is taken for the first time."""
        self._laps.setdefault(step, round((monotonic() - self._pressed) * 1000))

    async def async_decide(self, hass: HomeAssistant, *, recognize: bool) -> Decision:
        """Return what came of the ring; nobody is asked who it is unless `recognize`."""
        visit = await self._recognize(hass) if recognize else await self._undecided()
        self._decided = True
        self.lap("decision")
        late = not self.missed and (self._laps["decision"] > late_after(hass) * 1000)
        if late:
            _LOGGER.warning(
                "The answer to a ring came %s ms after the press, too late", self._laps["decision"]
            )
        shots = self.burst.shots
        visit = replace(
            visit,
            test=all(ring.test for ring in self._rings),
            more_rings=tuple(self._more_rings),
            late=late,
            pictures=tuple(VisitPicture(shot.n, shot.at_ms) for shot in shots),
            timings=self.timings,
        )
        return Decision(visit, {shot.n: shot.picture.jpeg for shot in shots}, self._embeddings)

    async def _recognize(self, hass: HomeAssistant) -> Visit:
        entry: RecognitionEntry | None = None
        try:
            entry = await async_ready_recognition(hass)
            if entry is None:
                return await self._undecided()
            recognizer = entry.runtime_data

            async def ask(picture: Picture) -> Recognition:
                self.lap("asked")
                return await recognizer.recognize(picture)

            looks = await look(self.burst, ask)
        except RecognitionError as err:
            if entry and isinstance(err, EngineAuthError):
                entry.async_start_reauth(hass)
            return replace(await self._undecided(), outcome=Outcome.FAILED, reason=err.key)
        if not looks:
            return replace(await self._undecided(), outcome=Outcome.FAILED, reason="no_picture")
        still_there = hass.config_entries.async_get_entry(entry.entry_id) is entry
        return self._recognized(looks, person_names(entry) if still_there else {})

    async def _undecided(self) -> Visit:
        """Return the visit with its best picture, when nobody was asked or there was no answer."""
        best = await self.burst.best()
        return replace(self._visit, picture=best.n if best else None)

    def _recognized(self, looks: Sequence[Look], names: Mapping[str, str]) -> Visit:
        counts = looks[-1]
        # Who was removed while the engine was looking is nobody whom a visit may remember.
        answer = counts.recognition.of_persons(names)
        seen = [_same(face.box, counts.shot.picture.faces or ()) for face in answer.faces]
        self._embeddings = [face.embedding if face else None for face in seen]
        return replace(
            self._visit,
            outcome=answer.outcome,
            engine=answer.engine,
            fallback=answer.instead_of is not None,
            reason=answer.instead_of,
            picture=counts.shot.n,
            faces=tuple(
                VisitFace(
                    face.box,
                    face.person_id,
                    names[face.person_id] if face.person_id else None,
                    face.similarity,
                    by_bridge.quality if by_bridge else face.quality,
                )
                for face, by_bridge in zip(answer.faces, seen, strict=True)
            ),
            calls=sum((Counter(each.recognition.calls) for each in looks), Counter[str]()),
        )

    @property
    def _visit(self) -> Visit:
        ring = self._rings[0]
        return Visit(
            visit_id=ring.ring_id,
            doorbell_id=self._doorbell_id,
            at=self._at,
            at_sure=ring.clock_ok or ring.age_ok,
            replay=ring.replay,
            missed=self.missed,
        )


def _rung_at(ring: Ring) -> datetime:
    """Return when a ring was that has just come in.

    A Pi has no clock of its own: before it has asked the network, its age is better.
    """
    return ring.at if ring.clock_ok else dt_util.utcnow() - timedelta(milliseconds=ring.age_ms)


def _pressed(ring: Ring) -> float:
    """Return when a ring was that has just come in, by `monotonic`."""
    return monotonic() - ring.age_ms / 1000


def _same(box: Box, faces: Sequence[Face]) -> Face | None:
    """Return the face that the bridge has seen where the engine has found one."""
    best = max(faces, key=lambda face: face.box.overlap(box), default=None)
    return best if best and best.box.overlap(box) >= SAME_FACE else None
