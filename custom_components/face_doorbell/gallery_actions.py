"""The actions on the gallery as a whole: check it, export it, import it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import web
from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.components.http.auth import async_sign_path
from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.http import HomeAssistantView
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .actions import Action, invalid, recognition, translated
from .const import CONF_BUCKET, CONF_ENGINE, ENGINE_REKOGNITION
from .engines import aws_settings, storage
from .entries import RecognitionEntry, async_loaded_recognition, recognition_entry, rule
from .errors import recognition_error_message
from .files import unfinished
from .naming import async_add_person, async_arriving
from .public import public_check, public_person
from .recognition.adoption import Newcomer, Report, from_bucket, from_file, take_over
from .recognition.errors import GalleryFileError, disk_errors
from .recognition.gallery import Person
from .recognition.gallery_file import read_gallery
from .recognition.recognizer import Recognizer

ATTR_FILE: Final = "file"
ATTR_FORCE: Final = "force"
ATTR_PATH: Final = "path"
ATTR_PREFIX: Final = "prefix"
ATTR_BUCKET: Final = CONF_BUCKET

DOWNLOAD_URL: Final = "/api/face_doorbell/gallery.zip"
DOWNLOAD_FOR: Final = timedelta(minutes=10)  # as long as somebody needs to click on it

_CHUNK: Final = 256 * 1024


async def _check_gallery(call: ServiceCall) -> ServiceResponse:
    """Compare all photos with each other."""
    entry = await recognition(call.hass)
    with translated():
        return public_check(await entry.runtime_data.check(rule(entry)))


async def _export_people(call: ServiceCall) -> ServiceResponse:
    """Write the gallery into a file, or return where an administrator can download it."""
    entry = await recognition(call.hass)
    path: str | None = call.data.get(ATTR_PATH)
    persons = entry.runtime_data.persons
    counts = {"people": len(persons), "photos": sum(len(person.photos) for person in persons)}
    if path is None:
        if call.context.user_id is None:
            raise invalid("export_path_missing")  # an automation has no browser to download with
        return {**counts, "url": async_sign_path(call.hass, DOWNLOAD_URL, DOWNLOAD_FOR)}
    file = await call.hass.async_add_executor_job(_writable, call.hass, path)
    with translated(), disk_errors():
        counts["photos"] = await entry.runtime_data.export(file)
    return {**counts, "path": str(file)}


async def _import_people(call: ServiceCall) -> ServiceResponse:
    """Take persons over from a file or a bucket; tell what was taken over and what was refused."""
    entry = await recognition(call.hass)
    if sum(bool(call.data.get(name)) for name in (ATTR_FILE, ATTR_PATH, ATTR_BUCKET)) != 1:
        raise invalid("import_source_missing")
    report = Report()
    newcomers = _newcomers(call, entry, report)

    async def present() -> Recognizer:
        return (await async_loaded_recognition(call.hass)).runtime_data

    with async_arriving(call.hass, report.added):
        try:
            with translated():
                async with aclosing(newcomers):
                    await take_over(present, newcomers, report, force=call.data[ATTR_FORCE])
        finally:
            await _add_persons(call.hass, entry, report.added)
    return {
        "added": [public_person(person) for person in report.added],
        "photos": dict(report.photos),
        "refused": [
            {
                "name": refusal.name,
                "photo": refusal.source,
                "reason": refusal.error.key,
                "message": recognition_error_message(refusal.error),
            }
            for refusal in report.refused
        ],
        "ignored": report.ignored,
    }


async def _add_persons(hass: HomeAssistant, entry: RecognitionEntry, persons: Sequence[Person]) -> None:
    """Let Home Assistant know persons who were enrolled; all at once, as who is not known at a start is removed."""
    if not persons:
        return
    await hass.config_entries.async_unload(entry.entry_id)
    for person in persons:
        async_add_person(hass, entry, person)
    await hass.config_entries.async_setup(entry.entry_id)


async def _newcomers(call: ServiceCall, entry: RecognitionEntry, report: Report) -> AsyncGenerator[Newcomer]:
    """Yield the persons of the one source that is named."""
    hass = call.hass
    if bucket := call.data.get(ATTR_BUCKET):
        if entry.data[CONF_ENGINE] != ENGINE_REKOGNITION:
            raise invalid("import_needs_aws")
        settings = replace(aws_settings(entry.data), bucket=bucket)
        async with aclosing(from_bucket(settings, call.data[ATTR_PREFIX], report)) as persons:
            async for person in persons:
                yield person
        return
    if file_id := call.data.get(ATTR_FILE):
        path = await hass.async_add_executor_job(_take_upload, hass, file_id)
    else:
        path = await hass.async_add_executor_job(_readable, hass, call.data[ATTR_PATH])
    try:
        async for person in from_file(await hass.async_add_executor_job(read_gallery, path)):
            yield person
    finally:
        if file_id:
            await hass.async_add_executor_job(path.unlink)


def _take_upload(hass: HomeAssistant, file_id: str) -> Path:
    """Move an upload, which Home Assistant then forgets, to where it can be read for as long as that takes."""
    kept = unfinished(storage(hass))
    try:
        with process_uploaded_file(hass, file_id) as path, disk_errors():
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(path.read_bytes())
    except ValueError as err:
        raise GalleryFileError from err
    return kept


def _readable(hass: HomeAssistant, path: str) -> Path:
    if not hass.config.is_allowed_path(path):
        raise invalid("media_not_allowed", media=path)
    return Path(path)


def _writable(hass: HomeAssistant, path: str) -> Path:
    """Return the file that is meant by a path: itself, or a new one in a folder."""
    file = Path(path)
    if file.is_dir():
        file /= f"face_doorbell_{dt_util.now():%Y-%m-%d}.zip"
    # Home Assistant shows everybody what is in `www`, without a login.
    public = file.resolve().is_relative_to(Path(hass.config.path("www")).resolve())
    if public or not hass.config.is_allowed_path(str(file)):
        raise invalid("export_not_allowed", path=path)
    return file


class GalleryDownloadView(HomeAssistantView):
    """Serves the whole gallery as a zip file, to administrators."""

    url = DOWNLOAD_URL
    name = "api:face_doorbell:gallery"

    def __init__(self, hass: HomeAssistant) -> None:
        """Serve the gallery that there is when it is asked for."""
        self._hass = hass

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Return the file."""
        if not request[KEY_HASS_USER].is_admin:
            raise Unauthorized
        entry = recognition_entry(self._hass)
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        file = unfinished(storage(self._hass))
        try:
            with translated():
                await entry.runtime_data.export(file)
            content = await asyncio.to_thread(file.open, "rb")
        finally:
            # What is open can be read to its end, and then nothing is left of it.
            await asyncio.to_thread(file.unlink, missing_ok=True)
        return await _send(request, content)


async def _send(request: web.Request, content: BinaryIO) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="face_doorbell_{dt_util.now():%Y-%m-%d}.zip"',
            "Cache-Control": "private, no-store",
        }
    )
    try:
        await response.prepare(request)
        while chunk := await asyncio.to_thread(content.read, _CHUNK):
            await response.write(chunk)
        await response.write_eof()
    finally:
        await asyncio.to_thread(content.close)
    return response


ACTIONS: Final = (
    Action(name="check_gallery", handler=_check_gallery, admin=True),
    Action(
        name="export_people",
        handler=_export_people,
        schema={vol.Optional(ATTR_PATH): cv.string},
        admin=True,
    ),
    Action(
        name="import_people",
        handler=_import_people,
        schema={
            vol.Optional(ATTR_FILE): cv.string,
            vol.Optional(ATTR_PATH): cv.string,
            vol.Optional(ATTR_BUCKET): cv.string,
            vol.Optional(ATTR_PREFIX, default=""): cv.string,
            vol.Optional(ATTR_FORCE, default=False): cv.boolean,
        },
        response=SupportsResponse.OPTIONAL,
        admin=True,
    ),
)
