"""Boot and clock: a Pi has no battery clock, so its wall clock alone cannot tell how old a ring is."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime
from pathlib import Path
import time
from typing import Final

_LIBC: Final = ctypes.CDLL(None)
_TIMEX_BYTES: Final = 512  # more than struct timex of any architecture; all zero means: only ask
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised


class SystemClock:
    """The kernel's clocks; implements `ports.Clock`."""

    @property
    def boot_id(self) -> str:
        """The id that the kernel gave to this boot."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    @property
    def synchronized(self) -> bool:
        """Whether the kernel says that something (NTP, usually) keeps the wall clock right."""
        state: int = _LIBC.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= state < _TIME_ERROR

    def now(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(UTC)

    def uptime_ms(self) -> int:
        """Return milliseconds since boot (CLOCK_BOOTTIME)."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


SYSTEM_CLOCK: Final = SystemClock()
