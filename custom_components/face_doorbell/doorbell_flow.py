"""The config flow of a doorbell: find the bridge, show its certificate, pair."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Final

from homeassistant.config_entries import SOURCE_REAUTH, ConfigFlowResult
from homeassistant.const import CONF_CODE, CONF_HOST, CONF_ID, CONF_NAME, CONF_PORT, CONF_TOKEN
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.util.network import is_host_valid
import voluptuous as vol

from .bridge import (
    BridgeAnswerError,
    BridgeCertificateError,
    BridgeClient,
    BridgeError,
    BridgeInfo,
    BridgeRefusedError,
    BridgeVersionError,
    Pairing,
)
from .const import CONF_FINGERPRINT, CONF_KIND, DEFAULT_PORT, DOMAIN, EntryKind
from .entries import doorbell_entries
from .entry_flow import EntryFlow

SHOWN_BYTES: Final = 8  # of the fingerprint: enough to compare by eye, far too many to forge

# Without quotes: descriptions, which are Markdown, have them in their text, and errors are plain text.
PAIR_COMMAND: Final = "sudo face-doorbell-bridge pair"
PRESS_COMMAND: Final = "sudo face-doorbell-bridge pair --press"

# The refusals of POST /v1/pair, whose words are the keys of their texts.
_PAIR_REFUSALS: Final = frozenset(
    {"wrong_code", "pairing_closed", "not_pressed", "contested", "too_many_tries"}
)

PRESS_TRIES: Final = 5  # of 25 s each: the two minutes that the bridge gives its owner

_NO_FIELD_TO_TYPE: Final = TextSelector(TextSelectorConfig(autocomplete="off"))

ADDRESS_SCHEMA: Final = vol.Schema(
    {vol.Required(CONF_HOST): _NO_FIELD_TO_TYPE, vol.Required(CONF_PORT, default=DEFAULT_PORT): cv.port}
)
CODE_SCHEMA: Final = vol.Schema({vol.Optional(CONF_CODE): _NO_FIELD_TO_TYPE})

type Errors = dict[str, str]


class DoorbellSteps(EntryFlow):
    """The steps of a doorbell."""

    _address: Mapping[str, Any]
    _info: BridgeInfo
    _warned_of: str | None = None
    _pressing: asyncio.Task[Pairing] | None = None

    async def async_step_doorbell(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the bridge is."""
        errors: Errors = {}
        if user_input is not None and not (errors := await self._look(user_input)):
            await self.async_set_unique_id(self._info.id, raise_on_progress=False)
            self._abort_if_configured(updates=self._address)
            return await self.async_step_pair()
        return self._ask_address("doorbell", user_input, errors)

    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Take a bridge that has announced itself, or the new address of a known one."""
        bridge_id = discovery_info.properties.get("id")
        if not bridge_id or not discovery_info.port:
            return self.async_abort(reason="not_a_bridge")
        self._address = {CONF_HOST: discovery_info.host, CONF_PORT: discovery_info.port}
        told = self._tell_doorbell(bridge_id)
        await self.async_set_unique_id(bridge_id)
        self._abort_if_configured(updates={} if told else self._address)
        name = discovery_info.properties.get("name") or discovery_info.name.partition(".")[0]
        self.context["title_placeholders"] = {CONF_NAME: name}
        return await self.async_step_zeroconf_confirm()

    def _tell_doorbell(self, bridge_id: str) -> bool:
        """Tell a doorbell that is set up where it was announced, to try that; return whether it is set up."""
        for entry in doorbell_entries(self.hass):
            if entry.unique_id == bridge_id:
                entry.runtime_data.async_announced(self._address[CONF_HOST], self._address[CONF_PORT])
                return True
        return False

    async def async_step_zeroconf_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the discovered bridge is wanted."""
        errors: Errors = {}
        if user_input is not None and not (errors := await self._look(self._address)):
            return await self.async_step_pair()
        return self.async_show_form(
            step_id="zeroconf_confirm",
            description_placeholders={
                **self.context["title_placeholders"],
                CONF_HOST: self._address[CONF_HOST],
            },
            errors=errors,
        )

    async def async_step_reauth_doorbell(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether to pair again; a bridge that was set up anew has another certificate, of which we warn."""
        entry = self._get_reauth_entry()
        errors: Errors = {}
        if user_input is not None and not (errors := await self._look(entry.data)):
            if self._info.fingerprint in (entry.data[CONF_FINGERPRINT], self._warned_of):
                return await self.async_step_pair()
            self._warned_of = self._info.fingerprint
            errors = {"base": "set_up_anew"}
        return self.async_show_form(step_id="reauth_doorbell", errors=errors)

    async def async_step_reconfigure_doorbell(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where the bridge is now; another bridge is refused."""
        entry = self._get_reconfigure_entry()
        await self.async_set_unique_id(entry.unique_id)
        errors: Errors = {}
        if user_input is not None and not (errors := await self._look(user_input)):
            if self._info.fingerprint == entry.data[CONF_FINGERPRINT]:
                return self._update(entry, {**entry.data, **self._address})
            errors = {"base": "certificate_changed"}
        return self._ask_address("reconfigure_doorbell", user_input or entry.data, errors)

    async def async_step_pair(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show whom we are about to trust, and ask for the owner's code; without one, the doorbell is pressed."""
        if user_input is None:
            return self._ask_code()
        code = user_input.get(CONF_CODE, "").strip()
        if not code:
            return await self.async_step_press()
        return await self._trade(self._client.pair(code, self._own_name))

    async def async_step_press(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Wait until the doorbell is pressed."""
        if self._pressing is None:
            # In the background: nothing else has to wait for people.
            self._pressing = self.hass.async_create_background_task(
                self._pair_by_press(), f"{DOMAIN} pairing by press"
            )
        if not self._pressing.done():
            return self.async_show_progress(
                step_id="press",
                progress_action="press",
                description_placeholders={CONF_NAME: self._info.name},
                progress_task=self._pressing,
            )
        return self.async_show_progress_done(next_step_id="pressed")

    async def async_step_pressed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with what came of it."""
        pressing, self._pressing = self._pressing, None
        if pressing is None:
            return self._ask_code()
        return await self._trade(pressing)

    async def _trade(self, pairing: Awaitable[Pairing]) -> ConfigFlowResult:
        """Go on with a pairing, or ask again and say why."""
        try:
            return self._paired(await pairing)
        except BridgeCertificateError:
            return await self._start_over()
        except BridgeRefusedError as refused:
            return self._ask_code(_refusal(refused), refused.retry_after or 0)
        except BridgeError as err:
            return self._ask_code({"base": _error_key(err)})

    def _ask_code(self, errors: Errors | None = None, wait: int = 0) -> ConfigFlowResult:
        return self.async_show_form(
            step_id="pair",
            data_schema=CODE_SCHEMA,
            description_placeholders={
                CONF_NAME: self._info.name,
                CONF_FINGERPRINT: _shown(self._info.fingerprint),
                "command": PAIR_COMMAND,
                "press_command": PRESS_COMMAND,
                "wait": str(wait),
            },
            errors=errors or {},
        )

    def _ask_address(self, step_id: str, shown: Mapping[str, Any] | None, errors: Errors) -> ConfigFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(ADDRESS_SCHEMA, shown),
            errors=errors,
        )

    async def _look(self, address: Mapping[str, Any]) -> Errors:
        """Remember who answers at an address; return what is wrong with it."""
        host, port = address[CONF_HOST].strip(), address[CONF_PORT]
        if not is_host_valid(host):
            return {CONF_HOST: "invalid_host"}
        try:
            info = await BridgeClient.get_info(async_get_clientsession(self.hass), host, port)
        except BridgeRefusedError as refused:
            return (
                {CONF_HOST: "host_refused"} if refused.code == "forbidden" else {"base": _error_key(refused)}
            )
        except BridgeError as err:
            return {"base": _error_key(err)}
        if not self._is_wanted(info.id):
            return {"base": "wrong_bridge"}
        self._address = {CONF_HOST: host, CONF_PORT: port}
        self._info = info
        return {}

    def _is_wanted(self, bridge_id: str) -> bool:
        """Whether the flow is about this bridge; paired again may be any that has come in the place of the old one."""
        if self.source != SOURCE_REAUTH:
            return self.unique_id in (None, bridge_id)
        owner = self.hass.config_entries.async_entry_for_domain_unique_id(self.handler, bridge_id)
        return owner in (None, self._get_reauth_entry())

    async def _start_over(self) -> ConfigFlowResult:
        """Ask again where the bridge is: another certificate than the one that was shown is another bridge."""
        errors = {"base": "certificate_changed"}
        if self.source == SOURCE_REAUTH:
            return self.async_show_form(step_id="reauth_doorbell", errors=errors)
        await self.async_set_unique_id(None)
        return self._ask_address("doorbell", self._address, errors)

    @property
    def _client(self) -> BridgeClient:
        # Who pairs again shows the old token, so that the bridge hands over what it has kept since.
        token = self._get_reauth_entry().data[CONF_TOKEN] if self.source == SOURCE_REAUTH else ""
        return BridgeClient(
            async_get_clientsession(self.hass),
            self._address[CONF_HOST],
            self._address[CONF_PORT],
            self._info.fingerprint,
            token,
        )

    @property
    def _own_name(self) -> str:
        """The name that the bridge shows in its list of clients."""
        return self.hass.config.location_name

    async def _pair_by_press(self) -> Pairing:
        for tries_left in reversed(range(PRESS_TRIES)):
            try:
                return await self._client.pair_by_press(self._own_name)
            except BridgeRefusedError as refused:
                if refused.code != "not_pressed" or not tries_left:
                    raise
        raise AssertionError("unreachable")

    def _paired(self, pairing: Pairing) -> ConfigFlowResult:
        data = {
            **self._address,
            CONF_KIND: EntryKind.DOORBELL,
            CONF_TOKEN: pairing.token,
            CONF_FINGERPRINT: self._info.fingerprint,
            CONF_ID: self._info.id,
            CONF_NAME: self._info.name,
        }
        if self.source == SOURCE_REAUTH:
            entry = self._get_reauth_entry()
            # To the household it is the same doorbell, with its entities and visits, whichever bridge it has now.
            return self._update(entry, {**data, CONF_ID: entry.data[CONF_ID]}, unique_id=self._info.id)
        return self.async_create_entry(title=self._info.name, data=data)


def _shown(fingerprint: str) -> str:
    """Return the first bytes of a fingerprint in groups of two, as the bridge prints them."""
    start = fingerprint[: 2 * SHOWN_BYTES].upper()
    return " ".join(start[at : at + 4] for at in range(0, len(start), 4))


def _refusal(refused: BridgeRefusedError) -> Errors:
    if refused.code not in _PAIR_REFUSALS:
        return {"base": _error_key(refused)}
    return {CONF_CODE if refused.code == "wrong_code" else "base": refused.code}


def _error_key(err: BridgeError) -> str:
    """Return the key of the text for an error of a bridge that is not paired yet."""
    match err:
        case BridgeCertificateError():
            return "certificate_changed"
        case BridgeVersionError():
            return "bridge_too_new" if err.newer else "bridge_too_old"
        case BridgeAnswerError() | BridgeRefusedError():
            return "not_a_bridge"
        case _:
            return "bridge_unreachable"
