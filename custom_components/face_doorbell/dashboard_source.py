"""What the dashboard is made of, read from the registries, in the language of Home Assistant."""

from homeassistant.const import CONF_ID
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.translation import async_get_translations

from .const import CONF_DASHBOARD, CONF_PERSON_ID, DOMAIN, SUBENTRY_PERSON, EntryKind
from .dashboard import Config, Door, Member, build_dashboard
from .entries import AnyEntry, kind, recognition_entry


async def async_dashboard(hass: HomeAssistant, *, of_sidebar: bool = False) -> Config:
    """Return the dashboard of what there is now; without views when there is no doorbell.

    That `of_sidebar` has only the doorbells whose owners want them there.
    """
    return build_dashboard(
        _doors(hass, of_sidebar=of_sidebar),
        _members(hass),
        await async_texts(hass),
        await _admins(hass) if recognition_entry(hass) else (),
    )


async def async_texts(hass: HomeAssistant) -> dict[str, str]:
    """Return the texts of the dashboard by their keys."""
    prefix = f"component.{DOMAIN}.common.dashboard_"
    texts = await async_get_translations(hass, hass.config.language, "common", {DOMAIN})
    return {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}


async def _admins(hass: HomeAssistant) -> list[str]:
    users = await hass.auth.async_get_users()
    return sorted(user.id for user in users if user.is_admin and not user.system_generated)


def _doors(hass: HomeAssistant, *, of_sidebar: bool) -> list[Door]:
    """Return the doorbells that have been connected at least once."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False, include_disabled=False)
    wanted = (
        entry
        for entry in entries
        if kind(entry) is EntryKind.DOORBELL and (not of_sidebar or entry.options.get(CONF_DASHBOARD, True))
    )
    return [door for door in (_door(hass, entry) for entry in wanted) if door]


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
