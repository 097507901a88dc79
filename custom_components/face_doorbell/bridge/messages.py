"""What the bridge says, as frozen dataclasses; unknown fields are ignored and missing ones have defaults."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
import struct
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from ..model import Box, Embedding, Face
from .errors import BridgeAnswerError

API_VERSION: Final = 1

type Json = Mapping[str, Any]  # Any: a peer of another version decides what stands in it


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

    @classmethod
    def _missing_(cls, value: object) -> Pattern:
        """Take a newer bridge's pattern for one that plays."""
        return cls.ON


class CameraState(StrEnum):
    """How the webcam is."""

    OK = "ok"
    STALLED = "stalled"
    ABSENT = "absent"

    @classmethod
    def _missing_(cls, value: object) -> CameraState:
        """Take a newer bridge's state for one that gives no pictures."""
        return cls.STALLED


class FacesState(StrEnum):
    """Whether the bridge can find and embed faces."""

    OK = "ok"
    OFF = "off"

    @classmethod
    def _missing_(cls, value: object) -> FacesState:
        """Take a newer bridge's state for one that finds no faces."""
        return cls.OFF


@dataclass(frozen=True, slots=True)
class BridgeInfo:
    """What a bridge tells everybody; `fingerprint` is the SHA-256 of its certificate in lower-case hex."""

    id: str
    name: str = ""
    api: int = API_VERSION
    version: str = ""
    paired: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What pairing yields; `token` is a secret."""

    token: str = field(repr=False)
    id: str
    name: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class BridgeState:
    """The bridge's camera, face models and outputs."""

    camera: CameraState = CameraState.ABSENT
    faces: FacesState = FacesState.OFF
    outputs: Mapping[Output, Pattern] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class QuietHours:
    """In which the doorbell does not sound by itself: local times of the time zone with this IANA name."""

    start: str
    end: str
    zone: str


@dataclass(frozen=True, slots=True)
class Chime:
    """What sounds at a press; None: what the Pi's own file says. Nothing does in quiet hours."""

    tone: str | None = None
    for_ms: int | None = None
    quiet: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a connection; `pending` rings wait to be sent.

    `tones` are what the buzzer can play. `chime` is None when the bridge is too old for one.
    """

    id: str
    name: str = ""
    api: int = API_VERSION
    version: str = ""
    boot: str = ""
    clock_ok: bool = True
    pending: int = 0
    state: BridgeState = BridgeState()
    tones: tuple[str, ...] = tuple(Pattern)
    chime: Chime | None = None


@dataclass(frozen=True, slots=True)
class Ring:
    """One press of the button, `age_ms` before it was sent; `replay`: it came before this connection.

    `at` is right if `clock_ok`, and `age_ms` is if `age_ok`; without that it is a lower bound.
    """

    seq: int
    ring_id: str
    at: datetime
    age_ms: int = 0
    replay: bool = False
    clock_ok: bool = True
    age_ok: bool = True
    test: bool = False


@dataclass(frozen=True, slots=True)
class RingPicture:
    """The `n`-th picture of a ring, better than those before it, taken `at_ms` after the press (negative: before)."""

    seq: int
    ring_id: str
    n: int
    at_ms: int = 0
    good: bool = False
    faces: tuple[Face, ...] = ()


@dataclass(frozen=True, slots=True)
class Burst:
    """The end of a ring's pictures; `best` is None when there is none."""

    seq: int
    ring_id: str
    best: int | None = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """The bridge's state has changed."""

    state: BridgeState


type Message = Ring | RingPicture | Burst | StateChange


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to command `id`; `code` is None when it was carried out."""

    id: int
    code: str | None = None
    message: str = ""


def read_faces(data: Json) -> tuple[Face, ...]:
    """Read the faces of an answer, largest first; raises BridgeAnswerError when they make no sense."""
    return _read(lambda found: tuple(_face(face) for face in found["faces"]), data)


def read_info(data: Json) -> BridgeInfo:
    """Read the answer to `GET /v1/info`."""
    return _read(_info, data)


def read_pairing(data: Json) -> Pairing:
    """Read the answer to `POST /v1/pair`."""
    return _read(
        lambda answer: Pairing(
            token=answer["token"],
            id=answer["id"],
            name=answer.get("name", ""),
            fingerprint=answer.get("fingerprint", "").lower(),
        ),
        data,
    )


def read_message(data: Json) -> Hello | Message | Done | None:
    """Read a WebSocket message; None for a type that this version does not know.

    Raises BridgeAnswerError when a known type makes no sense.
    """
    reader = _READERS.get(data.get("type", ""))
    return _read(reader, data) if reader else None


def _read[T](reader: Callable[[Json], T], data: Json) -> T:
    try:
        return reader(data)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, struct.error) as err:
        raise BridgeAnswerError(f"The bridge sent something unreadable: {type(err).__name__}") from err


def _info(data: Json) -> BridgeInfo:
    return BridgeInfo(
        id=data["id"],
        name=data.get("name", ""),
        api=data.get("api", API_VERSION),
        version=data.get("version", ""),
        paired=data.get("paired", False),
        fingerprint=data.get("fingerprint", "").lower(),
    )


def _face(data: Json) -> Face:
    left, top, width, height = data["box"]
    return Face(
        Box(left, top, width, height),
        data.get("score", 1.0),
        data.get("quality", 1.0),
        _embedding(data.get("embedding")),
        data.get("yaw"),
    )


def _embedding(data: Json | None) -> Embedding | None:
    if data is None:
        return None
    packed = base64.b64decode(data["vector"], validate=True)
    return Embedding(data["model"], struct.unpack(f"<{len(packed) // 4}f", packed))


def _state(data: Json) -> BridgeState:
    outputs = {
        Output(name): Pattern(pattern) for name, pattern in data.get("outputs", {}).items() if name in Output
    }
    return BridgeState(
        CameraState(data.get("camera", "")), FacesState(data.get("faces", "")), MappingProxyType(outputs)
    )


def _hello(data: Json) -> Hello:
    return Hello(
        id=data["id"],
        name=data.get("name", ""),
        api=data.get("api", API_VERSION),
        version=data.get("version", ""),
        boot=data.get("boot", ""),
        clock_ok=data.get("clock_ok", True),
        pending=data.get("pending", 0),
        state=_state(data.get("state", {})),
        tones=tuple(data.get("tones", Pattern)),
        chime=_chime(data["chime"]) if "chime" in data else None,
    )


def _chime(data: Json) -> Chime:
    quiet = data.get("quiet")
    return Chime(
        data.get("tone"),
        data.get("for_ms"),
        QuietHours(quiet["start"], quiet["end"], quiet["zone"]) if quiet else None,
    )


def _ring(data: Json) -> Ring:
    return Ring(
        seq=data["seq"],
        ring_id=str(UUID(data["ring_id"])),  # it names a folder: nothing but a UUID may pass
        at=datetime.fromisoformat(data["at"]).astimezone(UTC),
        age_ms=data.get("age_ms", 0),
        replay=data.get("replay", False),
        clock_ok=data.get("clock_ok", True),
        age_ok=data.get("age_ok", True),
        test=data.get("test", False),
    )


def _picture(data: Json) -> RingPicture:
    return RingPicture(
        seq=data["seq"],
        ring_id=data["ring_id"],
        n=data["n"],
        at_ms=data.get("at_ms", 0),
        good=data.get("good", False),
        faces=tuple(_face(face) for face in data.get("faces", ())),
    )


_READERS: Final[Mapping[str, Callable[[Json], Hello | Message | Done]]] = {
    "hello": _hello,
    "ring": _ring,
    "picture": _picture,
    "burst": lambda data: Burst(data["seq"], data["ring_id"], data.get("best")),
    "state": lambda data: StateChange(_state(data["state"])),
    "done": lambda data: Done(data["id"]),
    "failed": lambda data: Done(data["id"], data.get("code", "failed"), data.get("message", "")),
}
