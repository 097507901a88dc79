"""The pictures of visits over HTTP, for those who are logged in."""

from http import HTTPStatus

from aiohttp import web
from homeassistant.helpers.http import HomeAssistantView

from .visits import VisitLog

NEVER_CHANGES = "private, max-age=31536000, immutable"


class VisitPictureView(HomeAssistantView):
    """Serves the `n`-th picture of a visit."""

    url = "/api/face_doorbell/visits/{visit_id}/{n:[0-9]{1,4}}.jpg"
    name = "api:face_doorbell:visit_picture"

    def __init__(self, visits: VisitLog) -> None:
        """Serve from this log; an id that it does not know never reaches the disk."""
        self._visits = visits

    async def get(self, request: web.Request, visit_id: str, n: str) -> web.Response:
        """Return the picture."""
        jpeg = await self._visits.async_picture(visit_id, int(n))
        if jpeg is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(body=jpeg, content_type="image/jpeg", headers={"Cache-Control": NEVER_CHANGES})
