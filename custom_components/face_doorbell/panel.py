"""The dashboard in the sidebar. The only module that touches what Home Assistant has inside for dashboards.

There is no interface to provide a dashboard from Python: this is what Home Assistant does itself for one in YAML. If
it cannot be had any more, all else goes on.
"""

import logging
from pathlib import Path
from typing import Any, Final, override

from homeassistant.components import frontend
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.components.lovelace.const import (
    DOMAIN as LOVELACE,
    LOVELACE_DATA,
    MODE_YAML,
    ConfigNotFound,
)
from homeassistant.components.lovelace.dashboard import LovelaceConfig
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.const import CONF_ICON, CONF_ID, CONF_MODE
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.json import json_bytes, json_fragment
from homeassistant.helpers.translation import async_get_translations
from homeassistant.loader import async_get_integration

from .const import CONF_PERSON_ID, DOMAIN, SUBENTRY_PERSON, EntryKind
from .dashboard import Config, Door, Member, build_dashboard
from .entries import AnyEntry, kind, recognition_entry

_LOGGER = logging.getLogger(__name__)

URL_PATH: Final = "face-doorbell"
SCRIPT: Final = Path(__file__).parent / "frontend" / "face-doorbell.js"
SCRIPT_URL: Final = "/face_doorbell/face-doorbell.js"
ICON: Final = "mdi:doorbell-video"


async def async_dashboard(hass: HomeAssistant) -> Config:
    """Return the dashboard of what there is now; without views when there is no doorbell."""
    texts = await _texts(hass)
    return build_dashboard(_doors(hass), _members(hass), texts, with_card=not hass.config.safe_mode)


async def async_setup_frontend(hass: HomeAssistant) -> None:
    """Show the dashboard while there is a doorbell, and load the card that is on it."""
    version = (await async_get_integration(hass, DOMAIN)).version
    await hass.http.async_register_static_paths(
        [StaticPathConfig(SCRIPT_URL, str(SCRIPT), cache_headers=True)]
    )
    frontend.add_extra_js_url(hass, f"{SCRIPT_URL}?v={version}")
    await DashboardPanel(hass).async_follow()


class DashboardPanel(LovelaceConfig):
    """The dashboard as Home Assistant keeps one; in the sidebar as long as there is a doorbell."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Be nowhere yet."""
        super().__init__(hass, URL_PATH, {"title": "", CONF_ICON: ICON, CONF_MODE: MODE_YAML})
        self._shown: Config = {}
        self._looking = False

    @property
    @override
    def mode(self) -> str:
        """Nobody edits it."""
        return MODE_YAML

    @override
    async def async_get_info(self) -> dict[str, Any]:
        """Return what Home Assistant's list of dashboards says of it."""
        return {"mode": self.mode, "views": len(self._shown.get("views", ()))}

    @override
    async def async_load(self, force: bool) -> dict[str, Any]:
        """Return the dashboard."""
        config = await async_dashboard(self.hass)
        if not config["views"]:
            raise ConfigNotFound
        return config

    @override
    async def async_json(self, force: bool) -> json_fragment:
        """Return the dashboard."""
        return json_fragment(json_bytes(await self.async_load(force)))

    async def async_follow(self) -> None:
        """Show the dashboard while there is a doorbell, and keep it like the registries."""
        self.hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._something_changed)
        self.hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._something_changed)
        async_dispatcher_connect(self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._something_changed)
        await self._async_look()

    @callback
    def _something_changed(self, *_: object) -> None:
        # One look for all that changes at a time.
        if not self._looking:
            self._looking = True
            self.hass.async_create_task(self._async_look(), f"{DOMAIN} dashboard")

    async def _async_look(self) -> None:
        texts = await _texts(self.hass)
        self._looking = False
        config = await async_dashboard(self.hass)
        if config == self._shown:
            return
        was_there = bool(self._shown.get("views"))
        self._shown = config
        if config["views"] and not was_there:
            self._show(texts["panel"])
        elif was_there and not config["views"]:
            self._hide()
        self._config_updated()

    def _show(self, title: str) -> None:
        dashboards = self.hass.data[LOVELACE_DATA].dashboards
        if URL_PATH in dashboards or frontend.async_panel_exists(self.hass, URL_PATH):
            _LOGGER.warning("There is another dashboard at %s; that of Face Doorbell is not shown", URL_PATH)
            return
        dashboards[URL_PATH] = self
        frontend.async_register_built_in_panel(
            self.hass,
            LOVELACE,
            frontend_url_path=URL_PATH,
            sidebar_title=title,
            sidebar_icon=ICON,
            config={CONF_MODE: MODE_YAML},
        )

    def _hide(self) -> None:
        dashboards = self.hass.data[LOVELACE_DATA].dashboards
        if dashboards.get(URL_PATH) is self:
            del dashboards[URL_PATH]
            frontend.async_remove_panel(self.hass, URL_PATH)


async def _texts(hass: HomeAssistant) -> dict[str, str]:
    prefix = f"component.{DOMAIN}.common.dashboard_"
    texts = await async_get_translations(hass, hass.config.language, "common", {DOMAIN})
    return {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}


def _doors(hass: HomeAssistant) -> list[Door]:
    """Return the doorbells that have been connected at least once."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False, include_disabled=False)
    doors = (_door(hass, entry) for entry in entries if kind(entry) is EntryKind.DOORBELL)
    return [door for door in doors if door]


def _door(hass: HomeAssistant, entry: AnyEntry) -> Door | None:
    doorbell_id: str = entry.data[CONF_ID]
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, doorbell_id), entry.entry_id)
    if device is None:
        return None
    name = device.name_by_user or device.name or entry.title
    return Door(device.id, name, _entities(hass, entry, doorbell_id))


def _members(hass: HomeAssistant) -> list[Member]:
    entry = recognition_entry(hass)
    if entry is None:
        return []
    persons = sorted(entry.get_subentries_of_type(SUBENTRY_PERSON), key=lambda each: each.title.casefold())
    return [Member(_entities(hass, entry, person.data[CONF_PERSON_ID])) for person in persons]


def _entities(hass: HomeAssistant, entry: AnyEntry, owner: str) -> dict[str, str]:
    """Return the entity ids of a doorbell or a person that are to be seen, by key."""
    prefix = f"{owner}_"
    return {
        each.unique_id.removeprefix(prefix): each.entity_id
        for each in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        if each.unique_id.startswith(prefix) and not each.disabled_by and not each.hidden_by
    }
