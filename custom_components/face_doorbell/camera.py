"""The camera at the door."""

from collections.abc import AsyncGenerator
import socket
from typing import Final, override

from aiohttp import web
from homeassistant.components.camera import Camera, CameraEntityDescription, async_get_still_stream
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge import CameraState
from .coordinator import DoorbellCoordinator
from .entity import DoorbellEntity
from .entries import DoorbellEntry
from .errors import bridge_errors
from .live import LiveView

PARALLEL_UPDATES: Final = 0  # stills come from the bridge's memory

CAMERA: Final = CameraEntityDescription(key="camera", translation_key="camera")

# A slow viewer's frames would otherwise grow old in the kernel's send buffer, by seconds.
UNSENT_BYTES: Final = 16_384


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorbellEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the camera of a doorbell."""
    async_add_entities([DoorbellCamera(entry.runtime_data)])


class DoorbellCamera(DoorbellEntity, Camera):
    """Stills and MJPEG; without the STREAM feature the frontend shows MJPEG at once."""

    def __init__(self, coordinator: DoorbellCoordinator) -> None:
        # The two bases take different arguments.
        DoorbellEntity.__init__(self, coordinator, CAMERA)
        Camera.__init__(self)
        self._live = LiveView(self._open_stream)

    @property
    @override
    def available(self) -> bool:
        return super().available and self.coordinator.data.bridge.camera is CameraState.OK

    @override
    async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
        with bridge_errors(self.coordinator.name):
            return await self.coordinator.client.frame()

    @override
    async def handle_async_mjpeg_stream(self, request: web.Request) -> web.StreamResponse:
        _send_only_fresh(request)
        async with self._live.watch() as next_frame:
            return await async_get_still_stream(request, next_frame, self.content_type, 0)

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._live.close()
        await super().async_will_remove_from_hass()

    def _open_stream(self) -> AsyncGenerator[bytes]:
        return self.coordinator.client.stream()  # the present client: the bridge may have moved


def _send_only_fresh(request: web.Request) -> None:
    if request.transport and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
