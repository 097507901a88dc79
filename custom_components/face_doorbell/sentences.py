"""Sentences of ours, in the language of Home Assistant, where a translation key alone cannot be shown."""

from collections.abc import Callable, Mapping
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN

_PREFIX: Final = f"component.{DOMAIN}.common."

type Say = Callable[[str, Mapping[str, object]], str]


async def async_sentences(hass: HomeAssistant) -> Say:
    """Return what gives the sentence of a key below `common`, with its placeholders filled in."""
    texts = await async_get_translations(hass, hass.config.language, "common", integrations={DOMAIN})
    return lambda key, placeholders: texts[f"{_PREFIX}{key}"].format_map(placeholders)
