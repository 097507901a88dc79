"""The real photos of the tests: `photo("obama2")`. See script/photos for who is on which, and where they come from."""

import functools
from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def folder() -> Path:
    """Return the folder of the photos, complete."""
    subprocess.run([sys.executable, ROOT / "script" / "photos"], check=True, stdout=subprocess.DEVNULL)
    return ROOT / ".cache" / "photos"


@functools.cache
def photo(name: str) -> bytes:
    """Return a photo by its name without the ending."""
    (path,) = folder().glob(f"{name}.*")
    return path.read_bytes()


@functools.cache
def two_people() -> bytes:
    """Return a JPEG with biden on the left and obama, whose face is larger, on the right."""
    import cv2
    import numpy as np

    def upper_part(name: str) -> cv2.typing.MatLike:
        pixels = cv2.imdecode(np.frombuffer(photo(name), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return pixels[:900, :900]

    right = upper_part("obama")
    left = cv2.resize(upper_part("biden"), None, fx=0.5, fy=0.5)
    left = cv2.copyMakeBorder(left, 0, len(right) - len(left), 0, 0, cv2.BORDER_REPLICATE)
    done, jpeg = cv2.imencode(".jpg", cv2.hconcat([left, right]))
    assert done
    return jpeg.tobytes()
