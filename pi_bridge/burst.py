"""Which frames of a ring are worth sending: the moment of the press, then each that is clearly better."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
import time
from typing import Final

from .errors import FacesOffError, NotAnImageError
from .frames import Frames
from .model import FacesFound, FacesState, Frame
from .ports import FaceFinder

CLEARLY_BETTER: Final = 0.1  # gain in quality that is worth another transfer and, in the cloud, another call
LATE_LOOK_NS: Final = 700_000_000  # when nothing can judge: by then most visitors look up from the button

_NOTHING: Final = FacesFound(0, 0, ())


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame, what was found in it, and how long that took."""

    frame: Frame
    found: FacesFound
    judged_ms: float


async def shots(
    first: Frame | None, pressed_ns: int, seconds: float, frames: Frames, faces: FaceFinder
) -> AsyncIterator[Shot]:
    """Yield the first frame, then each up to `seconds` after the press that is clearly better than all before it.

    `first` is the frame of the press; without one the first after it takes its place. Without a face finder a second
    frame, from a little later, stands in for the better one.
    """
    end_ns = pressed_ns + int(seconds * 1e9)
    frame = first or await _next(frames, pressed_ns, end_ns)
    if frame is None:
        return
    best = await _judge(frame, faces)
    yield best
    while (frame := await _next(frames, frame.taken_ns, end_ns)) is not None:
        if faces.state is FacesState.OFF:
            if frame.taken_ns >= pressed_ns + LATE_LOOK_NS:
                yield Shot(frame, _NOTHING, 0)
                return
            continue
        shot = await _judge(frame, faces)
        if _clearly_better(shot.found, best.found):
            best = shot
            yield shot


def _clearly_better(found: FacesFound, best: FacesFound) -> bool:
    if bool(found.faces) != bool(best.faces):
        return bool(found.faces)
    return found.quality >= best.quality + CLEARLY_BETTER or (found.good and not best.good)


async def _judge(frame: Frame, faces: FaceFinder) -> Shot:
    if faces.state is FacesState.OFF:
        return Shot(frame, _NOTHING, 0)
    started = time.monotonic()
    try:
        found = await faces.find(frame.jpeg)
    except (NotAnImageError, FacesOffError):
        found = (
            _NOTHING  # a frame that came damaged from the camera, or the models could not be loaded after all
        )
    return Shot(frame, found, (time.monotonic() - started) * 1000)


async def _next(frames: Frames, after_ns: int, end_ns: int) -> Frame | None:
    """Return the newest frame beyond `after_ns`, or None when none was taken by `end_ns`."""
    try:
        async with asyncio.timeout((end_ns - time.monotonic_ns()) / 1e9):
            frame = await frames.next(after_ns)
    except TimeoutError:
        return None
    return frame if frame.taken_ns <= end_ns else None
