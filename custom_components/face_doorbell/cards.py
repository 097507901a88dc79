"""The JavaScript of the cards and the strategy, which the frontend loads into every page."""

from pathlib import Path
from typing import Final

from homeassistant.components import frontend
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from .const import DOMAIN

FOLDER: Final = Path(__file__).parent / "frontend"
URL: Final = f"/{DOMAIN}"
VISITS_SCRIPT: Final = "face-doorbell.js"
PEOPLE_SCRIPT: Final = "face-doorbell-people.js"
SHARED_SCRIPT: Final = "face-doorbell-shared.js"  # the others import it


async def async_setup_cards(hass: HomeAssistant) -> None:
    """Load the cards and the strategy."""
    version = (await async_get_integration(hass, DOMAIN)).version
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(FOLDER), cache_headers=True)])
    for script in (VISITS_SCRIPT, PEOPLE_SCRIPT):
        frontend.add_extra_js_url(hass, f"{URL}/{script}?v={version}")
