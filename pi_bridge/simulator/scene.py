"""Paints who stands at the door into a picture such as a doorbell's camera takes. All images are BGR, 8 bits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NotAnImageError

Image: TypeAlias = NDArray[np.uint8]
Size: TypeAlias = tuple[int, int]  # width, height

# A visitor before a wide lens fills this much of the picture; a face is then 100 to 200 of 1280 columns wide.
VISITOR_HEIGHT: Final = 0.88
VISITOR_WIDTH: Final = 0.8
# The camera sees a visitor down to the chest: of a photo taller than this (height to width) the upper part is shown.
TALLEST: Final = 1.3
SOFT_EDGE: Final = 0.05  # of the photo's height
# No two frames of a real sensor are alike. So many different ones are enough for the eye and cost their encoding once.
VARIANTS: Final = 8
SENSOR_NOISE: Final = 2.5  # standard deviation, in levels of 256
JPEG_QUALITY: Final = 85


def read(path: Path) -> Image:
    """Read a photo, upright; raises NotAnImageError."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise NotAnImageError(f"{path.name} is no picture that can be read")
    return image.astype(np.uint8, copy=False)


def with_visitor(photo: Image, size: Size) -> Image:
    """Return the doorstep with the visitor of a photo on it, scaled but not distorted."""
    width, height = size
    photo = photo[: round(photo.shape[1] * TALLEST)]
    scale = min(height * VISITOR_HEIGHT / photo.shape[0], width * VISITOR_WIDTH / photo.shape[1])
    visitor = _scaled(photo, scale)
    rows, columns = visitor.shape[:2]
    left, top = (width - columns) // 2, height - rows
    scene = doorstep(size).astype(np.float32)
    there = scene[top:, left : left + columns]
    there += _soft_edges(rows, columns) * (visitor - there)
    return scene.astype(np.uint8)


def covering(photo: Image, size: Size) -> Image:
    """Return the middle of a photo, scaled until it covers the picture."""
    width, height = size
    scaled = _scaled(photo, max(width / photo.shape[1], height / photo.shape[0]))
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width]


@lru_cache(maxsize=1)
def doorstep(size: Size) -> Image:
    """Draw what the camera sees when nobody is there: a path between hedges, and a house across the street."""
    width, height = size

    def area(colour: tuple[int, int, int], *corners: tuple[float, float]) -> None:
        points = np.array([(x * width, y * height) for x, y in corners]).astype(np.int32)
        cv2.fillPoly(image, [points], colour)

    image = _gradient(size, (222, 190, 150), (240, 230, 216))
    area((150, 168, 186), (0.12, 0.2), (0.46, 0.2), (0.46, 0.55), (0.12, 0.55))  # the house
    area((92, 96, 142), (0.09, 0.21), (0.29, 0.04), (0.49, 0.21))
    area((108, 92, 78), (0.17, 0.3), (0.26, 0.3), (0.26, 0.42), (0.17, 0.42))  # one window: two make a face
    area((104, 104, 108), (0, 0.53), (1, 0.53), (1, 0.6), (0, 0.6))  # the street
    area((82, 138, 96), (0, 0.6), (1, 0.6), (1, 1), (0, 1))  # the lawn
    area((158, 166, 172), (0.46, 0.6), (0.54, 0.6), (0.78, 1), (0.22, 1))  # the path
    area((62, 106, 70), (0, 0.4), (0.3, 0.5), (0.1, 0.86), (0, 0.9))  # the hedges
    area((66, 112, 74), (1, 0.36), (0.68, 0.5), (0.9, 0.84), (1, 0.9))
    image = cv2.GaussianBlur(image, (0, 0), height / 90).astype(np.uint8)  # the lens is focused on visitors
    area((64, 72, 86), (0, 0), (0.035, 0), (0.035, 1), (0, 1))  # the door's frame, close to the camera
    area((74, 82, 98), (0.035, 0), (0.042, 0), (0.042, 1), (0.035, 1))
    return image


def film(scene: Image) -> tuple[bytes, ...]:
    """Return JPEGs of a scene that differ as a sensor's noise makes them differ."""
    noise = np.empty(scene.shape, np.int16)
    pictures = []
    for _ in range(VARIANTS):
        cv2.randn(noise, np.zeros(3), np.full(3, SENSOR_NOISE))
        pictures.append(jpeg(cv2.add(scene, noise, dtype=cv2.CV_8U).astype(np.uint8, copy=False)))
    return tuple(pictures)


def thumbnail(photo: Image, height: int) -> bytes:
    """Return a small JPEG of the upper part of a photo, as high as wide at most."""
    photo = photo[: photo.shape[1]]
    return jpeg(_scaled(photo, height / photo.shape[0]))


def jpeg(image: Image) -> bytes:
    """Encode an image."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _scaled(image: Image, scale: float) -> Image:
    """Scale both sides alike; at least 1 pixel stays."""
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False)


def _gradient(size: Size, above: tuple[int, int, int], below: tuple[int, int, int]) -> Image:
    width, height = size
    share = np.linspace(0, 1, height)[:, None, None]
    column = (1 - share) * np.array(above) + share * np.array(below)
    return np.repeat(column, width, axis=1).astype(np.uint8)


def _soft_edges(rows: int, columns: int) -> NDArray[np.float32]:
    """Return how much of the photo is seen, 0 to 1: it fades out at the left, the right and the top."""
    soft = max(1, round(rows * SOFT_EDGE))
    across = np.clip(np.minimum(np.arange(columns), np.arange(columns)[::-1]) / soft, 0, 1)
    down = np.clip(np.arange(rows) / soft, 0, 1)
    return np.outer(down, across)[:, :, None].astype(np.float32)
