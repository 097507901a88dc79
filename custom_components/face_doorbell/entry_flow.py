"""What the flows of both kinds of entries share: a changed entry is set up anew exactly once."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult
from homeassistant.helpers.typing import UNDEFINED, UndefinedType


class EntryFlow(ConfigFlow):
    """A flow that can change an entry."""

    def _update(
        self, entry: ConfigEntry, data: Mapping[str, Any], *, unique_id: str | UndefinedType = UNDEFINED
    ) -> ConfigFlowResult:
        """Give an entry other data and end the flow."""
        if _reloads_itself(entry):
            return self.async_update_and_abort(entry, data=data, unique_id=unique_id)
        return self.async_update_reload_and_abort(entry, data=data, unique_id=unique_id)

    def _abort_if_configured(self, updates: Mapping[str, Any]) -> None:
        """Abort when there is an entry with the unique id of the flow; it gets the updates."""
        entry = self.hass.config_entries.async_entry_for_domain_unique_id(
            self.handler, self.context["unique_id"] or ""
        )
        self._abort_if_unique_id_configured(
            updates=dict(updates), reload_on_update=entry is not None and not _reloads_itself(entry)
        )


def _reloads_itself(entry: ConfigEntry) -> bool:
    """Whether the entry listens to its changes: only one that could be set up does."""
    return bool(entry.update_listeners)
