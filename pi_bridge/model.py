"""What the bridge talks about: rings, pictures, faces, and the messages of protocol v1 (docs/protocol.md)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
import struct
from typing import Final, NotRequired, Self, TypeAlias, TypedDict

API_VERSION: Final = 1
GOOD_QUALITY: Final = 0.5  # docs/protocol.md: from here on a face is good enough to decide on


class Output(StrEnum):
    """What the panel can light or sound."""

    GREEN = "green"
    RED = "red"
    BUZZER = "buzzer"


class Pattern(StrEnum):
    """How an output behaves while it plays."""

    OFF = "off"
    ON = "on"
    BLINK = "blink"
    FAST = "fast"
    DOUBLE = "double"


class Melody(StrEnum):
    """What a passive buzzer can play besides patterns."""

    DING_DONG = "ding_dong"
    CUCKOO = "cuckoo"
    RISING = "rising"
    WESTMINSTER = "westminster"
    ODE_TO_JOY = "ode_to_joy"
    ALARM = "alarm"


Tone: TypeAlias = Pattern | Melody


class CameraState(StrEnum):
    """How the webcam is."""

    OK = "ok"
    STALLED = "stalled"
    ABSENT = "absent"


class FacesState(StrEnum):
    """Whether the bridge can find and embed faces."""

    OK = "ok"
    OFF = "off"


class EmbeddingJson(TypedDict):
    """An embedding on the wire."""

    model: str
    vector: str


class FaceJson(TypedDict):
    """A face on the wire and in the journal."""

    box: list[float]
    score: float
    quality: float
    embedding: EmbeddingJson | None
    yaw: NotRequired[float | None]  # a journal of an earlier version has none


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in fractions (0 to 1) of the picture's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Embedding:
    """A face as a unit vector, comparable by L2 distance within one `model`."""

    model: str
    vector: tuple[float, ...]

    def to_json(self) -> EmbeddingJson:
        """Return the vector as base64 of float32, little endian."""
        packed = struct.pack(f"<{len(self.vector)}f", *self.vector)
        return {"model": self.model, "vector": base64.b64encode(packed).decode("ascii")}

    @classmethod
    def from_json(cls, data: EmbeddingJson) -> Self:
        """Read what `to_json` wrote."""
        packed = base64.b64decode(data["vector"])
        return cls(data["model"], struct.unpack(f"<{len(packed) // 4}f", packed))


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture: `score` of the detector and `quality`, both 0 to 1.

    `yaw` is by how many degrees it is turned: 0 is frontal, positive to the right side of the picture; None: not known.
    """

    box: Box
    score: float
    quality: float
    embedding: Embedding | None = None
    yaw: float | None = None

    def to_json(self) -> FaceJson:
        """Return the face as docs/protocol.md writes it."""
        box = self.box
        return {
            "box": [round(side, 4) for side in (box.left, box.top, box.width, box.height)],
            "score": round(self.score, 3),
            "quality": round(self.quality, 3),
            "embedding": self.embedding.to_json() if self.embedding else None,
            "yaw": None if self.yaw is None else round(self.yaw, 1),
        }

    @classmethod
    def from_json(cls, data: FaceJson) -> Self:
        """Read what `to_json` wrote."""
        embedding = data["embedding"]
        left, top, width, height = data["box"]
        return cls(
            Box(left, top, width, height),
            data["score"],
            data["quality"],
            Embedding.from_json(embedding) if embedding else None,
            data.get("yaw"),
        )


@dataclass(frozen=True, slots=True)
class FacesFound:
    """What the face models saw in one picture of `width` x `height` pixels; the largest face comes first."""

    width: int
    height: int
    faces: tuple[Face, ...]

    @property
    def good(self) -> bool:
        """Whether the largest face is good enough to decide on."""
        return bool(self.faces) and self.faces[0].quality >= GOOD_QUALITY

    @property
    def quality(self) -> float:
        """Quality of the largest face; 0 when there is none."""
        return self.faces[0].quality if self.faces else 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole JPEG of the webcam and the moment it was taken (`time.monotonic_ns`)."""

    jpeg: bytes
    taken_ns: int


@dataclass(frozen=True, slots=True)
class Ring:
    """One press of the button.

    `at` is UTC and right only if `clock_ok`; `boot` and `uptime_ms` (CLOCK_BOOTTIME) tell the age within the same boot.
    """

    seq: int
    ring_id: str
    at: datetime
    boot: str
    uptime_ms: int
    clock_ok: bool = True
    test: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """When a ring was, as well as the bridge can tell now.

    `at` is right if `clock_ok`; `age_ms` is if `age_ok`, and else the least that it can be.
    """

    at: datetime
    age_ms: int
    clock_ok: bool
    age_ok: bool


@dataclass(frozen=True, slots=True)
class RingPicture:
    """The `n`-th picture of a ring, taken `at_ms` after the press (negative: before); its JPEG is kept beside it."""

    seq: int
    ring_id: str
    n: int
    at_ms: int
    good: bool
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class Burst:
    """The end of a ring's pictures; `best` is None when there is no picture."""

    seq: int
    ring_id: str
    best: int | None


RingEvent = Ring | RingPicture | Burst


@dataclass(frozen=True, slots=True)
class BridgeState:
    """What every session is told at once and on each change."""

    camera: CameraState
    faces: FacesState
    outputs: dict[Output, Tone]


def iso_utc(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
