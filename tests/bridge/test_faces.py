"""Faces, with real photos and the real models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
import itertools
import math
from pathlib import Path
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from pi_bridge.errors import FacesOffError, NotAnImageError
from pi_bridge.faces import Faces
from pi_bridge.model import Face, FacesFound, FacesState
from tests.photos import ROOT, photo, two_people

SAME_PERSON = 0.80  # the operating point of the model


@pytest.fixture(scope="module")
def faces() -> Iterator[Faces]:
    """Load the models once for all tests."""
    faces = Faces()
    yield faces
    faces.close()


def pixels(image: bytes) -> cv2.typing.MatLike:
    decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def jpeg(image: cv2.typing.MatLike, quality: int = 90) -> bytes:
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return encoded.tobytes()


def png(width: int, height: int) -> bytes:
    """Return a PNG whose header promises a size, with next to nothing behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def huge_jpeg() -> bytes:
    """Return a small JPEG whose header promises 60000 x 60000 pixels."""
    image = jpeg(np.zeros((8, 8, 3), np.uint8))
    at = image.index(b"\xff\xc0") + 5
    return image[:at] + struct.pack(">HH", 60000, 60000) + image[at + 4 :]


def turned(image: bytes, orientation: int) -> bytes:
    """Return a JPEG without EXIF with one that only says how to turn it."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return image[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + image[2:]


def crop(face: Face, found: FacesFound, image: bytes, around: float) -> cv2.typing.MatLike:
    """Cut a face out, with a margin in widths of the face."""
    left, top = face.box.left * found.width, face.box.top * found.height
    width, height = face.box.width * found.width, face.box.height * found.height
    rows = slice(max(0, int(top - around * height)), int(top + (1 + around) * height))
    columns = slice(max(0, int(left - around * width)), int(left + (1 + around) * width))
    return pixels(image)[rows, columns]


def distance(one: Face, other: Face) -> float:
    assert one.embedding
    assert other.embedding
    return math.dist(one.embedding.vector, other.embedding.vector)


async def only_face(faces: Faces, image: bytes) -> Face:
    (face,) = (await faces.find(image)).faces
    return face


@pytest.mark.parametrize(
    ("name", "x", "y"), [("obama", 0.545, 0.235), ("biden", 0.605, 0.175), ("astronaut", 0.435, 0.235)]
)
async def test_a_face_is_found_where_it_is(faces: Faces, name: str, x: float, y: float) -> None:
    face = await only_face(faces, photo(name))
    assert face.box.left + face.box.width / 2 == pytest.approx(x, abs=0.03)
    assert face.box.top + face.box.height / 2 == pytest.approx(y, abs=0.03)
    assert face.score >= 0.7
    assert face.quality >= 0.5


async def test_an_embedding_has_unit_length_and_names_its_model(faces: Faces) -> None:
    embedding = (await only_face(faces, photo("obama"))).embedding
    assert embedding
    assert embedding.model == "mobilefacenet-1"
    assert len(embedding.vector) == 192
    assert math.hypot(*embedding.vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["brick", "chelsea", "coffee", "motorcycle_left", "rocket"])
async def test_nobody_is_found_where_nobody_is(faces: Faces, name: str) -> None:
    found = await faces.find(photo(name))
    assert found.faces == ()
    assert found.quality == 0
    assert not found.good


async def test_two_people_are_both_found_and_the_larger_comes_first(faces: Faces) -> None:
    obama, biden = await only_face(faces, photo("obama2")), await only_face(faces, photo("biden"))
    first, second = (await faces.find(two_people())).faces
    assert first.box.left > second.box.left
    assert distance(first, obama) < SAME_PERSON < distance(first, biden)
    assert distance(second, biden) < SAME_PERSON < distance(second, obama)


async def test_one_person_is_nearer_than_others(faces: Faces) -> None:
    names = ("obama", "obama2", "obama3", "biden", "astronaut")
    found = {name: await only_face(faces, photo(name)) for name in names}
    for one, other in itertools.combinations(names, 2):
        same = one.startswith("obama") and other.startswith("obama")
        assert (distance(found[one], found[other]) < SAME_PERSON) is same, (one, other)


@pytest.mark.parametrize(
    "harm",
    [
        lambda image: cv2.GaussianBlur(image, (0, 0), 3),
        lambda image: cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA),
        lambda image: (image * 0.3).astype(np.uint8),
        lambda image: (image * 1.6).clip(0, 255).astype(np.uint8),
        lambda image: pixels(jpeg(image, quality=15)),
    ],
    ids=["blurred", "small", "dark", "bright", "blocky"],
)
async def test_a_person_is_known_in_a_worse_picture_too(
    faces: Faces, harm: Callable[[cv2.typing.MatLike], cv2.typing.MatLike]
) -> None:
    face = await only_face(faces, jpeg(harm(pixels(photo("obama")))))
    assert distance(face, await only_face(faces, photo("obama2"))) < SAME_PERSON
    assert distance(face, await only_face(faces, photo("biden"))) > SAME_PERSON


async def test_quality_falls_with_sharpness(faces: Faces) -> None:
    image = pixels(photo("obama"))
    blurred = [await faces.find(jpeg(cv2.GaussianBlur(image, (0, 0), sigma))) for sigma in (0.5, 5, 10, 20)]
    qualities = [found.quality for found in blurred]
    assert qualities == sorted(qualities, reverse=True)
    assert blurred[0].good
    assert not blurred[-1].good


@pytest.mark.parametrize("left", [0, 350, 530, 980], ids=["left", "left_of_middle", "middle", "right"])
@pytest.mark.parametrize("width", [75, 45])
async def test_a_small_face_in_a_wide_frame_is_found(faces: Faces, width: int, left: int) -> None:
    # The astronaut's face is 110 pixels wide.
    scale = width / 110
    visitor = cv2.resize(pixels(photo("astronaut")), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[
        :, :300
    ]
    frame = cv2.resize(pixels(photo("brick")), (1280, 720))
    frame[300 : 300 + len(visitor), left : left + visitor.shape[1]] = visitor
    found = await faces.find(jpeg(frame))
    (face,) = found.faces
    assert face.box.width * found.width == pytest.approx(width, abs=12)
    assert face.box.left * found.width == pytest.approx(left + 0.33 * 512 * scale, abs=15)
    assert distance(face, await only_face(faces, photo("astronaut"))) < SAME_PERSON


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden", "astronaut"])
async def test_a_face_that_fills_the_picture_is_found(faces: Faces, name: str) -> None:
    found = await faces.find(photo(name))
    face = await only_face(faces, jpeg(crop(found.faces[0], found, photo(name), around=-0.04)))
    assert face.box.width > 0.8
    assert distance(face, found.faces[0]) < SAME_PERSON


async def test_a_tiny_face_is_found_but_not_embedded(faces: Faces) -> None:
    found = await faces.find(photo("astronaut"))
    around = crop(found.faces[0], found, photo("astronaut"), around=0.8)
    scale = 24 / (found.faces[0].box.width * found.width)
    face = await only_face(
        faces, jpeg(cv2.resize(around, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    )
    assert face.embedding is None
    assert face.quality < 0.5


async def test_embeddings_are_left_out_on_request(faces: Faces) -> None:
    (face,) = (await faces.find(photo("obama"), embed=False)).faces
    assert face.embedding is None
    assert face.box == (await only_face(faces, photo("obama"))).box


async def test_a_turned_photo_is_seen_upright(faces: Faces) -> None:
    upright = await faces.find(jpeg(pixels(photo("obama"))))
    lying = jpeg(cv2.rotate(pixels(photo("obama")), cv2.ROTATE_90_COUNTERCLOCKWISE))
    found = await faces.find(turned(lying, 6))
    assert (found.width, found.height) == (910, 1137)
    (face,), (expected,) = found.faces, upright.faces
    assert face.box.left == pytest.approx(expected.box.left, abs=0.02)
    assert face.box.top == pytest.approx(expected.box.top, abs=0.02)
    assert distance(face, expected) < 0.2


async def test_a_large_photo_keeps_its_size_in_the_answer(faces: Faces) -> None:
    large = cv2.resize(pixels(photo("obama")), (3639, 4548))
    found = await faces.find(turned(jpeg(cv2.rotate(large, cv2.ROTATE_90_COUNTERCLOCKWISE)), 6))
    assert (found.width, found.height) == (3639, 4548)
    (face,) = found.faces
    assert face.box.left == pytest.approx(0.39, abs=0.02)
    assert distance(face, await only_face(faces, photo("obama"))) < 0.3


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"This is no picture. " * 100,
        photo("obama")[: len(photo("obama")) // 2],
        photo("obama")[:40],
        b"\xff\xd8" + b"\xff" * 100,
        b"\xff\xd8\xff\xe1\0\0" + bytes(100),
        photo("astronaut")[:200_000],
        photo("astronaut")[:20],
        png(0, 100),
        png(50_000, 50_000),
        huge_jpeg(),
        b"GIF89a" + bytes(100),
    ],
    ids=[
        "empty",
        "text",
        "half_jpeg",
        "jpeg_header",
        "jpeg_fill_bytes",
        "jpeg_segment_without_length",
        "half_png",
        "png_header",
        "png_without_width",
        "png_bomb",
        "jpeg_bomb",
        "gif",
    ],
)
async def test_what_is_no_picture_is_refused_and_the_next_one_answered(faces: Faces, image: bytes) -> None:
    with pytest.raises(NotAnImageError):
        await faces.find(image)
    assert (await faces.find(photo("astronaut"), embed=False)).faces


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2000, 3), (3, 2000)])
async def test_there_is_nobody_in_a_line(faces: Faces, width: int, height: int) -> None:
    found = await faces.find(jpeg(np.full((height, width, 3), 128, np.uint8)))
    assert found == FacesFound(width, height, ())


async def test_grey_pictures_have_faces_too(faces: Faces) -> None:
    grey = cv2.cvtColor(pixels(photo("obama")), cv2.COLOR_BGR2GRAY)
    assert distance(await only_face(faces, jpeg(grey)), await only_face(faces, photo("obama"))) < SAME_PERSON


async def test_calls_at_the_same_time_get_their_own_answers(faces: Faces) -> None:
    images = [photo(name) for name in ("obama", "coffee", "astronaut", "biden")] * 2
    one_by_one = [await faces.find(image) for image in images]
    text = faces.find(b"no picture")
    *together, refused = await asyncio.gather(*map(faces.find, images), text, return_exceptions=True)
    assert together == one_by_one
    assert isinstance(refused, NotAnImageError)


async def test_without_models_the_faces_are_off_and_one_line_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faces = Faces(tmp_path)
    assert await faces.ready() is FacesState.OFF
    assert faces.state is FacesState.OFF
    (record,) = (record for record in caplog.records if record.name.startswith("pi_bridge"))
    assert "face_detection_full_range.tflite" in record.getMessage()
    with pytest.raises(FacesOffError):
        await faces.find(photo("obama"))
    faces.close()


async def test_a_damaged_model_turns_the_faces_off(tmp_path: Path) -> None:
    for name in ("face_detection_full_range.tflite", "MobileFaceNet.tflite"):
        (tmp_path / name).write_bytes(b"no model")
    faces = Faces(tmp_path)
    assert await faces.ready() is FacesState.OFF
    faces.close()


async def test_the_owner_can_turn_the_faces_off() -> None:
    faces = Faces(enabled=False)
    assert await faces.ready() is FacesState.OFF
    with pytest.raises(FacesOffError):
        await faces.find(photo("obama"))
    faces.close()


async def test_with_models_the_faces_are_on(faces: Faces) -> None:
    assert await faces.ready() is FacesState.OK
    assert faces.state is FacesState.OK


def test_commands_that_need_no_faces_load_no_model_runtime() -> None:
    program = "import sys, pi_bridge.faces; print({'cv2', 'numpy', 'ai_edge_litert'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()"


def test_the_models_are_the_ones_that_the_script_builds() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "script" / "models"], check=True, capture_output=True, text=True
    )
    assert "fetching" not in done.stdout


async def test_a_face_tells_where_it_turns(faces: Faces) -> None:
    """The sign follows the picture: in a mirror the same face looks to the other side."""
    (turned,) = (await faces.find(photo("obama2"))).faces
    (mirrored,) = (await faces.find(jpeg(cv2.flip(pixels(photo("obama2")), 1)))).faces
    (frontal,) = (await faces.find(photo("astronaut"))).faces
    assert turned.yaw is not None
    assert mirrored.yaw is not None
    assert frontal.yaw is not None
    assert -40 < turned.yaw < -12
    assert mirrored.yaw == pytest.approx(-turned.yaw, abs=5)
    assert abs(frontal.yaw) < 5
    assert Face.from_json(turned.to_json()).yaw == round(turned.yaw, 1)
