"""Where the faces are: BlazeFace (full range) over the whole picture, over its parts, and once more close up.

The model sees 192 x 192 pixels. In the whole of a frame of 1280 x 720 it finds 92 % of the faces that are 75 pixels
wide, 58 % at 60 and 25 % at 45; together with the two squares that cover such a frame 100, 100 and 90 %. The second
look, close up, places the landmarks better (mean L2 of a 75 pixel face to the same face at full size 0.18 instead of
0.32) and no longer sees what only looked like a face. Measured with real photos set into other pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from .align import Points
from .litert import Floats, Model
from .picture import Pixels

FACE_SCORE: Final = 0.7  # of the better of both looks; below are motorcycles (0.5), coins (0.65) and the like
CANDIDATE_SCORE: Final = 0.4  # worth a second look
MAX_FACES: Final = 10  # the surest ones; bounds the time that a picture of a crowd takes

_INPUT: Final = 192  # pixels
_OUTPUTS: Final = ("reshaped_classifier_face_4", "reshaped_regressor_face_4")
_STRIDE: Final = 4  # one anchor in the middle of each 4 x 4 pixels
_SAME_FACE: Final = 0.3  # overlap (intersection over union) from which on two boxes are the same face
_WIDE: Final = 1.25  # aspect ratio from which on squares at both ends show more than the whole
_MAX_SQUARES: Final = 4
_MARGIN: Final = 2.0  # side of the last view, in pictures: it finds the 19 % of tight crops that others miss
_CLOSE_UP: Final = 2.5  # side of the second look, in widths of the face

# Columns of the rows that the functions below pass on: left, top, width, height, six landmarks (x, y), score.
_CORNER: Final = slice(0, 2)
_SIDES: Final = slice(2, 4)
_LANDMARKS: Final = slice(4, 16)
_SCORE: Final = 16
_COLUMNS: Final = 17


def _anchors() -> Floats:
    centres = np.arange(_STRIDE / 2, _INPUT, _STRIDE, dtype=np.float32)
    return np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)


_ANCHORS: Final = _anchors()


@dataclass(frozen=True, slots=True)
class Detection:
    """A face in pixels of the picture."""

    left: float
    top: float
    width: float
    height: float
    landmarks: Points  # 6 x 2: right eye (the person's own right), left eye, nose, middle of the mouth, ears
    score: float


@dataclass(frozen=True, slots=True)
class _View:
    """A square part of the picture, in its pixels; what lies outside the picture is black."""

    left: int
    top: int
    side: int


class Detector:
    """BlazeFace with its views."""

    def __init__(self, model: Path) -> None:
        """Load the model; raises OSError, RuntimeError or ValueError."""
        self._model = Model(model)

    def detect(self, pixels: Pixels) -> list[Detection]:
        """Return the faces of a picture, largest first."""
        height, width = pixels.shape[:2]
        faces = self._look_twice(pixels, _views(width, height))
        if not len(faces):
            faces = self._look_twice(pixels, [_centred(width / 2, height / 2, _MARGIN * max(width, height))])
        return [_detection(row) for row in faces]

    def _look_twice(self, pixels: Pixels, views: list[_View]) -> Floats:
        candidates = _merged(np.concatenate([self._look(pixels, view) for view in views]))[:MAX_FACES]
        looks = (self._look_closely(pixels, candidate) for candidate in candidates)
        faces = _merged(
            np.array([face for face in looks if face is not None], np.float32).reshape(-1, _COLUMNS)
        )
        largest_first: Floats = faces[np.argsort(-faces[:, _SIDES].prod(axis=1))]
        return largest_first

    def _look_closely(self, pixels: Pixels, candidate: Floats) -> Floats | None:
        """Return the candidate as it is seen close up, or None when it is no face."""
        centre = candidate[_CORNER] + candidate[_SIDES] / 2
        view = _centred(float(centre[0]), float(centre[1]), _CLOSE_UP * float(candidate[_SIDES].max()))
        seen = _merged(self._look(pixels, view))
        if not len(seen):
            return None
        overlaps = _overlaps(candidate, seen)
        face: Floats = seen[overlaps.argmax()]
        face[_SCORE] = max(face[_SCORE], candidate[_SCORE])
        return face if overlaps.max() > _SAME_FACE and face[_SCORE] >= FACE_SCORE else None

    def _look(self, pixels: Pixels, view: _View) -> Floats:
        """Return what the model sees in a view, many rows for each face."""
        values = _cut(pixels, view).astype(np.float32) / 127.5 - 1
        logits, shapes = self._model.run(values[None], *_OUTPUTS)
        scores = 1 / (1 + np.exp(-logits[0, :, 0].clip(-80, 80)))
        seen = scores >= CANDIDATE_SCORE
        # The model gives centre, sides and landmarks in input pixels, all but the sides relative to the anchor.
        anchors, shapes = _ANCHORS[seen], shapes[0, seen]
        sides = shapes[:, 2:4]
        corners = anchors + shapes[:, :2] - sides / 2
        landmarks = shapes[:, 4:].reshape(-1, 6, 2) + anchors[:, None]
        scale, origin = view.side / _INPUT, np.array([view.left, view.top], np.float32)
        boxes = np.hstack([corners * scale + origin, sides * scale])
        return np.hstack([boxes, (landmarks * scale + origin).reshape(-1, 12), scores[seen, None]])


def _detection(row: Floats) -> Detection:
    left, top, width, height = row[:4].tolist()
    return Detection(left, top, width, height, row[_LANDMARKS].reshape(6, 2), float(row[_SCORE]))


def _views(width: int, height: int) -> list[_View]:
    """Return the whole picture and, when it is not about square, the squares that cover its length evenly."""
    long, short = max(width, height), min(width, height)
    views = [_centred(width / 2, height / 2, long)]
    if long > _WIDE * short:
        starts = np.linspace(0, long - short, min(math.ceil(long / short), _MAX_SQUARES)).astype(int).tolist()
        views += [_View(start, 0, short) if width > height else _View(0, start, short) for start in starts]
    return views


def _centred(x: float, y: float, side: float) -> _View:
    return _View(round(x - side / 2), round(y - side / 2), max(round(side), 1))


def _cut(pixels: Pixels, view: _View) -> Pixels:
    """Return a view in the size that the model wants."""
    height, width = pixels.shape[:2]
    left, right = (min(max(x, 0), width) for x in (view.left, view.left + view.side))
    top, bottom = (min(max(y, 0), height) for y in (view.top, view.top + view.side))
    scale = _INPUT / view.side
    x0, x1 = (round((x - view.left) * scale) for x in (left, right))
    y0, y1 = (round((y - view.top) * scale) for y in (top, bottom))
    seen = np.zeros((_INPUT, _INPUT, 3), np.uint8)
    if x0 < x1 and y0 < y1:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        seen[y0:y1, x0:x1] = cv2.resize(pixels[top:bottom, left:right], (x1 - x0, y1 - y0), interpolation=way)
    return seen


def _merged(rows: Floats) -> Floats:
    """Return one row for each face: the mean of its rows, weighted by score, with the best score; the surest first."""
    faces = []
    rows = rows[np.argsort(-rows[:, _SCORE])]
    while len(rows):
        same = _overlaps(rows[0], rows) > _SAME_FACE
        same[0] = True  # an empty box overlaps not even itself
        face = np.average(rows[same], axis=0, weights=rows[same, _SCORE]).astype(np.float32)
        face[_SCORE] = rows[0, _SCORE]
        faces.append(face)
        rows = rows[~same]
    return np.array(faces, np.float32).reshape(-1, _COLUMNS)


def _overlaps(row: Floats, rows: Floats) -> Floats:
    """Return the intersection over union of one box with each of others."""
    corner = np.maximum(row[_CORNER], rows[:, _CORNER])
    end = np.minimum(row[_CORNER] + row[_SIDES], rows[:, _CORNER] + rows[:, _SIDES])
    common = (end - corner).clip(0).prod(axis=1)
    union = row[_SIDES].prod() + rows[:, _SIDES].prod(axis=1) - common
    overlaps: Floats = common / np.maximum(union, 1e-9)
    return overlaps
