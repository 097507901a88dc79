"""What AWS costs this month: kept over restarts, and told in time before the budget is used up."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.singleton import singleton
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .recognition.ledger import Ledger
from .recognition.prices import CURRENCY
from .recognition.usage import Usage

BUDGET: Final[HassKey[Budget]] = HassKey(f"{DOMAIN}_budget")

LEDGER: Final = "usage.sqlite"
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
        self._ledger = Ledger(Path(hass.config.path(DOMAIN, LEDGER)))
        self._listeners: set[CALLBACK_TYPE] = set()
        self._on_disk = True
        self._flushing = False
        self.usage = Usage(dt_util.utcnow, self._count_changed_in_thread, self._ledger.save)

    async def async_load(self) -> None:
        """Go on where the last run ended, and with nothing when another month begins."""
        self.usage.restore(await self._hass.async_add_executor_job(self._ledger.load))
        self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, self._async_close)
        async_track_time_interval(self._hass, self._maybe_new_month, LOOK_EVERY, cancel_on_shutdown=True)

    @callback
    def async_set_limit(self, limit: float | None) -> None:
        """Change how many US dollars a month may cost; None: any number."""
        self.usage.budget = limit
        self._tell()

    async def async_lift(self) -> None:
        """Do without a limit until the month ends."""
        await self._hass.async_add_executor_job(self.usage.lift)

    @callback
    def async_subscribe(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call back after each change; returns how to stop it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _count_changed_in_thread(self) -> None:
        self._hass.loop.call_soon_threadsafe(self._count_changed)

    @callback
    def _count_changed(self) -> None:
        self._on_disk = False
        if not self._flushing:
            self._hass.async_create_task(self._async_flush(), f"{DOMAIN} count of calls")
        self._tell()

    async def _async_flush(self) -> None:
        """Bring the count to the disk, once for all calls that come meanwhile; only a power cut needs it."""
        self._flushing = True
        while not self._on_disk:
            self._on_disk = True
            await self._hass.async_add_executor_job(self._ledger.flush)
        self._flushing = False

    async def _async_close(self, _event: Event) -> None:
        await self._hass.async_add_executor_job(self._ledger.close)

    @callback
    def _maybe_new_month(self, _now: datetime) -> None:
        self._tell()

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
