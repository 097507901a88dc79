"""From the bytes of a JPEG or PNG to upright pixels, with no more memory than a picture deserves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NotAnImageError

Pixels = NDArray[np.uint8]  # height x width x RGB

MAX_PIXELS: Final = (
    50_000_000  # the largest ordinary phone photo; some 150 MB decoded, which a Pi with 1 GB still has
)
MAX_SIDE: Final = 2560  # pixels; more does not help to find or tell a face

_REDUCED: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

_PNG_START: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_JPEG_START: Final = b"\xff\xd8"
# ITU-T T.81, table B.1: the frame headers carry the size; 0xC4, 0xC8 and 0xCC among them are something else.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """An upright picture: its own size in pixels, and its pixels, fewer when it is large."""

    width: int
    height: int
    pixels: Pixels


def decode(image: bytes) -> DecodedPicture:
    """Decode a JPEG or PNG and turn it upright as its EXIF says; raises NotAnImageError.

    The size is read from the header first, so that a bomb of a few kilobytes costs nothing.
    """
    width, height = _size(image)
    if not 0 < width * height <= MAX_PIXELS:
        raise NotAnImageError(f"a picture of {width} x {height} pixels is not decoded")
    reduction = next((factor for factor in _REDUCED if max(width, height) <= factor * MAX_SIDE), 8)
    try:
        pixels = cv2.imdecode(np.frombuffer(image, np.uint8), _REDUCED[reduction])
    except cv2.error as error:
        raise NotAnImageError("the picture is damaged") from error
    if pixels is None:
        raise NotAnImageError("the picture is damaged")
    upright = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    turned = upright.shape[1] != -(-width // reduction)
    return DecodedPicture(*((height, width) if turned else (width, height)), upright)


def _size(image: bytes) -> tuple[int, int]:
    """Return width and height as stored; raises NotAnImageError."""
    if image.startswith(_PNG_START) and len(image) >= len(_PNG_START) + 8:
        at = len(_PNG_START)
        return int.from_bytes(image[at : at + 4], "big"), int.from_bytes(image[at + 4 : at + 8], "big")
    if image.startswith(_JPEG_START):
        for marker, segment in _segments(image):
            if marker in _JPEG_FRAMES and len(segment) >= 5:
                return int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big")
    raise NotAnImageError("neither JPEG nor PNG")


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of a JPEG's header segments, in order."""
    at = len(_JPEG_START)
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        if jpeg[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield jpeg[at + 1], jpeg[at + 4 : at + 2 + length]
        at += 2 + length
