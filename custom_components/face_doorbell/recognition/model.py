"""What an engine is and what it answers."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from ..model import Box, Face, Outcome, Picture
from .gallery import Gallery

if TYPE_CHECKING:
    from .decision import Rule


@dataclass(frozen=True, slots=True)
class Match:
    """How much a face is like a person, 0 to 100; 90 is the recommended operating point of each engine."""

    person_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class FaceAnswer:
    """Whose face it is: `person_id` is None for a stranger, `similarity` is to the most alike person.

    `similarity` is None when there was nothing to compare with, or more faces in the picture than are compared.
    `quality`, 0 to 1, is what the engine says of the picture of it; None when it says nothing.
    """

    box: Box
    person_id: str | None
    similarity: float | None
    matches: tuple[Match, ...] = ()
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """An engine's answer for one picture: every face, and how many billed calls of each kind it took.

    `instead_of`: it stands in for the engine that was chosen, which failed with this key.
    """

    engine: str
    faces: tuple[FaceAnswer, ...]
    calls: Mapping[str, int] = field(default_factory=dict)
    instead_of: str | None = None

    @property
    def outcome(self) -> Outcome:
        """Recognized when at least one face is known, unknown when none is, no_face when there is none."""
        if not self.faces:
            return Outcome.NO_FACE
        known = any(face.person_id is not None for face in self.faces)
        return Outcome.RECOGNIZED if known else Outcome.UNKNOWN

    def of_persons(self, person_ids: Container[str]) -> Recognition:
        """Return the answer when there are no other persons than these: the faces of others are strangers'."""
        faces = (
            face
            if face.person_id is None or face.person_id in person_ids
            else FaceAnswer(face.box, None, None, quality=face.quality)
            for face in self.faces
        )
        return replace(self, faces=tuple(faces))


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync changed in the engine's index; `refused` maps photo ids to the key of the reason.

    `deleted` counts what is gone outside of Home Assistant: `objects` and older `versions` in S3, `users` and `faces`
    in Rekognition. `versions_remain`: S3 keeps older versions of what was deleted, and we may not delete them.
    """

    added: int = 0
    removed: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    deleted: Mapping[str, int] = field(default_factory=dict)
    versions_remain: bool = False


class FaceFinder(Protocol):
    """Finds and embeds faces; a connected bridge does. All faces of one answer carry embeddings of one model."""

    async def find_faces(self, image: bytes) -> Sequence[Face]:
        """Return the faces of a JPEG, largest first.

        Raises EngineUnavailableError, EngineSetupError, PhotoRefusedError.
        """


class Engine(Protocol):
    """Answers "who is this?". Every method raises only errors of `errors.py`. Its rule may be changed at any time."""

    rule: Rule

    @property
    def name(self) -> str:
        """`local` or `rekognition`."""

    async def recognize(self, picture: Picture) -> Recognition:
        """Answer every face of a picture; raises PhotoRefusedError when it is no image that can be used."""

    async def compare(self, source: bytes, target: bytes) -> float:
        """Return the similarity (0 to 100) of the largest faces of two images; raises PhotoRefusedError."""

    async def inspect(self, photo: bytes) -> Sequence[Face]:
        """Return the usable faces of a prepared photo that is to be enrolled, largest first."""

    async def sync(self, gallery: Gallery) -> SyncReport:
        """Make the engine's index what the gallery is; one way, and idempotent.

        Removes only what the gallery says is removed. What the index refuses is noted in the gallery and in the report.
        When this fails, the engine still answers from what it has.
        """

    async def forget_everyone(self, gallery: Gallery) -> SyncReport:
        """Delete all that the index holds of us, also what the gallery does not know (any more)."""

    async def close(self) -> None:
        """Release clients and threads."""
