"""What a visit is: who stood before the door, how that was found out, and how long it took."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ..model import Box, Outcome


@dataclass(frozen=True, slots=True)
class VisitFace:
    """A face in the picture that decided a visit.

    `person_id` is None for a stranger; `similarity`, 0 to 100, is to the most alike person, and None when there was
    nothing to compare with or a user has said whose face it is (`by_user`). `quality`, 0 to 1, is the bridge's, or else
    the engine's. Strangers that look alike share a `group`. `photo_id` is the reference photo made of this face.
    """

    box: Box
    person_id: str | None = None
    name: str | None = None
    similarity: float | None = None
    quality: float | None = None
    group: str | None = None
    by_user: bool = False
    photo_id: str | None = None


@dataclass(frozen=True, slots=True)
class VisitPicture:
    """The `n`-th picture of a visit, taken `at_ms` after the press (negative: before)."""

    n: int
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class VisitRing:
    """One press for a visit."""

    ring_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds from the press to each step; None for a step that was not taken. `asked`: the engine, first."""

    ring: int | None = None
    picture: int | None = None
    asked: int | None = None
    decision: int | None = None
    answer: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """What Home Assistant made of a ring; `visit_id` is the ring's id, `more_rings` came while it was being decided.

    `at_sure`: not when the bridge came back from a power cut and had no right clock at the ring or has none now.
    `missed`: it was too old to answer. `late`: the answer came when nobody waited for it any more. `fallback`: the
    engine that was chosen failed and another answered. `outcome` is None when nobody was asked; `reason` is the key of
    a failure,
    `picture` the number of the picture that decided, whose faces these are.
    """

    visit_id: str
    doorbell_id: str
    at: datetime
    at_sure: bool = True
    replay: bool = False
    missed: bool = False
    late: bool = False
    test: bool = False
    outcome: Outcome | None = None
    reason: str | None = None
    engine: str | None = None
    fallback: bool = False
    faces: tuple[VisitFace, ...] = ()
    more_rings: tuple[VisitRing, ...] = ()
    pictures: tuple[VisitPicture, ...] = ()
    picture: int | None = None
    timings: Timings = field(default_factory=Timings)
    calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def cursor(self) -> str:
        """Where the visit is in the order of time; later visits have larger ones."""
        return f"{self.at.astimezone(UTC).isoformat(timespec='microseconds')}~{self.visit_id}"

    @property
    def rings(self) -> tuple[VisitRing, ...]:
        """All its rings, in their order."""
        return (VisitRing(self.visit_id, self.at), *self.more_rings)

    @property
    def known(self) -> tuple[VisitFace, ...]:
        """The faces of persons, the surest first."""
        faces = [face for face in self.faces if face.person_id is not None]
        return tuple(sorted(faces, key=lambda face: face.similarity or 0, reverse=True))

    @property
    def recognized(self) -> tuple[VisitFace, ...]:
        """The faces of persons as the engine knew them at the ring, without those that a user has named since."""
        return tuple(face for face in self.known if not face.by_user)

    @property
    def names(self) -> list[str]:
        """The names of the persons, the surest first; each once, even if two faces were given the same one."""
        return list(dict.fromkeys(face.name or "" for face in self.known))

    @property
    def strangers(self) -> int:
        """How many faces belong to nobody."""
        return len(self.faces) - len(self.known)

    @property
    def similarity(self) -> float | None:
        """How alike the surest person is, or the most alike one when nobody is known."""
        return max(
            (face.similarity for face in self.known or self.faces if face.similarity is not None),
            default=None,
        )

    def with_faces(self, faces: Iterable[VisitFace]) -> Visit:
        """Return the visit with other answers for its faces, and the outcome that follows from them."""
        changed = replace(self, faces=tuple(faces))
        return replace(changed, outcome=Outcome.RECOGNIZED if changed.known else Outcome.UNKNOWN)

    def with_face(self, index: int, face: VisitFace) -> Visit:
        """Return the visit with another answer for one face."""
        return self.with_faces((*self.faces[:index], face, *self.faces[index + 1 :]))

    def to_json(self) -> dict[str, Any]:
        """Return the visit as it is stored; what it was recognized by is not part of it."""
        more_rings = [{"ring_id": ring.ring_id, "at": ring.at.isoformat()} for ring in self.more_rings]
        return asdict(self) | {
            "at": self.at.isoformat(),
            "more_rings": more_rings,
            "calls": dict(self.calls),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Visit:
        """Read what `to_json` wrote; raises KeyError, TypeError or ValueError when it is something else."""
        return cls(
            **{
                **data,
                "at": _time(data["at"]),
                "outcome": Outcome(data["outcome"]) if data["outcome"] else None,
                "faces": tuple(VisitFace(**{**face, "box": Box(**face["box"])}) for face in data["faces"]),
                "more_rings": tuple(
                    VisitRing(ring["ring_id"], _time(ring["at"]))
                    for ring in data.get("more_rings", ())  # older visits had only one
                ),
                "pictures": tuple(VisitPicture(**picture) for picture in data["pictures"]),
                "timings": Timings(**data["timings"]),
            }
        )


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without a zone is none")
    return time
