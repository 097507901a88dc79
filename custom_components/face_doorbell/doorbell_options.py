"""The options of a doorbell: what it sounds and when not, what it answers to each outcome, and where it is shown."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow
from homeassistant.const import UnitOfTime
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TimeSelector,
)
import voluptuous as vol

from .answers import CONF_ANSWERS, chosen_answer
from .bridge import BridgeConnectionError, BridgeError, BridgeRefusedError, Pattern
from .chime import AS_ON_THE_PI, CONF_QUIET_FROM, CONF_QUIET_UNTIL, CONF_SECONDS, CONF_TONE, chosen_chime
from .const import CONF_DASHBOARD
from .coordinator import DoorbellCoordinator
from .model import Outcome

LONGEST_CHIME_S: Final = 10  # the bridge lets a press sound no longer
LONGEST_ANSWER_S: Final = 60  # the bridge lets the buzzer sound no longer

STEPS: Final = ("chime", "answers", "dashboard")

DASHBOARD_SCHEMA: Final = vol.Schema({vol.Required(CONF_DASHBOARD, default=True): BooleanSelector()})


def _seconds(longest: float) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(
            min=0.1,
            max=longest,
            step=0.1,
            unit_of_measurement=UnitOfTime.SECONDS,
            mode=NumberSelectorMode.BOX,
        )
    )


def _choice(options: Sequence[str], texts: str) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(options=list(options), translation_key=texts, mode=SelectSelectorMode.DROPDOWN)
    )


class DoorbellOptionsFlow(OptionsFlow):
    """Change the options of a doorbell."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to change."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="doorbell_not_running")
        return self.async_show_menu(step_id="init", menu_options=list(STEPS))

    async def async_step_chime(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what sounds at a press, and when nothing does."""
        if not self._door.takes_chime:
            return self.async_abort(
                reason="bridge_too_old_for_chime",
                description_placeholders={"name": self.config_entry.title},
            )
        errors: dict[str, str] = {}
        if user_input is not None and not (errors := await self._tell(user_input)):
            return self._save({key: user_input.get(key) for key in CHIME_OPTIONS})
        tones = (AS_ON_THE_PI, *self._door.tones)
        shown = dict(user_input or self.config_entry.options)
        if shown.get(CONF_TONE) not in tones:  # another buzzer is wired now
            shown.pop(CONF_TONE, None)
        schema = vol.Schema(
            {
                vol.Required(CONF_TONE, default=AS_ON_THE_PI): _choice(tones, "tone"),
                vol.Optional(CONF_SECONDS): _seconds(LONGEST_CHIME_S),
                vol.Optional(CONF_QUIET_FROM): TimeSelector(),
                vol.Optional(CONF_QUIET_UNTIL): TimeSelector(),
            }
        )
        return self.async_show_form(
            step_id="chime",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            description_placeholders={"zone": self.hass.config.time_zone},
            errors=errors,
        )

    async def async_step_answers(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what LEDs and buzzer answer to each outcome."""
        if user_input is not None:
            return self._save({CONF_ANSWERS: user_input})
        lights = _choice(list(Pattern), "pattern")
        outputs = {
            "green": lights,
            "red": lights,
            "buzzer": _choice(self._door.tones, "tone"),
            "seconds": _seconds(LONGEST_ANSWER_S),
        }
        options = self.config_entry.options
        schema = {}
        for outcome in Outcome:
            usual = asdict(chosen_answer(options, outcome))
            if usual["buzzer"] not in self._door.tones:  # another buzzer is wired now
                usual["buzzer"] = Pattern.OFF
            fields = {vol.Required(key, default=usual[key]): choice for key, choice in outputs.items()}
            schema[vol.Required(outcome.value)] = section(vol.Schema(fields))
        return self.async_show_form(step_id="answers", data_schema=vol.Schema(schema))

    async def async_step_dashboard(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether it is on the dashboard in the sidebar."""
        if user_input is not None:
            return self._save(user_input)
        options = self.config_entry.options
        return self.async_show_form(
            step_id="dashboard", data_schema=self.add_suggested_values_to_schema(DASHBOARD_SCHEMA, options)
        )

    @property
    def _door(self) -> DoorbellCoordinator:
        door: DoorbellCoordinator = self.config_entry.runtime_data
        return door

    def _save(self, chosen: dict[str, Any]) -> ConfigFlowResult:
        """Change some of the options; the others stay, and None is no choice."""
        options = {**self.config_entry.options, **chosen}
        return self.async_create_entry(
            data={key: value for key, value in options.items() if value is not None}
        )

    async def _tell(self, options: dict[str, Any]) -> dict[str, str]:
        """Tell the bridge what sounds from now on; return what is wrong with it. One that is away hears it later."""
        if (CONF_QUIET_FROM in options) != (CONF_QUIET_UNTIL in options):
            return {"base": "quiet_hours_incomplete"}
        chime = chosen_chime(options, self.hass.config.time_zone)
        try:
            if chime is not None:
                await self._door.async_choose_chime(chime)
        except BridgeConnectionError:
            return {}
        except BridgeRefusedError as refused:
            return {"base": "unknown_zone" if refused.code == "unknown_zone" else "chime_refused"}
        except BridgeError:
            return {"base": "chime_refused"}
        return {}


CHIME_OPTIONS: Final = (CONF_TONE, CONF_SECONDS, CONF_QUIET_FROM, CONF_QUIET_UNTIL)
