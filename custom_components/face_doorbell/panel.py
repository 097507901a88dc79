"""The dashboard as Home Assistant keeps one. The only module that touches what Home Assistant has inside for that.

There is no interface to provide a dashboard from Python: this is what Home Assistant does itself for one in YAML. It
may change with any release, so nothing but `sidebar.py`, which can do without, imports this module.
"""

import logging
from typing import Any, Final, override

from homeassistant.components import frontend
from homeassistant.components.lovelace.const import (
    DOMAIN as LOVELACE,
    LOVELACE_DATA,
    MODE_YAML,
    ConfigNotFound,
)
from homeassistant.components.lovelace.dashboard import LovelaceConfig
from homeassistant.const import CONF_ICON, CONF_MODE
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.json import json_bytes, json_fragment

from .cards import with_loader
from .dashboard_source import async_dashboard

_LOGGER = logging.getLogger(__name__)

URL_PATH: Final = "face-doorbell"
ICON: Final = "mdi:doorbell-video"


class DashboardPanel(LovelaceConfig):
    """A dashboard that nobody edits; in the sidebar between `async_show` and `async_hide`."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Be nowhere yet."""
        super().__init__(hass, URL_PATH, {"title": "", CONF_ICON: ICON, CONF_MODE: MODE_YAML})

    @property
    @override
    def mode(self) -> str:
        """Nobody edits it."""
        return MODE_YAML

    @override
    async def async_get_info(self) -> dict[str, Any]:
        """Return what Home Assistant's list of dashboards says of it."""
        config = await async_dashboard(self.hass, of_sidebar=True)
        return {"mode": self.mode, "views": len(config["views"])}

    @override
    async def async_load(self, force: bool) -> dict[str, Any]:
        """Return the dashboard."""
        config = await async_dashboard(self.hass, of_sidebar=True)
        if not config["views"]:
            raise ConfigNotFound
        return with_loader(self.hass, config)

    @override
    async def async_json(self, force: bool) -> json_fragment:
        """Return the dashboard."""
        return json_fragment(json_bytes(await self.async_load(force)))

    @callback
    def async_show(self, title: str) -> None:
        """Put it into the sidebar, unless somebody has a dashboard of this name."""
        dashboards = self.hass.data[LOVELACE_DATA].dashboards
        if URL_PATH in dashboards or frontend.async_panel_exists(self.hass, URL_PATH):
            _LOGGER.warning("There is another dashboard at %s; that of Face Doorbell is not shown", URL_PATH)
            return
        frontend.async_register_built_in_panel(
            self.hass,
            LOVELACE,
            frontend_url_path=URL_PATH,
            sidebar_title=title,
            sidebar_icon=ICON,
            config={CONF_MODE: MODE_YAML},
        )
        dashboards[URL_PATH] = self

    @callback
    def async_hide(self) -> None:
        """Take it out of the sidebar."""
        dashboards = self.hass.data[LOVELACE_DATA].dashboards
        if dashboards.get(URL_PATH) is self:
            del dashboards[URL_PATH]
            frontend.async_remove_panel(self.hass, URL_PATH)

    @callback
    def async_tell(self) -> None:
        """Tell the browsers that it has changed."""
        self._config_updated()
