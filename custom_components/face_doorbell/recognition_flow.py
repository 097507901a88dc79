"""The config flow of the recognition: choose an engine, check it, keep its settings."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol
from yarl import URL

from .bridge import FacesState
from .budget import async_get_budget
from .const import (
    CONF_ACCESS_KEY_ID,
    CONF_BUCKET,
    CONF_COLLECTION,
    CONF_ENDPOINT_URL,
    CONF_ENGINE,
    CONF_KIND,
    CONF_MODE,
    CONF_REGION,
    CONF_SECRET_ACCESS_KEY,
    CONF_SESSION_TOKEN,
    DOMAIN,
    ENGINE_LOCAL,
    ENGINE_REKOGNITION,
    EntryKind,
)
from .engines import aws_settings
from .entries import doorbell_entries
from .entry_flow import EntryFlow
from .leaving import async_remove_aws_data, is_left, removed
from .recognition import rekognition
from .recognition.errors import EngineSetupError, EngineUnavailableError, RecognitionError
from .recognition.policy import BUCKET_NAME, REGION, policy_json
from .recognition.rekognition import REGIONS, AwsSettings, Mode
from .trouble import async_take_back

TITLE: Final = f"component.{DOMAIN}.config.step.user.menu_options.recognition"
UNIQUE_ID: Final = "recognition"  # there is one only
DEFAULT_REGION: Final = "eu-west-1"  # allows ten times the requests of its neighbours
DEFAULT_COLLECTION: Final = "face_doorbell"
SECTION_ADVANCED: Final = "advanced"
CONF_CREATE_BUCKET: Final = "create_bucket"  # only in the form, once the bucket is missing
CONF_REMOVE: Final = "remove_aws_data"

# Where the text of an engine's error belongs; what is not here concerns the form as a whole.
ERROR_FIELDS: Final[Mapping[str, str]] = {
    "invalid_auth": CONF_SECRET_ACCESS_KEY,
    "wrong_region": CONF_REGION,
    "bucket_missing": CONF_BUCKET,
    "bucket_taken": CONF_BUCKET,
    "invalid_bucket": CONF_BUCKET,
    "invalid_collection": CONF_COLLECTION,
}

# Fields that need not be filled in: an empty one is as if it was not there.
MAY_BE_EMPTY: Final = frozenset({CONF_SECRET_ACCESS_KEY, CONF_SESSION_TOKEN, CONF_ENDPOINT_URL})

_SECRET: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_TEXT: Final = TextSelector(TextSelectorConfig(autocomplete="off"))

KEYS_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_ACCESS_KEY_ID): _TEXT,
        vol.Required(CONF_SECRET_ACCESS_KEY): _SECRET,
        vol.Optional(CONF_SESSION_TOKEN): _SECRET,
    }
)

ADVANCED_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(CONF_SESSION_TOKEN): _SECRET,
        vol.Optional(CONF_ENDPOINT_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
    }
)

LEAVE_SCHEMA: Final = vol.Schema({vol.Required(CONF_REMOVE, default=False): BooleanSelector()})


class RecognitionSteps(EntryFlow):
    """The steps of the recognition."""

    _changed: Mapping[str, Any]  # what the entry will be

    async def async_step_recognition(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which engine recognizes."""
        if self.source == SOURCE_USER:
            await self.async_set_unique_id(UNIQUE_ID, raise_on_progress=False)
            self._abort_if_unique_id_configured()
        return self.async_show_menu(step_id="recognition", menu_options=[ENGINE_LOCAL, ENGINE_REKOGNITION])

    async def async_step_local(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take the engine of the doorbells, if one of them can do it now."""
        try:
            self._check_local()
        except RecognitionError as err:
            return self.async_show_form(step_id="local", errors={"base": err.key})
        return await self._save({CONF_ENGINE: ENGINE_LOCAL})

    async def async_step_rekognition(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the settings of AWS and try them."""
        stored = self._stored_settings()
        schema = _settings_schema(keep_secret=bool(stored))
        errors: dict[str, str] = {}
        placeholders: Mapping[str, str] = {}
        shown = user_input or _without_secrets(stored)
        if user_input is not None:
            data = _entered(user_input, stored)
            try:
                if data.pop(CONF_CREATE_BUCKET, False):
                    await rekognition.create_bucket(aws_settings(data))
                await _check(self.hass, data)
            except RecognitionError as err:
                errors, placeholders = {ERROR_FIELDS.get(err.key, "base"): err.key}, err.placeholders
                if err.key == "bucket_missing":
                    schema = schema.extend(
                        {vol.Optional(CONF_CREATE_BUCKET, default=False): BooleanSelector()}
                    )
            else:
                return await self._save({CONF_ENGINE: ENGINE_REKOGNITION, **data})
        return self.async_show_form(
            step_id="rekognition",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            description_placeholders={**placeholders, "policy": _policy(shown)},
            errors=errors,
        )

    async def async_step_leave_aws(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer to delete what the settings so far have put into AWS, then change them."""
        entry = self._get_reconfigure_entry()
        left, errors = dict(entry.data), dict[str, str]()
        placeholders = {field: left[field] for field in (CONF_BUCKET, CONF_COLLECTION, CONF_REGION)}
        if user_input is not None:
            if not user_input[CONF_REMOVE]:
                return self._changed_to(entry, self._changed)
            # Nobody may put it there again meanwhile.
            await self.hass.config_entries.async_unload(entry.entry_id)
            try:
                report = await async_remove_aws_data(self.hass, left)
            except RecognitionError as err:
                await self.hass.config_entries.async_setup(entry.entry_id)
                errors, placeholders = {"base": err.key}, placeholders | err.placeholders
            else:
                self._changed_to(entry, self._changed)
                reason = "aws_versions_remain" if report.versions_remain else "aws_data_removed"
                return self.async_abort(reason=reason, description_placeholders=removed(report, left))
        return self.async_show_form(
            step_id="leave_aws",
            data_schema=self.add_suggested_values_to_schema(LEAVE_SCHEMA, user_input),
            description_placeholders=placeholders,
            errors=errors,
        )

    async def async_step_reauth_recognition(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for other keys and try them with the settings that stay."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        placeholders: Mapping[str, str] = {}
        if user_input is not None:
            kept = {field: value for field, value in entry.data.items() if field != CONF_SESSION_TOKEN}
            data = {**kept, **_entered(user_input, {})}
            try:
                await _check(self.hass, data)
            except RecognitionError as err:
                field = ERROR_FIELDS.get(err.key, "base")
                errors = {field if field in KEYS_SCHEMA.schema else "base": err.key}
                placeholders = err.placeholders
            else:
                return self._changed_to(entry, data)
        shown = user_input or {CONF_ACCESS_KEY_ID: entry.data[CONF_ACCESS_KEY_ID]}
        return self.async_show_form(
            step_id="reauth_recognition",
            data_schema=self.add_suggested_values_to_schema(KEYS_SCHEMA, shown),
            description_placeholders=placeholders,
            errors=errors,
        )

    def _check_local(self) -> None:
        """Raise unless a doorbell is connected that can find and embed faces."""
        connected = [
            entry.runtime_data for entry in doorbell_entries(self.hass) if entry.runtime_data.connected
        ]
        if not connected:
            raise EngineUnavailableError("no_doorbell")
        if all(doorbell.data.bridge.faces is not FacesState.OK for doorbell in connected):
            raise EngineSetupError("no_faces")

    def _stored_settings(self) -> Mapping[str, Any]:
        """Return the settings of AWS that are to be changed; empty when there are none."""
        if self.source != SOURCE_RECONFIGURE:
            return {}
        data = self._get_reconfigure_entry().data
        return data if data[CONF_ENGINE] == ENGINE_REKOGNITION else {}

    async def _save(self, settings: Mapping[str, Any]) -> ConfigFlowResult:
        self._changed = {CONF_KIND: EntryKind.RECOGNITION, **settings}
        if self.source != SOURCE_RECONFIGURE:
            texts = await async_get_translations(self.hass, self.hass.config.language, "config", {DOMAIN})
            return self.async_create_entry(title=texts[TITLE], data=self._changed)
        entry = self._get_reconfigure_entry()
        if is_left(entry.data, self._changed):
            return await self.async_step_leave_aws()
        return self._changed_to(entry, self._changed)

    def _changed_to(self, entry: ConfigEntry, data: Mapping[str, Any]) -> ConfigFlowResult:
        """Give the entry settings that were tried: what was wrong with the ones before is of no interest any more."""
        async_take_back(self.hass)
        return self._update(entry, data)


def _settings_schema(*, keep_secret: bool) -> vol.Schema:
    """Return the form of the settings; `keep_secret`: there is a stored one to fall back on."""
    secret = vol.Optional if keep_secret else vol.Required
    return vol.Schema(
        {
            vol.Required(CONF_ACCESS_KEY_ID): _TEXT,
            secret(CONF_SECRET_ACCESS_KEY): _SECRET,
            vol.Required(CONF_REGION, default=DEFAULT_REGION): SelectSelector(
                SelectSelectorConfig(options=list(REGIONS), mode=SelectSelectorMode.DROPDOWN)
            ),
            vol.Required(CONF_BUCKET): _TEXT,
            vol.Required(CONF_COLLECTION, default=DEFAULT_COLLECTION): _TEXT,
            vol.Required(CONF_MODE, default=Mode.SEARCH): SelectSelector(
                SelectSelectorConfig(options=list(Mode), translation_key=CONF_MODE)
            ),
            vol.Required(SECTION_ADVANCED): section(ADVANCED_SCHEMA, {"collapsed": True}),
        }
    )


def _entered(user_input: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form's values as they are stored: without blanks around them and fields that were left empty.

    If no secret was entered, it is the stored one, with the token that belongs to it.
    """
    fields = {**user_input, **user_input.get(SECTION_ADVANCED, {})}
    fields.pop(SECTION_ADVANCED, None)
    entered = {field: value.strip() if isinstance(value, str) else value for field, value in fields.items()}
    entered = {field: value for field, value in entered.items() if value or field not in MAY_BE_EMPTY}
    if entered.get(CONF_SECRET_ACCESS_KEY):
        return entered
    kept = {field: stored[field] for field in (CONF_SECRET_ACCESS_KEY, CONF_SESSION_TOKEN) if field in stored}
    return {CONF_SECRET_ACCESS_KEY: "", **kept, **entered}


def _without_secrets(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be shown of stored settings, as the form wants it."""
    shown = {key: value for key, value in stored.items() if key != CONF_SECRET_ACCESS_KEY}
    return {**shown, SECTION_ADVANCED: {CONF_ENDPOINT_URL: stored.get(CONF_ENDPOINT_URL)}}


def _policy(shown: Mapping[str, Any]) -> str:
    """Return the policy that the access key needs, as far as the form is filled in."""
    return policy_json(
        AwsSettings(
            access_key_id="",
            secret_access_key="",
            region=shown.get(CONF_REGION, REGION),
            bucket=shown.get(CONF_BUCKET, BUCKET_NAME),
            collection=shown.get(CONF_COLLECTION, DEFAULT_COLLECTION),
        )
    )


async def _check(hass: HomeAssistant, data: Mapping[str, Any]) -> None:
    """Try settings; raises RecognitionError."""
    endpoint = data.get(CONF_ENDPOINT_URL)
    if endpoint and not URL(endpoint).absolute:
        raise EngineSetupError("invalid_endpoint")
    budget = await async_get_budget(hass)
    await rekognition.check(aws_settings(data), budget.usage)
