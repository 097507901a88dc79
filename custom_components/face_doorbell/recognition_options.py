"""The options of the recognition: when a face is recognized, how long visits are kept, and to forget everyone."""

from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import PERCENTAGE, UnitOfInformation, UnitOfTime
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import (
    CONF_BUDGET,
    CONF_FALLBACK,
    CONF_KEEP_MB,
    CONF_KEEP_OTHERS,
    CONF_KEEP_RECOGNIZED,
    CONF_KEEP_VISITS,
    CONF_LATE,
    CONF_MARGIN,
    CONF_THRESHOLD,
    DEFAULT_LATE,
)
from .entries import MB
from .naming import FORGET_EVERYONE, Removal, async_forget_everyone, is_confirmed
from .recognition.decision import DEFAULT_MARGIN, DEFAULT_THRESHOLD, LEAST_THRESHOLD
from .recognition.errors import RecognitionError
from .recognition.prices import CURRENCY
from .visits import VISITS, Retention

CONF_CONFIRM: Final = "confirm"

LARGEST_MARGIN: Final = 20  # beyond it everybody would be unknown

LATEST: Final = 60  # s: whoever is still there by then will ring again
STEPS: Final = ("decision", "limits", "retention", "forget_everyone")

USUAL: Final = Retention()


def _percent(least: float, most: float) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(
            min=least,
            max=most,
            step=0.5,
            unit_of_measurement=PERCENTAGE,
            mode=NumberSelectorMode.SLIDER,
        )
    )


def _number(most: int, unit: str | None = None) -> NumberSelector:
    config = NumberSelectorConfig(min=1, max=most, step=1, mode=NumberSelectorMode.BOX)
    if unit:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


DECISION_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_THRESHOLD, default=DEFAULT_THRESHOLD): _percent(LEAST_THRESHOLD, 100),
        vol.Required(CONF_MARGIN, default=DEFAULT_MARGIN): _percent(0, LARGEST_MARGIN),
    }
)
RETENTION_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_KEEP_RECOGNIZED, default=USUAL.recognized.days): _number(3650, UnitOfTime.DAYS),
        vol.Required(CONF_KEEP_OTHERS, default=USUAL.others.days): _number(3650, UnitOfTime.DAYS),
        vol.Required(CONF_KEEP_VISITS, default=USUAL.visits): _number(10_000),
        vol.Required(CONF_KEEP_MB, default=USUAL.size // MB): _number(10_000, UnitOfInformation.MEGABYTES),
    }
)
LIMITS_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(CONF_BUDGET): NumberSelector(
            NumberSelectorConfig(min=0, step=0.01, unit_of_measurement=CURRENCY, mode=NumberSelectorMode.BOX)
        ),
        vol.Required(CONF_FALLBACK, default=True): BooleanSelector(),
        vol.Required(CONF_LATE, default=DEFAULT_LATE): _number(LATEST, UnitOfTime.SECONDS),
    }
)
CONFIRM_SCHEMA: Final = vol.Schema({vol.Required(CONF_CONFIRM): TextSelector()})


class RecognitionOptionsFlow(OptionsFlow):
    """Change the options, or leave nothing."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to change."""
        return self.async_show_menu(step_id="init", menu_options=list(STEPS))

    async def async_step_decision(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for threshold and margin."""
        return self._options("decision", DECISION_SCHEMA, user_input)

    async def async_step_limits(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what AWS may cost, who answers when it cannot, and when that is too late."""
        return self._options("limits", LIMITS_SCHEMA, user_input)

    async def async_step_retention(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how long visits are kept; show how many there are."""
        usage = self.hass.data[VISITS].usage
        oldest = dt_util.as_local(usage.oldest).date().isoformat() if usage.oldest else "-"
        shown = {"visits": str(usage.visits), "size": f"{usage.size / MB:.1f}", "oldest": oldest}
        return self._options("retention", RETENTION_SCHEMA, user_input, shown)

    async def async_step_forget_everyone(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Forget everyone, once that is confirmed in writing."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if not is_confirmed(user_input[CONF_CONFIRM]):
                errors = {CONF_CONFIRM: "not_confirmed"}
            else:
                try:
                    return self._forgotten(await async_forget_everyone(self.hass))
                except RecognitionError as err:
                    errors = {"base": err.key}
        return self.async_show_form(
            step_id="forget_everyone",
            data_schema=CONFIRM_SCHEMA,
            description_placeholders={"phrase": FORGET_EVERYONE},
            errors=errors,
        )

    def _options(
        self,
        step_id: str,
        schema: vol.Schema,
        user_input: dict[str, Any] | None,
        shown: dict[str, str] | None = None,
    ) -> ConfigFlowResult:
        """Ask for some of the options; the others stay."""
        options = self.config_entry.options
        if user_input is not None:
            kept = {option: value for option, value in options.items() if option not in schema.schema}
            return self.async_create_entry(data=kept | user_input)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, options),
            description_placeholders=shown,
        )

    def _forgotten(self, removal: Removal) -> ConfigFlowResult:
        reason = "everyone_forgotten"
        if removal.index is None:
            reason = "engine_follows"
        elif removal.index.versions_remain:
            reason = "versions_remain"
        return self.async_abort(
            reason=reason,
            description_placeholders={"people": str(len(removal.persons)), "visits": str(removal.visits)},
        )
