"""Finding a doorbell, pairing with it, and what can go wrong on the way; the bridge is the real one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address
import json
from pathlib import Path
import ssl
from typing import Any, Self

from aiohttp import web
from homeassistant.config_entries import SOURCE_IGNORE, SOURCE_ZEROCONF, ConfigEntryState, FlowType
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_doorbell.bridge import BridgeClient, BridgeRefusedError
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.visits import VISITS
from pi_bridge import pairing
from pi_bridge.certificate import Certificate, load_or_make
from pi_bridge.control import ask
from pi_bridge.model import Output, Pattern
from tests.bridge.doubles import RunningBridge, running_bridge

from .flow_tools import Step, add_doorbell, address, answer, choose, start, state
from .helpers import until, until_acked


@pytest.fixture
async def other_bridge(tmp_path: Path) -> AsyncIterator[RunningBridge]:
    """Another doorbell."""
    async with running_bridge(tmp_path / "other") as running:
        yield running


def clients(bridge: RunningBridge) -> list[str]:
    """Return the names of those who are paired with a bridge."""
    return [client.name for client in bridge.running.bridge.clients.values()]


def assert_nothing_made(hass: HomeAssistant, bridge: RunningBridge) -> None:
    assert hass.config_entries.async_entries(DOMAIN) == []
    assert clients(bridge) == []


async def to_pair(hass: HomeAssistant, bridge: RunningBridge) -> Step:
    """Walk to the pairing code."""
    step = await start(hass, choose("doorbell"), address(bridge))
    assert step["step_id"] == "pair"
    return step


async def pair(hass: HomeAssistant, step: Step, bridge: RunningBridge) -> None:
    """Pair, to show that a flow has recovered."""
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert step["type"] == "create_entry"
    assert step["result"].unique_id == bridge.bridge_id
    assert state(step["result"]) is ConfigEntryState.LOADED


async def test_a_doorbell_is_paired(hass: HomeAssistant, bridge: RunningBridge) -> None:
    menu = await start(hass)
    assert menu["menu_options"] == ["doorbell", "recognition"]

    step = await answer(hass, menu, choose("doorbell"))
    assert step["step_id"] == "doorbell"
    assert step["data_schema"]({"host": "x"})["port"] == 8467

    step = await answer(hass, step, address(bridge))
    assert step["step_id"] == "pair"
    shown = step["description_placeholders"]
    assert shown["fingerprint"] == bridge.running.certificate.short_fingerprint
    assert shown["name"] == bridge.config.name

    step = await answer(hass, step, {"code": f" {bridge.pairing_code().lower()} "})
    assert step["type"] == "create_entry"
    entry = step["result"]
    assert entry.title == bridge.config.name
    assert entry.unique_id == bridge.bridge_id
    token = entry.data["token"]
    assert entry.data == {
        "kind": "doorbell",
        "host": bridge.host,
        "port": bridge.port,
        "token": token,
        "fingerprint": bridge.fingerprint,
        "id": bridge.bridge_id,
        "name": bridge.config.name,
    }
    assert state(entry) is ConfigEntryState.LOADED
    assert clients(bridge) == [hass.config.location_name]


async def test_the_first_doorbell_leads_to_recognition(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await to_pair(hass, bridge)
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    flow_type, flow_id = step["next_flow"]
    assert flow_type is FlowType.CONFIG_FLOW
    following = hass.config_entries.flow.async_get(flow_id)
    assert following["step_id"] == "recognition"


async def test_a_doorbell_beside_recognition_asks_nothing_more(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    MockConfigEntry(
        domain=DOMAIN, unique_id="recognition", data={"kind": "recognition", "engine": "local"}
    ).add_to_hass(hass)
    step = await start(hass)
    assert step["step_id"] == "doorbell"
    step = await answer(hass, step, address(bridge))
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert step["type"] == "create_entry"
    assert "next_flow" not in step


async def test_a_wrong_code_can_be_corrected(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await to_pair(hass, bridge)
    bridge.pairing_code()
    step = await answer(hass, step, {"code": "2222-2222"})
    assert step["errors"] == {"code": "wrong_code"}
    assert_nothing_made(hass, bridge)
    await pair(hass, step, bridge)


async def test_closed_pairing_can_be_opened(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await to_pair(hass, bridge)
    step = await answer(hass, step, {"code": "2222-2222"})
    assert step["errors"] == {"base": "pairing_closed"}
    assert_nothing_made(hass, bridge)
    await pair(hass, step, bridge)


async def test_too_many_tries_say_how_long_to_wait(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await to_pair(hass, bridge)
    while step["errors"] != {"base": "too_many_tries"}:
        step = await answer(hass, step, {"code": "2222-2222"})
    assert 0 < int(step["description_placeholders"]["wait"]) <= 60
    assert_nothing_made(hass, bridge)
    await bridge.restart()  # forgets the tries, as a minute does
    await pair(hass, step, bridge)


async def test_a_silent_bridge_can_be_tried_again(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await bridge.stop()
    step = await start(hass, choose("doorbell"), address(bridge))
    assert step["errors"] == {"base": "bridge_unreachable"}

    await bridge.start()
    step = await answer(hass, step, address(bridge))
    assert step["step_id"] == "pair"

    await bridge.stop()
    step = await answer(hass, step, {"code": "2222-2222"})
    assert step["errors"] == {"base": "bridge_unreachable"}

    await bridge.start()
    assert_nothing_made(hass, bridge)
    await pair(hass, step, bridge)


async def test_another_certificate_than_the_one_shown_gets_no_code(
    hass: HomeAssistant, bridge: RunningBridge, tmp_path: Path
) -> None:
    step = await to_pair(hass, bridge)
    shown = step["description_placeholders"]["fingerprint"]
    await bridge.stop()
    bridge.config = replace(bridge.config, storage=replace(bridge.config.storage, path=tmp_path / "stranger"))
    await bridge.start()
    code = bridge.pairing_code()

    step = await answer(hass, step, {"code": code})
    assert step["step_id"] == "doorbell"
    assert step["errors"] == {"base": "certificate_changed"}
    assert_nothing_made(hass, bridge)

    step = await answer(hass, step, address(bridge))
    assert step["step_id"] == "pair"
    assert step["description_placeholders"]["fingerprint"] != shown
    step = await answer(hass, step, {"code": code})  # nobody has used it up
    assert step["type"] == "create_entry"


async def test_what_is_no_host_is_said_at_the_field(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await start(hass, choose("doorbell"))
    for host in ("https://doorbell.local", "doorbell:8467", "door bell", ""):
        step = await answer(hass, step, {"host": host, "port": bridge.port})
        assert step["errors"] == {"host": "invalid_host"}
    step = await answer(hass, step, {"host": f" {bridge.host} ", "port": bridge.port})
    assert step["step_id"] == "pair"


async def test_the_same_doorbell_twice_only_moves(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)
    await _serve_on_another_port(bridge)
    step = await start(hass, choose("doorbell"), address(bridge))
    assert (step["type"], step["reason"]) == ("abort", "already_configured")
    assert entry.data["port"] == bridge.port
    await hass.async_block_till_done()
    assert state(entry) is ConfigEntryState.LOADED
    assert hass.config_entries.async_entries(DOMAIN) == [entry]


async def _serve_on_another_port(bridge: RunningBridge) -> None:
    await bridge.stop()
    bridge.config = replace(bridge.config, server=replace(bridge.config.server, port=0))
    await bridge.start()


# Strangers at the address


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """The certificate of something that is no bridge of ours."""
    return load_or_make(tmp_path / "stranger.pem")


class Stranger:
    """Something else that speaks HTTPS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._runner: web.ServerRunner | None = None
        self.port = 0
        self.heard: list[str] = []
        self.say("")

    def say(self, answer: Any, status: int = 200) -> None:
        """Answer every request with text, or with anything else as JSON."""
        self._status = status
        self._content_type = "text/html" if isinstance(answer, str) else "application/json"
        self._body = answer if isinstance(answer, str) else json.dumps(answer)

    async def __aenter__(self) -> Self:
        async def handle(request: web.BaseRequest) -> web.Response:
            self.heard.append(f"{request.url} {request.headers} {await request.text()}")
            return web.Response(status=self._status, text=self._body, content_type=self._content_type)

        self._runner = web.ServerRunner(web.Server(handle))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


async def test_a_stranger_at_the_address_is_told_apart(
    hass: HomeAssistant, bridge: RunningBridge, certificate: Certificate
) -> None:
    step = await start(hass, choose("doorbell"))
    async with Stranger(certificate.context) as stranger:
        for said, status, errors in (
            ("<html>A printer</html>", 200, {"base": "not_a_bridge"}),
            ("<html>Not found</html>", 404, {"base": "not_a_bridge"}),
            ([], 200, {"base": "not_a_bridge"}),
            ({"hello": "world"}, 200, {"base": "not_a_bridge"}),
            ({"id": "9f3c21ab", "api": 2}, 200, {"base": "bridge_too_new"}),
            ({"id": "9f3c21ab", "api": 0}, 200, {"base": "bridge_too_old"}),
            ({"id": "9f3c21ab", "api": 1, "fingerprint": "00"}, 200, {"base": "certificate_changed"}),
            ({"code": "forbidden", "message": "Ask by IP address"}, 403, {"host": "host_refused"}),
        ):
            stranger.say(said, status)
            step = await answer(hass, step, {"host": "127.0.0.1", "port": stranger.port})
            assert step["errors"] == errors, said
    step = await answer(hass, step, address(bridge))
    await pair(hass, step, bridge)


async def test_a_refusal_that_is_not_about_pairing(
    hass: HomeAssistant, bridge: RunningBridge, certificate: Certificate
) -> None:
    async with Stranger(certificate.context) as stranger:
        stranger.say({"id": "9f3c21ab", "name": "Printer", "api": 1, "fingerprint": certificate.fingerprint})
        step = await start(hass, choose("doorbell"), {"host": "127.0.0.1", "port": stranger.port})
        assert step["step_id"] == "pair"
        stranger.say({"code": "busy", "message": ""}, 503)
        step = await answer(hass, step, {"code": "2222-2222"})
    assert step["errors"] == {"base": "not_a_bridge"}
    assert hass.config_entries.async_entries(DOMAIN) == []


# Discovery


def announced(bridge: RunningBridge, **properties: str) -> ZeroconfServiceInfo:
    """Return what the network says of a bridge."""
    return ZeroconfServiceInfo(
        ip_address=ip_address(bridge.host),
        ip_addresses=[ip_address(bridge.host)],
        port=bridge.port,
        hostname="doorbell.local.",
        type="_face-doorbell._tcp.local.",
        name="Front door._face-doorbell._tcp.local.",
        properties=properties,
    )


async def discover(hass: HomeAssistant, info: ZeroconfServiceInfo) -> Step:
    step: Step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_ZEROCONF}, data=info
    )
    await hass.async_block_till_done()
    return step


async def test_a_discovered_doorbell_is_paired(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await discover(hass, announced(bridge, id=bridge.bridge_id))
    assert step["step_id"] == "zeroconf_confirm"
    assert step["description_placeholders"] == {"name": "Front door", "host": bridge.host}
    step = await answer(hass, step, {})
    assert step["step_id"] == "pair"
    await pair(hass, step, bridge)


async def test_a_discovered_doorbell_that_is_gone_can_come_back(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    step = await discover(hass, announced(bridge, id=bridge.bridge_id, name="Back door"))
    assert step["description_placeholders"]["name"] == "Back door"
    await bridge.stop()
    step = await answer(hass, step, {})
    assert step["errors"] == {"base": "bridge_unreachable"}
    await bridge.start()
    step = await answer(hass, step, {})
    await pair(hass, step, bridge)


async def test_a_discovered_doorbell_is_who_it_says(
    hass: HomeAssistant, bridge: RunningBridge, other_bridge: RunningBridge
) -> None:
    step = await discover(hass, announced(other_bridge, id=bridge.bridge_id))
    step = await answer(hass, step, {})
    assert step["errors"] == {"base": "wrong_bridge"}
    assert_nothing_made(hass, other_bridge)


async def test_a_known_doorbell_that_is_discovered_elsewhere_moves(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    await _serve_on_another_port(bridge)
    step = await discover(hass, announced(bridge, id=bridge.bridge_id))
    assert (step["type"], step["reason"]) == ("abort", "already_configured")
    await until(lambda: entry.data["port"] == bridge.port)
    assert state(entry) is ConfigEntryState.LOADED


async def test_a_doorbell_that_could_not_be_set_up_is_when_it_is_discovered(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    await bridge.stop()
    await hass.config_entries.async_reload(entry.entry_id)
    assert state(entry) is ConfigEntryState.SETUP_RETRY
    await _serve_on_another_port(bridge)
    await discover(hass, announced(bridge, id=bridge.bridge_id))
    assert state(entry) is ConfigEntryState.LOADED


async def test_an_announcement_without_an_id_is_no_bridge(hass: HomeAssistant, bridge: RunningBridge) -> None:
    step = await discover(hass, announced(bridge))
    assert (step["type"], step["reason"]) == ("abort", "not_a_bridge")


async def test_an_ignored_doorbell_asks_nothing_and_can_be_added_later(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    step = await discover(hass, announced(bridge, id=bridge.bridge_id))
    ignored: Step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_IGNORE}, data={"unique_id": bridge.bridge_id, "title": "Front door"}
    )
    assert ignored["type"] == "create_entry"
    assert "next_flow" not in ignored
    assert hass.config_entries.flow.async_progress() == []

    step = await to_pair(hass, bridge)
    await pair(hass, step, bridge)


# Pairing again, and another address


# The bridge closes the session, and aiohttp arms the heartbeat of a socket anew when it hears the other side's goodbye.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_a_doorbell_that_forgot_home_assistant_is_paired_again(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    token = entry.data["token"]
    await BridgeClient(
        async_get_clientsession(hass), bridge.host, bridge.port, bridge.fingerprint, token
    ).forget_token()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state(entry) is ConfigEntryState.SETUP_ERROR

    (flow,) = [
        each for each in hass.config_entries.flow.async_progress() if each["context"]["source"] == "reauth"
    ]
    assert flow["step_id"] == "reauth_doorbell"
    step = await answer(hass, flow, {})
    assert step["step_id"] == "pair"
    step = await answer(hass, step, {"code": "2222-2222"})
    assert step["errors"] == {"base": "pairing_closed"}
    assert entry.data["token"] == token
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert (step["type"], step["reason"]) == ("abort", "reauth_successful")
    assert entry.data["token"] != token
    assert state(entry) is ConfigEntryState.LOADED
    assert clients(bridge) == [hass.config.location_name]


async def test_pairing_again_is_with_the_same_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, tmp_path: Path
) -> None:
    entry = await add_doorbell(hass, bridge)
    before = dict(entry.data)
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (flow,) = [
        each for each in hass.config_entries.flow.async_progress() if each["context"]["source"] == "reauth"
    ]
    step = await answer(hass, flow, {})
    assert step["step_id"] == "pair"

    true_self = bridge.config
    await bridge.stop()
    bridge.config = replace(bridge.config, storage=replace(bridge.config.storage, path=tmp_path / "stranger"))
    await bridge.start()
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert (step["step_id"], step["errors"]) == ("reauth_doorbell", {"base": "certificate_changed"})
    step = await answer(hass, step, {})
    assert (step["step_id"], step["errors"]) == ("reauth_doorbell", {"base": "set_up_anew"})
    assert clients(bridge) == []
    assert entry.data == before

    await bridge.stop()
    bridge.config = true_self
    await bridge.start()
    step = await answer(hass, step, {})
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert step["reason"] == "reauth_successful"


async def test_who_shows_another_certificate_is_not_told_the_token(
    hass: HomeAssistant, bridge: RunningBridge, certificate: Certificate
) -> None:
    entry = await add_doorbell(hass, bridge)
    async with Stranger(certificate.context) as impostor:
        impostor.say({"id": bridge.bridge_id, "api": 1, "token": "his own"})
        hass.config_entries.async_update_entry(entry, data={**entry.data, "port": impostor.port})
        token = entry.data["token"]
        entry.async_start_reauth(hass)
        await hass.async_block_till_done()
        flows = hass.config_entries.flow.async_progress()
        step: Step = next(each for each in flows if each["context"]["source"] == "reauth")
        said: dict[str, str]
        for said in ({}, {}, {"code": "ABCD-EFGH"}):
            step = await answer(hass, step, said)
        assert [heard for heard in impostor.heard if "ABCD-EFGH" in heard]
    assert not [heard for heard in impostor.heard if token in heard]


async def test_a_doorbell_gets_another_address(
    hass: HomeAssistant, bridge: RunningBridge, other_bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    before = dict(entry.data)
    await _serve_on_another_port(bridge)
    step: Step = await _reconfigure(hass, entry)
    assert step["step_id"] == "reconfigure_doorbell"

    step = await answer(hass, step, address(other_bridge))
    assert step["errors"] == {"base": "wrong_bridge"}
    assert entry.data == before

    step = await answer(hass, step, address(bridge))
    assert (step["type"], step["reason"]) == ("abort", "reconfigure_successful")
    assert entry.data == {**before, "port": bridge.port}
    assert state(entry) is ConfigEntryState.LOADED


async def test_an_impostor_gets_no_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, certificate: Certificate
) -> None:
    entry = await add_doorbell(hass, bridge)
    before = dict(entry.data)
    step: Step = await _reconfigure(hass, entry)
    async with Stranger(certificate.context) as stranger:
        stranger.say({"id": bridge.bridge_id, "name": "Front door", "api": 1})
        step = await answer(hass, step, {"host": "127.0.0.1", "port": stranger.port})
    assert step["errors"] == {"base": "certificate_changed"}
    assert entry.data == before


async def _reconfigure(hass: HomeAssistant, entry: Any) -> Step:
    step: Step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    return step


async def test_a_doorbell_has_options_but_no_persons(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)
    assert entry.supports_options
    assert entry.supported_subentry_types == {}


# Pairing by pressing the doorbell


async def until_invited(bridge: RunningBridge) -> None:
    """Wait until a press would let somebody in."""
    for light in (Output.GREEN, Output.RED):
        await bridge.panel.until(light, lit=True)


async def pressing(hass: HomeAssistant, step: Step) -> Step:
    """Leave the code empty; return what shows that the press is waited for."""
    step = await answer(hass, step, {})
    assert (step["type"], step["step_id"]) == ("progress", "press")
    return step


async def outcome(hass: HomeAssistant, step: Step) -> Step:
    """Return the step that follows by itself when the waiting is over."""
    while step["type"] == "progress":
        step = await hass.config_entries.flow.async_configure(step["flow_id"])
        await asyncio.sleep(0.01)
    if step["type"] == "progress_done":
        step = await hass.config_entries.flow.async_configure(step["flow_id"])
    await hass.async_block_till_done()
    return step


async def test_the_first_doorbell_is_paired_by_pressing_it(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    step = await pressing(hass, await to_pair(hass, bridge))
    await until_invited(bridge)
    bridge.press()
    step = await outcome(hass, step)
    assert step["type"] == "create_entry"
    assert state(step["result"]) is ConfigEntryState.LOADED
    assert clients(bridge) == [hass.config.location_name]
    assert not bridge.panel.is_lit(Output.BUZZER)


async def test_pressing_a_doorbell_that_is_not_open_says_how_to_open_it(
    hass: HomeAssistant, bridge: RunningBridge, tmp_path: Path
) -> None:
    await bridge.running.bridge.add_client("Somebody else")
    step = await to_pair(hass, bridge)
    step = await outcome(hass, await answer(hass, step, {"code": " "}))
    assert (step["step_id"], step["errors"]) == ("pair", {"base": "pairing_closed"})
    assert step["description_placeholders"]["press_command"] == "sudo face-doorbell-bridge pair --press"

    await ask(bridge.config.storage.path, "POST", "pair", "press")
    step = await pressing(hass, step)
    await until_invited(bridge)
    bridge.press()
    assert (await outcome(hass, step))["type"] == "create_entry"


async def test_a_stranger_who_asks_too_gets_nothing_and_is_told_of(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    step = await pressing(hass, await to_pair(hass, bridge))
    await until_invited(bridge)
    stranger = BridgeClient(async_get_clientsession(hass), bridge.host, bridge.port, bridge.fingerprint)
    with pytest.raises(BridgeRefusedError):
        await stranger.pair_by_press("Stranger")
    step = await outcome(hass, step)
    assert (step["step_id"], step["errors"]) == ("pair", {"base": "contested"})
    assert_nothing_made(hass, bridge)
    await pair(hass, step, bridge)


async def test_nobody_presses(
    hass: HomeAssistant, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "WAIT_S", 0.02)
    step = await outcome(hass, await answer(hass, await to_pair(hass, bridge), {}))
    assert (step["step_id"], step["errors"]) == ("pair", {"base": "not_pressed"})
    assert_nothing_made(hass, bridge)
    await pair(hass, step, bridge)


async def test_who_closes_the_dialog_does_not_wait_any_more(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    step = await pressing(hass, await to_pair(hass, bridge))
    await until_invited(bridge)
    hass.config_entries.flow.async_abort(step["flow_id"])
    await until(lambda: bridge.running.bridge.outputs.playing[Output.RED] is Pattern.OFF)
    bridge.press()
    await bridge.panel.until(Output.BUZZER, lit=True)
    assert_nothing_made(hass, bridge)


async def test_paired_again_home_assistant_gets_what_it_has_missed(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    await hass.config_entries.async_unload(entry.entry_id)
    bridge.press()
    await ask(bridge.config.storage.path, "POST", "certificate")
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (flow,) = [
        each for each in hass.config_entries.flow.async_progress() if each["context"]["source"] == "reauth"
    ]
    step = await answer(hass, flow, {})
    assert step["errors"] == {"base": "set_up_anew"}
    step = await answer(hass, step, {})
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert step["reason"] == "reauth_successful"
    assert clients(bridge) == [hass.config.location_name]
    await until_acked(bridge)
    assert hass.data[VISITS].count() == 1
