"""The billed calls of a month, counted before they are made, and the budget that they must not exceed."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
import threading
from typing import Final

from .errors import EngineUnavailableError
from .prices import PRICES, cost

# The rounding of sums of prices, which must not refuse the last call that a budget allows.
_ROUNDING: Final = 1e-9


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class MonthUsage:
    """The billed calls of one month (`2026-11`, in UTC as on AWS's bill), by operation; `lifted`: without a budget."""

    month: str = ""
    calls: Mapping[str, int] = field(default_factory=dict)
    lifted: bool = False

    @property
    def cost(self) -> float:
        """What the calls cost in US dollars."""
        return cost(self.calls)


class Usage:
    """Counts calls from any thread. A call is counted before it is made, so that no two can share the last cent."""

    def __init__(
        self,
        now: Callable[[], datetime] = _now,
        changed: Callable[[], None] = lambda: None,
        keep: Callable[[MonthUsage], None] = lambda _: None,
    ) -> None:
        """Take the clock, what to call, from any thread, after each change, and what then keeps it at once."""
        self.budget: float | None = None  # US dollars a month; None: no limit
        self._now = now
        self._tell = changed
        self._keep = keep
        self._keeping = threading.Lock()  # taken before the other one, which never waits for the disk
        self._lock = threading.Lock()
        self._months: dict[str, MonthUsage] = {}  # a clock that was wrong for a while must not lose one

    def restore(self, kept: Iterable[MonthUsage]) -> None:
        """Go on counting from the months that were kept."""
        with self._lock:
            self._months = {month.month: month for month in kept}

    @property
    def month(self) -> MonthUsage:
        """What was used this month."""
        with self._lock:
            return self._this_month()

    @property
    def spent(self) -> float | None:
        """How much of the budget is used, 1 being all of it; None when nothing limits the calls."""
        month = self.month
        if self.budget is None or month.lifted:
            return None
        return month.cost / self.budget if self.budget else 1.0

    def lift(self) -> None:
        """Let calls through for the rest of the month, whatever they cost; blocks, as all changes do."""
        with self._lock:
            month = self._this_month()
            self._set(MonthUsage(month.month, month.calls, lifted=True))
        self._changed()

    def reserve(self, operation: str) -> None:
        """Count a call that is about to be made; raises EngineUnavailableError `budget_spent` when it must not be."""
        if operation not in PRICES:
            return
        with self._lock:
            month = self._this_month()
            after = Counter(month.calls)
            after[operation] += 1
            if self.budget is not None and not month.lifted and cost(after) > self.budget + _ROUNDING:
                raise EngineUnavailableError("budget_spent")
            self._set(MonthUsage(month.month, after, month.lifted))
        self._changed()

    def refund(self, operation: str) -> None:
        """Take back a call that AWS has not done any work for."""
        if operation not in PRICES:
            return
        with self._lock:
            month = self._this_month()
            calls = Counter(month.calls)
            calls[operation] -= 1
            self._set(MonthUsage(month.month, +calls, month.lifted))
        self._changed()

    def _changed(self) -> None:
        with self._keeping:
            self._keep(self.month)  # the latest, whoever was first: what is kept never goes back
        self._tell()

    def _this_month(self) -> MonthUsage:
        month = self._now().astimezone(UTC).strftime("%Y-%m")
        return self._months.get(month, MonthUsage(month))

    def _set(self, usage: MonthUsage) -> None:
        self._months[usage.month] = usage
