"""The JavaScript of the cards and the strategy in Home Assistant's pages, those included that are older than we are.

A page loads what `add_extra_js_url` names when it is opened, and has no way to load more. Whoever sets up the first
doorbell sits before an older page, and would find an error instead of the visits until the next reload. Until Home
Assistant starts anew, our dashboard therefore has a frame in it that loads the scripts into such a page, and hides.
"""

from pathlib import Path
from typing import Final

from homeassistant.components import frontend
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.loader import async_get_integration
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .dashboard import Config

FOLDER: Final = Path(__file__).parent / "frontend"
URL: Final = f"/{DOMAIN}"
VISITS_SCRIPT: Final = "face-doorbell.js"
PEOPLE_SCRIPT: Final = "face-doorbell-people.js"
OFFERS_SCRIPT: Final = "face-doorbell-offers.js"
SHARED_SCRIPT: Final = "face-doorbell-shared.js"  # the others import it
LOADER: Final = "load.html"  # names the same scripts

_LOADER_URL: Final[HassKey[str]] = HassKey(f"{DOMAIN}_loader")


async def async_setup_cards(hass: HomeAssistant) -> None:
    """Load the cards and the strategy."""
    version = (await async_get_integration(hass, DOMAIN)).version
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(FOLDER), cache_headers=True)])
    for script in (VISITS_SCRIPT, PEOPLE_SCRIPT, OFFERS_SCRIPT):
        frontend.add_extra_js_url(hass, f"{URL}/{script}?v={version}")
    if hass.state is CoreState.running:
        hass.data[_LOADER_URL] = f"{URL}/{LOADER}?v={version}"


def with_loader(hass: HomeAssistant, dashboard: Config) -> Config:
    """Return a dashboard that works in older pages too, as long as there may be some."""
    if _LOADER_URL not in hass.data:
        return dashboard
    frame = {"type": "iframe", "url": hass.data[_LOADER_URL], "grid_options": {"columns": 3, "rows": 1}}
    views = []
    for view in dashboard["views"]:
        *sections, last = view["sections"]
        views.append({**view, "sections": [*sections, {**last, "cards": [*last["cards"], frame]}]})
    return {**dashboard, "views": views}
