"""What a doorbell sounds by itself, as the options of its entry say.

The bridge plays it and keeps the quiet hours, because the button works when Home Assistant is away.
"""

from collections.abc import Mapping
from typing import Any, Final

from .bridge import Chime, QuietHours

CONF_TONE: Final = "chime_tone"
CONF_SECONDS: Final = "chime_seconds"
CONF_QUIET_FROM: Final = "quiet_from"
CONF_QUIET_UNTIL: Final = "quiet_until"

AS_ON_THE_PI: Final = "as_on_the_pi"


def chosen_chime(options: Mapping[str, Any], time_zone: str) -> Chime | None:
    """Return what the options say; None as long as nobody has chosen anything, so that the bridge keeps what it has."""
    if CONF_TONE not in options:
        return None
    seconds, start, end = (options.get(key) for key in (CONF_SECONDS, CONF_QUIET_FROM, CONF_QUIET_UNTIL))
    return Chime(
        tone=None if options[CONF_TONE] == AS_ON_THE_PI else options[CONF_TONE],
        for_ms=round(seconds * 1000) if seconds else None,
        quiet=QuietHours(start, end, time_zone) if start and end else None,
    )
