"""What would make a person's photos better, in sentences for whoever has just enrolled somebody."""

from collections.abc import Iterator, Mapping, Sequence

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN
from .recognition.gallery import Person
from .recognition.gate import ENOUGH_PHOTOS, Advice, advice, look_alikes


async def async_advice(hass: HomeAssistant, person: Person, persons: Sequence[Person]) -> str:
    """Return the sentences, each in a paragraph, in the language of Home Assistant; empty when all is well."""
    prefix = f"component.{DOMAIN}.common."
    texts = await async_get_translations(hass, hass.config.language, "common", integrations={DOMAIN})
    findings = _findings(person, persons)
    return "\n\n".join(texts[f"{prefix}{key}"].format_map(placeholders) for key, placeholders in findings)


def _findings(person: Person, persons: Sequence[Person]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the keys of the sentences, and what to fill in."""
    if len(person.photos) < ENOUGH_PHOTOS:
        yield "advice_few", {"count": len(person.photos), "enough": ENOUGH_PHOTOS}
    missing = advice(person)
    if missing not in (None, Advice.FEW):
        yield f"advice_{missing}", {}
    for alike in look_alikes(persons, person.id):
        yield "advice_looks_like", {"person": alike.person.name, "similarity": f"{alike.similarity:.0f}"}
