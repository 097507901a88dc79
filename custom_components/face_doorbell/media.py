"""The bytes of a picture that a user names: an upload, an entity, a media item, a file that Home Assistant may read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import camera, image
from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.components.media_source import Unresolvable, async_resolve_media, is_media_source_id
from homeassistant.const import Platform
from homeassistant.core import Context, HomeAssistant, split_entity_id
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized

from .const import DOMAIN
from .recognition.errors import PhotoRefusedError
from .recognition.images import MAX_INPUT_MB

type Media = Mapping[str, Any]

# What has a present picture, and what else the media browser therefore offers.
PICTURE_DOMAINS: Final = (Platform.CAMERA.value, Platform.IMAGE.value)  # plain, as errors name them


async def async_read_upload(hass: HomeAssistant, file_id: str) -> bytes:
    """Return an uploaded file, which Home Assistant then forgets.

    Raises PhotoRefusedError `photo_too_large`, and `photo_gone` when there is no such upload.
    """
    return await hass.async_add_executor_job(_read_upload, hass, file_id)


async def async_read_entity(hass: HomeAssistant, entity_id: str, context: Context) -> bytes:
    """Return the present picture of a camera or image entity, if the caller may see it."""
    if context.user_id:
        user = await hass.auth.async_get_user(context.user_id)
        if user is None or not user.permissions.check_entity(entity_id, POLICY_READ):
            raise Unauthorized(context=context, entity_id=entity_id, permission=POLICY_READ)
    try:
        if split_entity_id(entity_id)[0] == Platform.CAMERA:
            return (await camera.async_get_image(hass, entity_id)).content
        return (await image.async_get_image(hass, entity_id)).content
    except HomeAssistantError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="image_unavailable",
            translation_placeholders={"entity_id": entity_id},
        ) from err


async def async_read_media(hass: HomeAssistant, media: Media, context: Context) -> bytes:
    """Return a media item or a file; raises ServiceValidationError, and PhotoRefusedError `photo_too_large`."""
    content_id: str = media["media_content_id"]
    for domain in PICTURE_DOMAINS:
        prefix = f"media-source://{domain}/"
        if content_id.startswith(prefix):
            return await async_read_entity(hass, content_id.removeprefix(prefix), context)
    path = await _media_path(hass, content_id)
    try:
        return await hass.async_add_executor_job(_read_file, path)
    except OSError as err:
        raise _refused("media_unreadable", content_id) from err


async def _media_path(hass: HomeAssistant, content_id: str) -> Path:
    if not is_media_source_id(content_id):
        if not await hass.async_add_executor_job(hass.config.is_allowed_path, content_id):
            raise _refused("media_not_allowed", content_id)
        return Path(content_id)
    try:
        item = await async_resolve_media(hass, content_id, None)
    except Unresolvable as err:
        raise _refused("media_unreadable", content_id) from err
    if item.path is None:
        raise _refused("media_not_local", content_id)
    return item.path


def _read_upload(hass: HomeAssistant, file_id: str) -> bytes:
    try:
        with process_uploaded_file(hass, file_id) as path:
            return _read_file(path)
    except ValueError as err:
        raise PhotoRefusedError("photo_gone") from err


def _read_file(path: Path) -> bytes:
    """Return a file, unless it is so large that it cannot be meant."""
    if path.stat().st_size > MAX_INPUT_MB * 1024 * 1024:
        raise PhotoRefusedError("photo_too_large", limit_mb=str(MAX_INPUT_MB))
    return path.read_bytes()


def _refused(key: str, content_id: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={"media": content_id}
    )
