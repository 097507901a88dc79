"""What stays with AWS when it is not to recognize any more, or elsewhere: deleted if the user says so, and told."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.persistent_notification import async_create
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .budget import async_get_budget
from .const import (
    CONF_BUCKET,
    CONF_COLLECTION,
    CONF_ENDPOINT_URL,
    CONF_ENGINE,
    CONF_REGION,
    DOMAIN,
    ENGINE_REKOGNITION,
)
from .engines import aws_settings, storage
from .recognition.decision import Rule
from .recognition.errors import disk_errors
from .recognition.gallery import Gallery
from .recognition.model import SyncReport
from .recognition.rekognition import RekognitionEngine
from .sentences import async_sentences

AWS_DATA_LEFT: Final = "aws_data_left"  # the issue

PLACE: Final = (CONF_REGION, CONF_BUCKET, CONF_COLLECTION, CONF_ENDPOINT_URL)


def is_left(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether other settings leave something behind where AWS has recognized until now."""
    if before[CONF_ENGINE] != ENGINE_REKOGNITION:
        return False
    return after[CONF_ENGINE] != ENGINE_REKOGNITION or any(
        before.get(each) != after.get(each) for each in PLACE
    )


async def async_remove_aws_data(
    hass: HomeAssistant, data: Mapping[str, Any], *, without_gallery: bool = False
) -> SyncReport:
    """Delete all that is ours with AWS, by the data of an entry that is not loaded; raises RecognitionError.

    `without_gallery`: the gallery is another one by now, so that what AWS holds has to speak for itself.
    """
    gallery = Gallery(storage(hass))
    if not without_gallery:
        with disk_errors():
            await hass.async_add_executor_job(gallery.load)
    budget = await async_get_budget(hass)
    engine = RekognitionEngine(aws_settings(data), Rule(), budget.usage)
    try:
        return await engine.forget_everyone(gallery)
    finally:
        await engine.close()


def removed(report: SyncReport, data: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what was deleted where, as placeholders."""
    counts = {what: str(report.deleted.get(what, 0)) for what in ("objects", "versions", "users", "faces")}
    return {**counts, CONF_BUCKET: data[CONF_BUCKET], CONF_COLLECTION: data[CONF_COLLECTION]}


async def async_tell_removed(hass: HomeAssistant, data: Mapping[str, Any], report: SyncReport) -> None:
    """Notify the owner of what was deleted, and of what AWS keeps."""
    say = await async_sentences(hass)
    lines = [say("aws_removed", removed(report, data))]
    if report.versions_remain:
        lines.append(say("aws_versions_remain", {CONF_BUCKET: data[CONF_BUCKET]}))
    async_create(
        hass, "\n\n".join(lines), say("aws_removed_title", {}), notification_id=f"{DOMAIN}_aws_removed"
    )
    ir.async_delete_issue(hass, DOMAIN, AWS_DATA_LEFT)


@callback
def async_use_again(hass: HomeAssistant, data: Mapping[str, Any]) -> None:
    """Take back that something is left where AWS recognizes again: it is in use."""
    issue = ir.async_get(hass).async_get_issue(DOMAIN, AWS_DATA_LEFT)
    if issue and all((issue.data or {}).get(field) == data.get(field) for field in PLACE):
        ir.async_delete_issue(hass, DOMAIN, AWS_DATA_LEFT)


@callback
def async_tell_left(hass: HomeAssistant, data: Mapping[str, Any]) -> None:
    """Tell the owner what is left with AWS; the repair deletes it, with keys that are not kept until then."""
    place = {field: data[field] for field in PLACE if data.get(field)}
    ir.async_create_issue(
        hass,
        DOMAIN,
        AWS_DATA_LEFT,
        data=place,
        is_fixable=True,
        is_persistent=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key=AWS_DATA_LEFT,
        translation_placeholders={
            field: place.get(field, "") for field in (CONF_REGION, CONF_BUCKET, CONF_COLLECTION)
        },
    )
