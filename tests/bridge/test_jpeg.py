from __future__ import annotations

import cv2
import numpy as np
import pytest

from pi_bridge.jpeg import whole
from tests.photos import photo


def decoded(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A JPEG with the usual Huffman tables, as OpenCV writes it."""
    image = cv2.resize(decoded(photo("obama")), (320, 400))
    return cv2.imencode(".jpg", image)[1].tobytes()


def without_tables(jpeg: bytes) -> bytes:
    """Take the Huffman tables out, as Motion JPEG does."""
    kept, at = bytearray(jpeg[:2]), 2
    while jpeg[at + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] != 0xC4:
            kept += jpeg[at : at + length]
        at += length
    return bytes(kept) + jpeg[at:]


def test_a_whole_picture_stays_as_it_is(picture: bytes) -> None:
    assert whole(picture) == picture


def test_missing_huffman_tables_are_put_in(picture: bytes) -> None:
    bare = without_tables(picture)
    assert len(bare) < len(picture)
    complete = whole(bare)
    assert complete is not None
    assert complete.count(b"\xff\xc4") == 1
    assert whole(complete) == complete
    assert np.array_equal(decoded(complete), decoded(picture))


def test_what_fills_up_the_buffer_is_cut_off(picture: bytes) -> None:
    assert whole(picture + bytes(1000)) == picture


def test_broken_pictures_are_none(picture: bytes) -> None:
    for broken in (
        b"",
        b"\xff\xd8\xff\xd9",
        picture[: len(picture) // 2],
        picture[2:],
        picture[:40] + b"\xff\xd9" * 60,
        picture[:2] + bytes(200) + b"\xff\xd9",
        picture[:20] + b"\xff\xd9" + bytes(500),
    ):
        assert whole(broken) is None
