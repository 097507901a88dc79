"""From a picture's bytes to its faces. Synchronous: `Faces` calls it in its worker thread."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2

from ..model import Box, Face, FacesFound
from .align import align
from .detector import Detection, Detector
from .embedder import Embedder
from .picture import Pixels, decode
from .quality import eye_distance, quality, yaw

MIN_EYE_DISTANCE: Final = 12.0  # pixels; a smaller face (under 30) is not surely within L2 0.80 of itself
MAX_FIT_ERROR: Final = 8.0  # chip pixels; real faces, damaged ones too, were within 5


class Finder:
    """The two models, and the order of the work."""

    def __init__(self, models: Path) -> None:
        """Load the models of a folder; raises OSError, RuntimeError or ValueError."""
        cv2.setNumThreads(1)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = Detector(models / "face_detection_full_range.tflite")
        self._embedder = Embedder(models / "MobileFaceNet.tflite")

    def find(self, image: bytes, *, embed: bool) -> FacesFound:
        """Return the faces of a JPEG or PNG, largest first; raises NotAnImageError."""
        picture = decode(image)
        judged = (
            self._judge(picture.pixels, detection, embed)
            for detection in self._detector.detect(picture.pixels)
        )
        return FacesFound(picture.width, picture.height, tuple(face for face in judged if face))

    def _judge(self, pixels: Pixels, detection: Detection, embed: bool) -> Face | None:
        """Return a detection as a face, or None when its landmarks make no face."""
        alignment = align(detection.landmarks)
        if alignment.error > MAX_FIT_ERROR:
            return None
        chip = alignment.chip(pixels)
        large_enough = eye_distance(detection.landmarks) >= MIN_EYE_DISTANCE
        return Face(
            _box(detection, pixels),
            detection.score,
            quality(chip, detection.landmarks, detection.score),
            self._embedder.embed(chip) if embed and large_enough else None,
            yaw(detection.landmarks),
        )


def _box(detection: Detection, pixels: Pixels) -> Box:
    """Return the part of the box that lies in the picture, in fractions of it."""
    height, width = pixels.shape[:2]
    left, right = (min(max(x / width, 0.0), 1.0) for x in (detection.left, detection.left + detection.width))
    top, bottom = (min(max(y / height, 0.0), 1.0) for y in (detection.top, detection.top + detection.height))
    return Box(left, top, right - left, bottom - top)
