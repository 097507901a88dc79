"""Pictures over HTTP, for those who are logged in; photos of persons for administrators.

A page that cannot send a login with an `<img>` asks Home Assistant for a signed address of these.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web
from homeassistant.components.http.auth import async_sign_path
from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers.http import HomeAssistantView

from .entries import recognition_entry
from .recognition import images
from .recognition.errors import PersonError, PhotoRefusedError
from .visits import VisitLog, VisitPictures

NEVER_CHANGES: Final = "private, max-age=31536000, immutable"
NOT_KEPT: Final = "private, no-store"  # who is removed is not to live on in a browser

SIGNED_FOR: Final = timedelta(hours=1)  # as long as somebody may leave a form open

_VISIT: Final = "/api/face_doorbell/visits/{visit_id}"
_NUMBER: Final = "{n:[0-9]{1,4}}"


def picture_url(visit_id: str, n: int) -> str:
    """Return where the `n`-th picture of a visit is served."""
    return f"/api/face_doorbell/visits/{visit_id}/{n}.jpg"


def picture_thumbnail_url(visit_id: str, n: int) -> str:
    """Return where a small one of the `n`-th picture of a visit is served."""
    return f"/api/face_doorbell/visits/{visit_id}/thumbnails/{n}.jpg"


def face_thumbnail_url(visit_id: str, index: int) -> str:
    """Return where a small picture of a face of a visit is served."""
    return f"/api/face_doorbell/visits/{visit_id}/faces/{index}.jpg"


def photo_url(person_id: str, photo_id: str) -> str:
    """Return where a small one of a person's photo is served to administrators."""
    return f"/api/face_doorbell/persons/{person_id}/{photo_id}.jpg"


@callback
def signed_photo_url(hass: HomeAssistant, person_id: str, photo_id: str) -> str:
    """Return where a small one of a person's photo is served, for `SIGNED_FOR`, to who is logged in now."""
    return async_sign_path(hass, photo_url(person_id, photo_id), SIGNED_FOR)


class VisitPictureView(HomeAssistantView):
    """Serves the `n`-th picture of a visit."""

    url = f"{_VISIT}/{_NUMBER}.jpg"
    name = "api:face_doorbell:visit_picture"

    def __init__(self, visits: VisitLog) -> None:
        """Serve from this log; an id that it does not know never reaches the disk."""
        self._visits = visits

    async def get(self, request: web.Request, visit_id: str, n: str) -> web.Response:
        """Return the picture."""
        return _answer(await self._visits.async_picture(visit_id, int(n)))


class VisitThumbnailView(HomeAssistantView):
    """Serves the `n`-th picture of a visit, small."""

    url = f"{_VISIT}/thumbnails/{_NUMBER}.jpg"
    name = "api:face_doorbell:visit_thumbnail"

    def __init__(self, pictures: VisitPictures) -> None:
        """Serve from these."""
        self._pictures = pictures

    async def get(self, request: web.Request, visit_id: str, n: str) -> web.Response:
        """Return the thumbnail."""
        return _answer(await self._pictures.async_picture_thumbnail(visit_id, int(n)))


class FaceThumbnailView(HomeAssistantView):
    """Serves the `n`-th face of a visit, small."""

    url = f"{_VISIT}/faces/{_NUMBER}.jpg"
    name = "api:face_doorbell:visit_face"

    def __init__(self, pictures: VisitPictures) -> None:
        """Serve from these."""
        self._pictures = pictures

    async def get(self, request: web.Request, visit_id: str, n: str) -> web.Response:
        """Return the thumbnail."""
        return _answer(await self._pictures.async_face_thumbnail(visit_id, int(n)))


class PersonPhotoView(HomeAssistantView):
    """Serves a photo of a person, small, to administrators."""

    url = "/api/face_doorbell/persons/{person_id}/{photo_id}.jpg"
    name = "api:face_doorbell:person_photo"

    def __init__(self, hass: HomeAssistant) -> None:
        """Serve from the gallery that there is when it is asked for."""
        self._hass = hass

    async def get(self, request: web.Request, person_id: str, photo_id: str) -> web.Response:
        """Return the thumbnail."""
        if not request[KEY_HASS_USER].is_admin:
            raise Unauthorized
        entry = recognition_entry(self._hass)
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return _answer(None)
        try:
            photo = await entry.runtime_data.photo(person_id, photo_id)
            small = await self._hass.async_add_executor_job(images.thumbnail, photo, images.FACE_SIDE)
        except PersonError, PhotoRefusedError:
            return _answer(None)
        return _answer(small, NOT_KEPT)


def _answer(jpeg: bytes | None, cache: str = NEVER_CHANGES) -> web.Response:
    if jpeg is None:
        return web.Response(status=HTTPStatus.NOT_FOUND)
    return web.Response(body=jpeg, content_type="image/jpeg", headers={"Cache-Control": cache})
