"""The words of the design as types: picture, face, outcome.

Shared by the bridge client and the engines; no Home Assistant.
"""

import base64
from dataclasses import dataclass
from enum import StrEnum
import struct
from typing import Final

# Overlap from which on two boxes are one face.
SAME_FACE: Final = 0.3


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

    def overlap(self, other: Box) -> float:
        """Return intersection over union, 0 to 1."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        shared = max(0.0, width) * max(0.0, height)
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A face as a unit vector, comparable by L2 distance within one `model`."""

    model: str
    vector: tuple[float, ...]

    def pack(self) -> str:
        """Return the vector for JSON: 32-bit floats in Base64."""
        return base64.b64encode(struct.pack(f"<{len(self.vector)}f", *self.vector)).decode("ascii")

    @classmethod
    def unpack(cls, model: str, packed: str) -> Embedding:
        """Read what `pack` wrote; raises ValueError when it is something else."""
        raw = base64.b64decode(packed, validate=True)
        if len(raw) % 4:
            raise ValueError("not a vector")
        return cls(model, struct.unpack(f"<{len(raw) // 4}f", raw))


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture: `score` of the detector and `quality`, both 0 to 1.

    `yaw` is by how many degrees it is turned: 0 is frontal, positive to the right side of the picture; None: not known.
    """

    box: Box
    score: float = 1.0
    quality: float = 1.0
    embedding: Embedding | None = None
    yaw: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One JPEG; `faces` is None when nobody has looked for faces yet, largest first otherwise."""

    jpeg: bytes
    faces: tuple[Face, ...] | None = None
