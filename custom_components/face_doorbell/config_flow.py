"""Where Home Assistant enters the flows: which steps belong to which kind of config entry."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    OptionsFlow,
    SubentryFlowContext,
)
from homeassistant.core import callback

from .const import CONF_KIND, DOMAIN, SUBENTRY_PERSON, EntryKind
from .doorbell_flow import DoorbellSteps
from .doorbell_options import DoorbellOptionsFlow
from .person_flow import PersonFlow
from .recognition_flow import RecognitionSteps
from .recognition_options import RecognitionOptionsFlow


class FaceDoorbellConfigFlow(DoorbellSteps, RecognitionSteps, domain=DOMAIN):
    """Set up a doorbell, or the recognition for all doorbells."""

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Only the recognition knows persons."""
        return {SUBENTRY_PERSON: PersonFlow} if _is_recognition(config_entry) else {}

    @classmethod
    @callback
    @override
    def async_supports_options_flow(cls, config_entry: ConfigEntry) -> bool:
        """Both kinds have options; an ignored discovery is of none."""
        return CONF_KIND in config_entry.data

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the flow for the options of this kind of entry."""
        return RecognitionOptionsFlow() if _is_recognition(config_entry) else DoorbellOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to set up, if there is a choice."""
        if self._has_recognition():
            return await self.async_step_doorbell()
        return self.async_show_menu(step_id="user", menu_options=[EntryKind.DOORBELL, EntryKind.RECOGNITION])

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """A bridge or AWS does not know us any more."""
        if _is_recognition(self._get_reauth_entry()):
            return await self.async_step_reauth_recognition()
        return await self.async_step_reauth_doorbell()

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change what the entry was made with."""
        if _is_recognition(self._get_reconfigure_entry()):
            return await self.async_step_recognition()
        return await self.async_step_reconfigure_doorbell()

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Go on with what a newcomer needs next: recognition after the first doorbell, then a person."""
        entry = result["result"]
        if _is_recognition(entry):
            if entry.state is ConfigEntryState.LOADED:
                result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, await self._start_person_flow(entry))
        elif CONF_KIND in entry.data and not self._has_recognition():  # an ignored discovery has no kind
            result["next_flow"] = (FlowType.CONFIG_FLOW, await self._start_recognition_flow())
        return result

    async def _start_recognition_flow(self) -> str:
        flow = await self.hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        await self.hass.config_entries.flow.async_configure(
            flow["flow_id"], {"next_step_id": EntryKind.RECOGNITION}
        )
        return flow["flow_id"]

    async def _start_person_flow(self, entry: ConfigEntry) -> str:
        flow = await self.hass.config_entries.subentries.async_init(
            (entry.entry_id, SUBENTRY_PERSON), context=SubentryFlowContext(source=SOURCE_USER)
        )
        return flow["flow_id"]

    def _has_recognition(self) -> bool:
        return any(_is_recognition(entry) for entry in self._async_current_entries(include_ignore=False))


def _is_recognition(entry: ConfigEntry) -> bool:
    return entry.data.get(CONF_KIND) == EntryKind.RECOGNITION
