"""What viewers see while there is no camera: a crossed-out one, which needs no words in any language."""

from __future__ import annotations

import cv2
import numpy as np

_BACKGROUND = (40, 40, 40)
_LINES = (150, 150, 150)


def no_picture(width: int, height: int) -> bytes:
    """Return it as a JPEG of `width` x `height` pixels."""
    image = np.full((height, width, 3), _BACKGROUND, np.uint8)
    unit = min(width, height) / 12

    def point(right: float, down: float) -> tuple[int, int]:
        """Return a place, in units from the middle of the picture."""
        return round(width / 2 + right * unit), round(height / 2 + down * unit)

    line = max(1, round(unit / 3))
    cv2.rectangle(image, point(-2.5, -1.5), point(2.5, 2), _LINES, line, cv2.LINE_AA)
    cv2.rectangle(image, point(-0.8, -2.1), point(0.8, -1.5), _LINES, line, cv2.LINE_AA)
    cv2.circle(image, point(0, 0.25), round(unit), _LINES, line, cv2.LINE_AA)
    for colour, thickness in ((_BACKGROUND, 3 * line), (_LINES, line)):
        cv2.line(image, point(-3, 3), point(3, -3), colour, thickness, cv2.LINE_AA)
    _, encoded = cv2.imencode(".jpg", image)
    return encoded.tobytes()
