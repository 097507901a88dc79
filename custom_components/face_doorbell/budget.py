"""What AWS costs this month: kept over restarts, and told in time before the budget is used up."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.singleton import singleton
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .recognition.prices import CURRENCY
from .recognition.usage import MonthUsage, Usage

BUDGET: Final[HassKey[Budget]] = HassKey(f"{DOMAIN}_budget")

SAVE_AFTER_S: Final = 5  # a visit's calls come together; a crash forgets those of the last seconds
BUDGET_SPENT: Final = "budget_spent"  # the issue, which the owner may mend by lifting the budget
LOOK_EVERY: Final = timedelta(hours=1)  # whether a month has begun; calls look by themselves


class Mark(NamedTuple):
    """A share of the budget that the owner is told of."""

    share: float
    issue: str
    severity: ir.IssueSeverity
    fixable: bool


# The highest one that is reached counts. From the last one on no call is made.
MARKS: Final = (
    Mark(1.0, BUDGET_SPENT, ir.IssueSeverity.ERROR, fixable=True),
    Mark(0.8, "budget_nearly_spent", ir.IssueSeverity.WARNING, fixable=False),
)
_NEARLY: Final = 1e-6  # the rounding of sums of prices


class Budget:
    """The usage of AWS, stored, with its limit; lives as long as Home Assistant, whatever happens to the entry."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Prepare; `async_load` follows."""
        self._hass = hass
        self._store = Store[dict[str, Any]](hass, 1, f"{DOMAIN}.usage")
        self._listeners: set[CALLBACK_TYPE] = set()
        self.usage = Usage(dt_util.utcnow, self._count_changed_in_thread)

    async def async_load(self) -> None:
        """Go on where the last run ended, and with nothing when another month begins."""
        if kept := await self._store.async_load():
            self.usage.restore(MonthUsage(kept["month"], kept["calls"], kept["lifted"]))
        async_track_time_interval(self._hass, self._maybe_new_month, LOOK_EVERY, cancel_on_shutdown=True)

    @callback
    def async_set_limit(self, limit: float | None) -> None:
        """Change how many US dollars a month may cost; None: any number."""
        self.usage.budget = limit
        self._tell()

    @callback
    def async_lift(self) -> None:
        """Do without a limit until the month ends."""
        self.usage.lift()

    @callback
    def async_subscribe(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call back after each change; returns how to stop it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _count_changed_in_thread(self) -> None:
        self._hass.loop.call_soon_threadsafe(self._count_changed)

    @callback
    def _count_changed(self) -> None:
        self._store.async_delay_save(self._to_json, SAVE_AFTER_S)
        self._tell()

    @callback
    def _maybe_new_month(self, _now: datetime) -> None:
        self._tell()

    def _to_json(self) -> dict[str, Any]:
        month = self.usage.month
        return {"month": month.month, "calls": dict(month.calls), "lifted": month.lifted}

    @callback
    def _tell(self) -> None:
        spent = self.usage.spent
        reached = next((mark for mark in MARKS if spent is not None and spent >= mark.share - _NEARLY), None)
        for mark in MARKS:
            if mark is reached:
                self._create_issue(mark)
            else:
                ir.async_delete_issue(self._hass, DOMAIN, mark.issue)
        for listener in list(self._listeners):
            listener()

    def _create_issue(self, mark: Mark) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            mark.issue,
            is_fixable=mark.fixable,
            severity=mark.severity,
            translation_key=mark.issue,
            translation_placeholders={"budget": f"{self.usage.budget:.2f} {CURRENCY}"},
        )


@singleton(BUDGET, async_=True)
async def async_get_budget(hass: HomeAssistant) -> Budget:
    """Return the one budget, loaded; the first config flow needs it before the integration is set up."""
    budget = Budget(hass)
    await budget.async_load()
    return budget
