"""Pictures as engines want them: upright RGB JPEGs of a bounded size.

Everything here blocks: call it from a worker thread.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Final

from PIL import ExifTags, Image, UnidentifiedImageError

from ..model import Box
from .errors import PhotoRefusedError

MAX_INPUT_MB: Final = 10
MAX_PIXELS: Final = (
    64_000_000  # decodes to 192 MB; more is a decompression bomb for a small Home Assistant machine
)
MAX_SIDE: Final = 1920  # px: Rekognition finds faces from 40 px on in pictures up to this size
MIN_SIDE: Final = 80  # px: Rekognition takes no smaller picture
MAX_BYTES: Final = 5 * 1024 * 1024  # Rekognition's limit for image bytes
QUALITIES: Final = (88, 75, 50, 25)  # the first that stays below the limit
METADATA: Final = frozenset({"exif", "comment", "xmp", "photoshop", "icc_profile", "adobe", "flashpix"})
BROKEN: Final = (UnidentifiedImageError, OSError, SyntaxError, ValueError)  # what Pillow raises
FORMATS: Final = ("JPEG", "PNG", "WEBP")
# What makes a picture upright, by its EXIF orientation.
TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
THUMBNAIL_BYTES: Final = 15_000  # so that a page of them comes at once over a phone's connection
FACE_SIDE: Final = 160  # px
PICTURE_SIDE: Final = 320  # px
CROP_MARGIN: Final = 0.3  # of the face, on each side: what a detector needs around it
MIN_FACE: Final = 160  # px: crops are enlarged to this


def prepare(photo: bytes) -> bytes:
    """Return a photo as an upright RGB JPEG without metadata, of at most 1920 px a side and less than 5 MiB.

    A JPEG that is so already is returned as it is, so preparing twice changes nothing. Raises PhotoRefusedError
    `photo_not_an_image`, `photo_too_large`, `photo_too_small`.
    """
    if len(photo) > MAX_INPUT_MB * 1024 * 1024:
        raise PhotoRefusedError("photo_too_large", limit_mb=str(MAX_INPUT_MB))
    try:
        with Image.open(BytesIO(photo), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PhotoRefusedError("photo_too_large", limit_mb=str(MAX_INPUT_MB))
            ready = _is_ready(image, photo)
            image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # lets a JPEG decode at a fraction of its size
            image.load()
            upright = image if ready else _upright(image)
            if min(upright.size) < MIN_SIDE:
                raise PhotoRefusedError("photo_too_small")
            return photo if ready else _encode(upright)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise PhotoRefusedError("photo_too_large", limit_mb=str(MAX_INPUT_MB)) from err
    except BROKEN as err:
        raise PhotoRefusedError("photo_not_an_image") from err


@contextmanager
def _opened(jpeg: bytes) -> Iterator[Image.Image]:
    """Open a picture of the bridge's or of ours; raises PhotoRefusedError `photo_not_an_image` when it is broken."""
    try:
        with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
            yield image
    except BROKEN as err:
        raise PhotoRefusedError("photo_not_an_image") from err


def crop(jpeg: bytes, box: Box, least_face: int = MIN_FACE) -> tuple[bytes, Box]:
    """Cut one face out of an RGB JPEG, enlarged when it is smaller than `least_face` px.

    Returns the part as a JPEG, and the box of the face within that part. Raises PhotoRefusedError.
    """
    with _opened(jpeg) as image:
        across, down = box.width * CROP_MARGIN, box.height * CROP_MARGIN
        left, top = max(0.0, box.left - across), max(0.0, box.top - down)
        width = min(1.0, box.left + box.width + across) - left
        height = min(1.0, box.top + box.height + down) - top
        part = image.crop(
            (
                round(left * image.width),
                round(top * image.height),
                round((left + width) * image.width),
                round((top + height) * image.height),
            )
        )
        scale = max(1.0, least_face / min(box.width * image.width, box.height * image.height))
        larger = part.resize(
            (round(part.width * scale), round(part.height * scale)), Image.Resampling.BICUBIC
        )
    inside = Box((box.left - left) / width, (box.top - top) / height, box.width / width, box.height / height)
    return _encode(larger), inside


def size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG in pixels; raises PhotoRefusedError."""
    with _opened(jpeg) as image:
        return image.size


def thumbnail(jpeg: bytes, side: int) -> bytes:
    """Return an RGB JPEG of at most `side` px and `THUMBNAIL_BYTES`; raises PhotoRefusedError."""
    with _opened(jpeg) as image:
        image.draft("RGB", (2 * side, 2 * side))
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        return _encode(image, THUMBNAIL_BYTES)


def blank() -> bytes:
    """Return the smallest picture that AWS takes, with nobody in it."""
    return _encode(Image.new("RGB", (MIN_SIDE, MIN_SIDE), "white"))


def _is_ready(image: Image.Image, photo: bytes) -> bool:
    plain = image.format == "JPEG" and image.mode == "RGB" and not METADATA.intersection(image.info)
    return plain and max(image.size) <= MAX_SIDE and len(photo) < MAX_BYTES


def _upright(image: Image.Image) -> Image.Image:
    # Pillow's own way writes all EXIF data anew, which fails for what some cameras write, and is dropped anyway.
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    upright = (image if turn is None else image.transpose(turn)).convert("RGB")
    upright.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return upright


def _encode(image: Image.Image, limit: int = MAX_BYTES) -> bytes:
    for quality in QUALITIES:
        target = BytesIO()
        image.save(target, "JPEG", quality=quality, comment="")
        if target.tell() < limit:
            break
    return target.getvalue()
