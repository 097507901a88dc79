"""Parts of the pictures of visits, made when somebody looks at them."""

from contextlib import suppress
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey
from lru import LRU

from ..const import DOMAIN
from ..recognition import images
from ..recognition.errors import PhotoRefusedError
from .log import ChangeKind, VisitChange, VisitLog

KEPT: Final = 256  # thumbnails of at most 15 KB: the pages that a household looks at again and again


class VisitPictures:
    """Faces and thumbnails of a visit log.

    Every method returns a JPEG, or None when there is no such picture or face, or it is broken.

    A thumbnail has at most `images.THUMBNAIL_BYTES`.
    """

    def __init__(self, hass: HomeAssistant, visits: VisitLog) -> None:
        """Take the log; what it forgets is forgotten here."""
        self._hass = hass
        self._visits = visits
        self._thumbnails: LRU[tuple[str, str], bytes] = LRU(KEPT)
        visits.async_subscribe(self._changed)

    async def async_face(self, visit_id: str, index: int) -> bytes | None:
        """Return a face in full size, with a margin."""
        return await self._cut(visit_id, index)

    async def async_face_thumbnail(self, visit_id: str, index: int) -> bytes | None:
        """Return a face, at most `images.FACE_SIDE` px large."""
        key = (visit_id, f"face {index}")
        if key not in self._thumbnails and (face := await self._cut(visit_id, index)):
            await self._shrink(key, face, images.FACE_SIDE)
        return self._thumbnails.get(key)

    async def async_picture_thumbnail(self, visit_id: str, n: int) -> bytes | None:
        """Return the `n`-th picture, at most `images.PICTURE_SIDE` px large."""
        key = (visit_id, f"picture {n}")
        if key not in self._thumbnails and (picture := await self._visits.async_picture(visit_id, n)):
            await self._shrink(key, picture, images.PICTURE_SIDE)
        return self._thumbnails.get(key)

    async def async_photo(self, visit_id: str, index: int) -> bytes | None:
        """Return a face as a photo to enrol: in the camera's own pixels."""
        return await self._cut(visit_id, index, least_face=0)

    async def _cut(self, visit_id: str, index: int, least_face: int = images.MIN_FACE) -> bytes | None:
        visit = self._visits.get(visit_id)
        if visit is None or visit.picture is None or not 0 <= index < len(visit.faces):
            return None
        picture = await self._visits.async_picture(visit_id, visit.picture)
        if picture is None:
            return None
        with suppress(PhotoRefusedError):
            part, _ = await self._hass.async_add_executor_job(
                images.crop, picture, visit.faces[index].box, least_face
            )
            return part
        return None

    async def _shrink(self, key: tuple[str, str], picture: bytes, side: int) -> None:
        with suppress(PhotoRefusedError):
            small = await self._hass.async_add_executor_job(images.thumbnail, picture, side)
            if key[0] in self._visits:
                self._thumbnails[key] = small

    @callback
    def _changed(self, change: VisitChange) -> None:
        if change.kind is ChangeKind.REMOVED:
            for key in list(self._thumbnails.keys()):
                if key[0] == change.visit.visit_id:
                    del self._thumbnails[key]


PICTURES: HassKey[VisitPictures] = HassKey(f"{DOMAIN}_pictures")
