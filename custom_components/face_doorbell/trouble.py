"""What is wrong with AWS and only the owner can mend, as repairs that go by themselves once it is mended."""

from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .entries import RecognitionEntry
from .errors import recognition_error_text
from .recognition.errors import EngineAuthError, RecognitionError

# What waiting does not mend; everything else comes and goes, and the visit says it.
REPAIRS: Final = frozenset(
    {
        "account_not_ready",
        "bucket_missing",
        "bucket_taken",
        "clock_skew",
        "collection_missing",
        "invalid_bucket",
        "missing_permission",
        "quota_exceeded",
        "wrong_region",
    }
)
WORK: Final = ("recognize", "sync")


@callback
def async_report(
    hass: HomeAssistant, entry: RecognitionEntry, work: str, err: RecognitionError | None
) -> None:
    """Tell the owner how the engine did a piece of `WORK`; what that has shown before, its success takes back."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        return  # it was on the way when the entry was removed
    if err is None:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(work))
    elif isinstance(err, EngineAuthError):
        entry.async_start_reauth(hass)
    elif err.key in REPAIRS:
        text = recognition_error_text(err)
        ir.async_create_issue(
            hass,
            DOMAIN,
            _issue_id(work),
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=text["translation_key"],
            translation_placeholders=text["translation_placeholders"],
        )


@callback
def async_take_back(hass: HomeAssistant) -> None:
    """Take back all reports: AWS is not asked any more, or with other settings, which have been tried."""
    for work in WORK:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(work))


def _issue_id(work: str) -> str:
    return f"engine_{work}"
