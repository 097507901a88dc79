"""The dashboard in the sidebar: there as long as a doorbell wants it, and always like the registries.

Home Assistant has no interface for that. Where it no longer lets us, everything else goes on, and a repair tells how to
add the same dashboard by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import logging
from typing import Any, Final, Protocol

from homeassistant.auth import EVENT_USER_ADDED, EVENT_USER_REMOVED, EVENT_USER_UPDATED
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.importlib import async_import_module
from homeassistant.util.event_type import EventType

from .const import DOMAIN
from .dashboard import Config
from .dashboard_source import async_dashboard, async_texts

_LOGGER = logging.getLogger(__name__)

NO_SIDEBAR: Final = "no_sidebar"
HELP_URL: Final = "https://github.com/face-doorbell/face-doorbell#visits-on-a-dashboard"

# What it looks like when something of Home Assistant's is not there any more, or is another.
_INTERNALS_CHANGED: Final = (ImportError, AttributeError, KeyError, TypeError)

_CHANGES: Final[Sequence[EventType[Any] | str]] = (
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    # Who may change people has a view more.
    EVENT_USER_ADDED,
    EVENT_USER_REMOVED,
    EVENT_USER_UPDATED,
)


class Panel(Protocol):
    """What can be in the sidebar; see `panel.py`."""

    def async_show(self, title: str) -> None:
        """Put it there."""

    def async_hide(self) -> None:
        """Take it away."""

    def async_tell(self) -> None:
        """Tell the browsers that it has changed."""


async def async_setup_sidebar(hass: HomeAssistant) -> None:
    """Show the dashboard while a doorbell wants it."""
    with _guarded(hass):
        module = await async_import_module(hass, f"{__package__}.panel")
        await _Sidebar(hass, module.DashboardPanel(hass)).async_follow()


@contextmanager
def _guarded(hass: HomeAssistant) -> Iterator[None]:
    """Ask the owner to add the dashboard by hand where Home Assistant does not let us."""
    try:
        yield
    except _INTERNALS_CHANGED:
        _LOGGER.warning("This Home Assistant does not let the dashboard into the sidebar", exc_info=True)
        ir.async_create_issue(
            hass,
            DOMAIN,
            NO_SIDEBAR,
            is_fixable=False,
            learn_more_url=HELP_URL,
            severity=ir.IssueSeverity.WARNING,
            translation_key=NO_SIDEBAR,
        )


class _Sidebar:
    """Keeps what is in the sidebar like what there is."""

    def __init__(self, hass: HomeAssistant, panel: Panel) -> None:
        self._hass = hass
        self._panel = panel
        self._shown: Config = {"views": []}
        self._looking = False

    async def async_follow(self) -> None:
        """Look now, and whenever something changes."""
        changed: Callable[[Event], None] = self._something_changed
        for event in _CHANGES:
            self._hass.bus.async_listen(event, changed)
        async_dispatcher_connect(self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._something_changed)
        await self._async_look()

    @callback
    def _something_changed(self, *_: object) -> None:
        # One look for all that changes at a time.
        if not self._looking:
            self._looking = True
            self._hass.async_create_task(self._async_look(), f"{DOMAIN} dashboard")

    async def _async_look(self) -> None:
        texts = await async_texts(self._hass)
        self._looking = False
        config = await async_dashboard(self._hass, of_sidebar=True)
        if config == self._shown:
            return
        was_there = bool(self._shown["views"])
        self._shown = config
        with _guarded(self._hass):
            if config["views"] and not was_there:
                self._panel.async_show(texts["panel"])
            elif was_there and not config["views"]:
                self._panel.async_hide()
            self._panel.async_tell()
