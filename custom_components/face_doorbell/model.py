"""The words of the design as types: picture, face, outcome. Shared by the bridge client and the engines; no Home Assistant."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What came of a visit; an error is never `unknown`, and neither is an empty doorstep."""

    RECOGNIZED = "recognized"
    UNKNOWN = "unknown"
    NO_FACE = "no_face"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in fractions (0 to 1) of the picture's width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Share of the picture that the box covers."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Embedding:
    """A face as a unit vector, comparable by L2 distance within one `model`."""

    model: str
    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture: `score` of the detector and `quality`, both 0 to 1."""

    box: Box
    score: float = 1.0
    quality: float = 1.0
    embedding: Embedding | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One JPEG; `faces` is None when nobody has looked for faces yet, largest first otherwise."""

    jpeg: bytes
    faces: tuple[Face, ...] | None = None
