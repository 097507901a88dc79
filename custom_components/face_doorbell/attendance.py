"""A ring on its way to becoming a visit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .bridge import Ring
from .burst import Look, RingBurst, look
from .entries import RecognitionEntry, async_ready_recognition, person_names
from .model import SAME_FACE, Box, Embedding, Face, Outcome
from .recognition.errors import EngineAuthError, RecognitionError
from .visits import Timings, Visit, VisitFace, VisitPicture


class Decision(NamedTuple):
    """What came of a ring, the JPEGs of its pictures by number, and of each face what it can be recognized by."""

    visit: Visit
    pictures: Mapping[int, bytes]
    embeddings: Sequence[Embedding | None]


class Attendance:
    """Collects the pictures of one ring, has them recognized, and stops the time of each step."""

    def __init__(self, ring: Ring, doorbell_id: str, *, missed: bool) -> None:
        """Begin; `missed`: the ring is too old to answer at the door."""
        self.ring = ring
        self.missed = missed
        self.burst = RingBurst()
        self._doorbell_id = doorbell_id
        # A Pi has no clock of its own: before it has asked the network, only the age of a ring is right.
        self._at = ring.at if ring.clock_ok else dt_util.utcnow() - timedelta(milliseconds=ring.age_ms)
        self._pressed = monotonic() - ring.age_ms / 1000
        self._laps: dict[str, int] = {}
        self._embeddings: Sequence[Embedding | None] = ()

    @property
    def timings(self) -> Timings:
        """The times stopped so far."""
        return Timings(**self._laps)

    def lap(self, step: str) -> None:
        """Stop the time from the press to a step of `Timings`, when it is taken for the first time."""
        self._laps.setdefault(step, round((monotonic() - self._pressed) * 1000))

    async def async_decide(self, hass: HomeAssistant, *, recognize: bool) -> Decision:
        """Return what came of the ring; nobody is asked who it is unless `recognize`."""
        visit = await self._decided(hass) if recognize else await self._undecided()
        self.lap("decision")
        shots = self.burst.shots
        visit = replace(
            visit,
            pictures=tuple(VisitPicture(shot.n, shot.at_ms) for shot in shots),
            timings=self.timings,
        )
        return Decision(visit, {shot.n: shot.picture.jpeg for shot in shots}, self._embeddings)

    async def _decided(self, hass: HomeAssistant) -> Visit:
        entry: RecognitionEntry | None = None
        try:
            entry = await async_ready_recognition(hass)
            if entry is None:
                return await self._undecided()
            looks = await look(self.burst, entry.runtime_data.recognize)
        except RecognitionError as err:
            if entry and isinstance(err, EngineAuthError):
                entry.async_start_reauth(hass)
            return replace(await self._undecided(), outcome=Outcome.FAILED, reason=err.key)
        if not looks:
            return replace(await self._undecided(), outcome=Outcome.FAILED, reason="no_picture")
        return self._recognized(looks, person_names(entry))

    async def _undecided(self) -> Visit:
        """Return the visit with its best picture, when nobody was asked or there was no answer."""
        best = await self.burst.best()
        return replace(self._visit, picture=best.n if best else None)

    def _recognized(self, looks: Sequence[Look], names: Mapping[str, str]) -> Visit:
        counts = looks[-1]
        answer = counts.recognition
        seen = [_same(face.box, counts.shot.picture.faces or ()) for face in answer.faces]
        self._embeddings = [face.embedding if face else None for face in seen]
        return replace(
            self._visit,
            outcome=answer.outcome,
            engine=answer.engine,
            picture=counts.shot.n,
            faces=tuple(
                VisitFace(
                    face.box,
                    face.person_id,
                    names.get(face.person_id, face.person_id) if face.person_id else None,
                    face.similarity,
                    by_bridge.quality if by_bridge else None,
                )
                for face, by_bridge in zip(answer.faces, seen, strict=True)
            ),
            calls=sum((Counter(each.recognition.calls) for each in looks), Counter[str]()),
        )

    @property
    def _visit(self) -> Visit:
        ring = self.ring
        return Visit(
            visit_id=ring.ring_id,
            doorbell_id=self._doorbell_id,
            at=self._at,
            at_sure=self.ring.clock_ok or self.ring.age_ok,
            replay=ring.replay,
            missed=self.missed,
            test=ring.test,
        )


def _same(box: Box, faces: Sequence[Face]) -> Face | None:
    """Return the face that the bridge has seen where the engine has found one."""
    best = max(faces, key=lambda face: face.box.overlap(box), default=None)
    return best if best and best.box.overlap(box) >= SAME_FACE else None
