"""Photos are made fit for engines, or refused with the reason."""

from io import BytesIO
import random
import struct
import zlib

from PIL import Image
import pytest

from custom_components.face_doorbell.model import Box
from custom_components.face_doorbell.recognition import images
from custom_components.face_doorbell.recognition.errors import PhotoRefusedError
from tests.fake_rekognition import RealEyes
from tests.photos import photo, two_people


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    target = BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(BytesIO(jpeg))
    image.load()
    return image


def huge_png(width: int, height: int) -> bytes:
    """Return a small PNG that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def with_odd_exif(photo: bytes) -> bytes:
    """Return a JPEG that lies on its side, and whose EXIF data have a text where a fraction belongs."""
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHI4s", 0x011A, 2, 4, b"odd\0")
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + entries + bytes(4)
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + photo[2:]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "photo_not_an_image"),
        (b"no image at all", "photo_not_an_image"),
        (photo("obama2")[:5000], "photo_not_an_image"),
        (encode(Image.new("RGB", (90, 90)), "GIF"), "photo_not_an_image"),
        (b"\xff\xd8\xff" + bytes(20_000_000), "photo_too_large"),
        (huge_png(30_000, 30_000), "photo_too_large"),
        (huge_png(9_000, 9_000), "photo_too_large"),
        (encode(Image.new("RGB", (79, 500))), "photo_too_small"),
        (encode(Image.new("RGB", (6000, 100))), "photo_too_small"),
    ],
    ids=["empty", "text", "cut off", "gif", "20 MB", "bomb", "81 megapixels", "narrow", "narrow once shrunk"],
)
def test_what_cannot_be_used_is_refused(content: bytes, key: str) -> None:
    with pytest.raises(PhotoRefusedError) as refused:
        images.prepare(content)
    assert refused.value.key == key
    assert refused.value.placeholders == ({"limit_mb": "10"} if key == "photo_too_large" else {})


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(kind, mode) for kind in ("PNG", "WEBP") for mode in ("RGB", "L", "RGBA", "P")]
    + [("JPEG", mode) for mode in ("RGB", "L", "CMYK")],
)
def test_every_kind_becomes_an_rgb_jpeg(kind: str, mode: str) -> None:
    content = encode(Image.new("RGB", (200, 100), "red").convert(mode), kind)
    ready = opened(images.prepare(content))
    assert (ready.format, ready.mode, ready.size) == ("JPEG", "RGB", (200, 100))


def test_a_photo_of_a_phone_is_turned_upright_and_made_smaller() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    exif[0x010F] = "a maker"
    ready = opened(images.prepare(encode(Image.new("RGB", (4000, 3000), "red"), exif=exif)))
    assert ready.size == (1440, 1920)
    assert not ready.getexif()


def test_odd_exif_data_refuse_no_photo() -> None:
    lying = with_odd_exif(encode(Image.new("RGB", (90, 120))))
    assert opened(images.prepare(lying)).size == (120, 90)


@pytest.mark.parametrize("broken", [b"", b"no picture", photo("obama2")[:5000]])
def test_a_broken_picture_is_refused_by_all_that_cuts_it(broken: bytes) -> None:
    for use in (lambda: images.crop(broken, Box(0.1, 0.1, 0.5, 0.5)), lambda: images.thumbnail(broken, 80)):
        with pytest.raises(PhotoRefusedError, match="photo_not_an_image"):
            use()


def test_a_photo_that_is_ready_stays_as_it_is() -> None:
    ready = images.prepare(photo("obama3"))
    assert images.prepare(ready) is ready


@pytest.mark.parametrize("kind", ["comment", "exif", "xmp"])
def test_nothing_but_the_picture_is_kept(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    metadata = {"comment": b"at home", "exif": exif.tobytes(), "xmp": b"<x/>"}
    content = encode(Image.new("RGB", (200, 200)), "JPEG", **{kind: metadata[kind]})
    assert kind in opened(content).info
    ready = images.prepare(content)
    assert kind not in opened(ready).info
    assert images.prepare(ready) is ready


def test_even_noise_is_less_than_aws_takes() -> None:
    noise = Image.frombytes("RGB", (1920, 1920), random.Random(1).randbytes(1920 * 1920 * 3))
    # As a JPEG of moderate quality it comes below the limit for uploads.
    assert len(images.prepare(encode(noise, quality=90))) < 5 * 1024 * 1024


def test_a_crop_shows_one_face_and_says_where(eyes: RealEyes) -> None:
    picture = images.prepare(two_people())
    largest, smaller = eyes.look(picture)
    part, inside = images.crop(picture, Box(smaller.left, smaller.top, smaller.width, smaller.height))
    (face,) = eyes.look(part)
    assert eyes.similarity(face.face, smaller.face) > 90 > eyes.similarity(face.face, largest.face)
    assert abs(face.left + face.width / 2 - inside.left - inside.width / 2) < 0.1


def test_a_small_face_is_enlarged() -> None:
    picture = encode(Image.new("RGB", (1000, 1000)))
    part, inside = images.crop(picture, Box(0.97, 0.0, 0.03, 0.04))
    width, height = opened(part).size
    assert round(inside.width * width) >= 158  # rounded to whole pixels before it was enlarged
    assert min(width, height) >= 80
