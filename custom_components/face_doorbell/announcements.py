"""Hears every announcement of a bridge, also one that says nothing new.

Home Assistant's discovery tells only what has changed. A bridge that was without power for less than the two minutes
for which its address is remembered announces what is known, and nobody would be told that it is back.
"""

from collections.abc import Callable
from typing import Final, override

from homeassistant.components.zeroconf import async_get_async_zeroconf
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from zeroconf import RecordUpdate, RecordUpdateListener, Zeroconf
from zeroconf._dns import DNSPointer

SERVICE_TYPE: Final = "_face-doorbell._tcp.local."


@callback
def async_on_announcement(hass: HomeAssistant, bridge_id: str, heard: Callable[[], None]) -> CALLBACK_TYPE:
    """Call back whenever the network says that a bridge is there; returns how to stop it."""
    if "zeroconf" not in hass.config.components:
        return lambda: None
    zeroconf = async_get_async_zeroconf(hass).zeroconf
    listener = _Listener(bridge_id, heard)
    zeroconf.async_add_listener(listener, None)
    return lambda: zeroconf.async_remove_listener(listener)


class _Listener(RecordUpdateListener):
    def __init__(self, bridge_id: str, heard: Callable[[], None]) -> None:
        self._instance = f"{bridge_id}.{SERVICE_TYPE}"  # with the name of the doorbell before it
        self._heard = heard

    @override
    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        if any(self._is_announcement(update.new, now) for update in records):
            self._heard()

    def _is_announcement(self, record: object, now: float) -> bool:
        return (
            isinstance(record, DNSPointer)
            and record.alias.endswith(self._instance)
            and not record.is_expired(now)  # as in a goodbye
        )
