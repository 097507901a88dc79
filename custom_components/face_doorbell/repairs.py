"""What is wrong with a bridge and only the owner can mend, as repairs; and what the owner does to mend anything."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .bridge import BridgeCertificateError, BridgeError, BridgeVersionError
from .budget import BUDGET, BUDGET_SPENT
from .const import CONF_BUCKET, CONF_COLLECTION, CONF_MODE, CONF_REGION, DOMAIN
from .errors import bridge_error_text
from .leaving import AWS_DATA_LEFT, async_remove_aws_data, async_tell_removed
from .recognition.errors import RecognitionError
from .recognition.rekognition import Mode
from .recognition_flow import KEYS_SCHEMA

_ENTRY_ID: Final = "entry_id"


@callback
def async_report_bridge(hass: HomeAssistant, entry: ConfigEntry, err: BridgeError) -> None:
    """Ask the owner to mend what waiting does not; errors that come and go are left out."""
    if not isinstance(err, BridgeCertificateError | BridgeVersionError):
        return
    text = bridge_error_text(err, entry.title)
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(entry),
        data={_ENTRY_ID: entry.entry_id},
        is_fixable=isinstance(err, BridgeCertificateError),
        severity=ir.IssueSeverity.ERROR,
        translation_key=text["translation_key"],
        translation_placeholders=text["translation_placeholders"],
    )


@callback
def async_bridge_is_well(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back what was reported of a bridge."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(entry))


def _issue_id(entry: ConfigEntry) -> str:
    return f"bridge_{entry.entry_id}"


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return how something is mended that Home Assistant can mend itself."""
    if issue_id == BUDGET_SPENT:
        return LiftBudgetFlow()
    if issue_id == AWS_DATA_LEFT:
        return RemoveAwsDataFlow(data or {})
    return PairAgainFlow(hass.config_entries.async_get_known_entry(str((data or {})[_ENTRY_ID])))


class PairAgainFlow(RepairsFlow):
    """Explains what a changed certificate means and leads to pairing, which takes the new one."""

    def __init__(self, entry: ConfigEntry) -> None:
        """Mend the bridge of this entry."""
        self._entry = entry

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Start."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask whether it is the owner's doing, then go on with pairing; the issue goes once that has worked."""
        if user_input is None:
            return self.async_show_form(
                step_id="confirm", description_placeholders={"name": self._entry.title}
            )
        return self.async_abort(
            reason="pair_again", next_flow=(FlowType.CONFIG_FLOW, await self._pairing_flow_id())
        )

    async def _pairing_flow_id(self) -> str:
        for flow in self._entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}):
            return flow["flow_id"]
        flow = await self.hass.config_entries.flow.async_init(
            DOMAIN,
            context={
                "source": SOURCE_REAUTH,
                "entry_id": self._entry.entry_id,
                "title_placeholders": {"name": self._entry.title},
                "unique_id": self._entry.unique_id,
            },
            data=self._entry.data,
        )
        return flow["flow_id"]


class LiftBudgetFlow(RepairsFlow):
    """Asks whether the rest of the month may go on without a budget."""

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Start."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask, then lift it."""
        if user_input is None:
            return self.async_show_form(step_id="confirm")
        await self.hass.data[BUDGET].async_lift()
        return self.async_create_entry(data={})


class RemoveAwsDataFlow(RepairsFlow):
    """Asks for keys once more, and deletes what is left with AWS; the keys are not kept."""

    def __init__(self, place: Mapping[str, Any]) -> None:
        """Clean up in this bucket and collection."""
        self._place = place

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Start."""
        return await self.async_step_keys()

    async def async_step_keys(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask, then delete."""
        errors: dict[str, str] = {}
        told = {field: str(self._place[field]) for field in (CONF_REGION, CONF_BUCKET, CONF_COLLECTION)}
        if user_input is not None:
            data = {CONF_MODE: Mode.SEARCH, **self._place, **user_input}
            try:
                report = await async_remove_aws_data(self.hass, data, without_gallery=True)
            except RecognitionError as err:
                errors, told = {"base": err.key}, told | err.placeholders
            else:
                await async_tell_removed(self.hass, data, report)
                return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="keys", data_schema=KEYS_SCHEMA, description_placeholders=told, errors=errors
        )
