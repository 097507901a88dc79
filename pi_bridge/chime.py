"""What Home Assistant has chosen for the buzzer: its tone at a press, and the hours in which it is quiet.

The bridge keeps it, because the button works when Home Assistant is away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Final, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import Refused

MAX_MS: Final = 10_000  # of a press; who wants more rings again


class QuietJson(TypedDict):
    """Quiet hours on the wire."""

    start: str
    end: str
    zone: str


class ChimeJson(TypedDict):
    """A chime on the wire and in the journal; None: as the Pi's own configuration says."""

    tone: str | None
    for_ms: int | None
    quiet: QuietJson | None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end`, which may lie beyond midnight, by the clocks of a time zone, summer time included."""

    start: time
    end: time
    zone: ZoneInfo

    def include(self, now: datetime) -> bool:
        """Return whether it is quiet now; `now` knows its time zone."""
        local = now.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


@dataclass(frozen=True, slots=True)
class Chime:
    """What sounds at a press, for how long, and when nothing does; None: as the Pi's own configuration says."""

    tone: str | None = None
    for_ms: int | None = None
    quiet: QuietHours | None = None

    def is_quiet(self, now: datetime | None) -> bool:
        """Return whether the buzzer has to be quiet. Who does not know what time it is (None) rings."""
        return self.quiet is not None and now is not None and self.quiet.include(now)

    def to_json(self) -> ChimeJson:
        """Return the chime as docs/protocol.md writes it."""
        quiet = self.quiet
        return {
            "tone": self.tone,
            "for_ms": self.for_ms,
            "quiet": None
            if quiet is None
            else {
                "start": quiet.start.isoformat(),
                "end": quiet.end.isoformat(),
                "zone": quiet.zone.key,
            },
        }

    @classmethod
    def from_json(cls, data: ChimeJson) -> Chime:
        """Read what a client or the journal says; looks a time zone up on the disk.

        Raises Refused with `bad_duration`, `bad_request` or `unknown_zone`.
        """
        for_ms = data["for_ms"]
        if for_ms is not None and not 1 <= for_ms <= MAX_MS:
            raise Refused(400, "bad_duration", f"for_ms must be a whole number from 1 to {MAX_MS}, or null")
        return cls(data["tone"], for_ms, _quiet_hours(data["quiet"]))


def _quiet_hours(data: QuietJson | None) -> QuietHours | None:
    if data is None:
        return None
    try:
        start, end = time.fromisoformat(data["start"]), time.fromisoformat(data["end"])
    except ValueError as error:
        raise Refused(400, "bad_request", "start and end are local times such as 22:00:00") from error
    if start.tzinfo or end.tzinfo:
        raise Refused(400, "bad_request", "start and end are local times: the zone stands beside")
    try:
        return QuietHours(start, end, ZoneInfo(data["zone"]))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refused(400, "unknown_zone", "this bridge does not know the time zone") from error
