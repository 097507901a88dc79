"""Options of the recognition take effect at once; only what the engine is made of sets the entry up anew."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .budget import BUDGET
from .const import CONF_BUDGET, CONF_ENGINE, DOMAIN, ENGINE_REKOGNITION
from .entries import RecognitionEntry, retention, rule, stands_by
from .recognition.fallback import FallbackEngine
from .visits import VISITS

# What the loaded recognition was made of.
_MADE_OF: HassKey[object] = HassKey(f"{DOMAIN}_recognition_made_of")


@callback
def async_apply_options(hass: HomeAssistant, entry: RecognitionEntry) -> None:
    """Let the options count from now on; the entry's engine is in place."""
    hass.data[_MADE_OF] = _made_of(entry)
    engine = entry.runtime_data.engine
    engine.rule = rule(entry)
    if isinstance(engine, FallbackEngine):
        engine.enabled = stands_by(entry)
    asks_aws = entry.data[CONF_ENGINE] == ENGINE_REKOGNITION
    hass.data[BUDGET].async_set_limit(entry.options.get(CONF_BUDGET) if asks_aws else None)


async def async_follow_options(hass: HomeAssistant, entry: RecognitionEntry) -> bool:
    """Follow a change of the entry; returns False when the entry has to be set up anew."""
    if hass.data.get(_MADE_OF) != _made_of(entry):
        return False
    async_apply_options(hass, entry)
    await hass.data[VISITS].async_set_retention(retention(entry))
    return True


def _made_of(entry: RecognitionEntry) -> object:
    # Home Assistant changes a subentry where it is.
    persons = [subentry.as_dict() for subentry in entry.subentries.values()]
    return entry.entry_id, entry.title, dict(entry.data), persons
