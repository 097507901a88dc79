"""A household with a doorbell that sees, an engine that recognizes, and visitors on real photos."""

from collections.abc import Mapping
from typing import Any

from homeassistant.auth.models import User
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.visits import VISITS, Visit
from tests.bridge.doubles import RunningBridge
from tests.photos import photo

from .flow_texts import check_error
from .helpers import VISITOR, change, until_acked

Response = dict[str, Any]


async def ring(hass: HomeAssistant, bridge: RunningBridge, visitor: str | bytes) -> Visit:
    """Let somebody ring, named by a photo; return the visit, once it is stored and answered."""
    async with change(hass, VISITOR) as visited:
        bridge.press(photo(visitor) if isinstance(visitor, str) else visitor)
        visit_id = (await visited).attributes["visit_id"]
    await until_acked(bridge)
    return stored(hass, visit_id)


def stored(hass: HomeAssistant, visit_id: str) -> Visit:
    """Return a visit as it is stored now."""
    visit = hass.data[VISITS].get(visit_id)
    assert visit is not None
    return visit


async def act(
    hass: HomeAssistant, action: str, data: Mapping[str, Any] | None = None, *, user: User | None = None
) -> Response:
    """Perform an action; return its response, once Home Assistant has settled."""
    answer = await hass.services.async_call(
        DOMAIN,
        action,
        dict(data or {}),
        blocking=True,
        return_response=True,
        context=Context(user_id=user.id) if user else None,
    )
    await hass.async_block_till_done()
    return dict(answer or {})


async def refused(
    hass: HomeAssistant,
    action: str,
    data: Mapping[str, Any],
    error: type[HomeAssistantError] = ServiceValidationError,
) -> str | None:
    """Perform an action that is refused; return the key of the text."""
    with pytest.raises(error) as caught:
        await act(hass, action, data)
    assert type(caught.value) is error
    check_error(caught.value)
    return caught.value.translation_key


def people(entry: ConfigEntry) -> dict[str, str]:
    """Return the names of the persons by their ids."""
    return {subentry.unique_id or "": subentry.title for subentry in entry.subentries.values()}
