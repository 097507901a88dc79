"""A bridge that goes, comes back, moves, changes or is of another time; and what is left of it in Home Assistant."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address
import logging
from pathlib import Path
import threading
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_ZEROCONF, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_PORT, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from zeroconf import const
from zeroconf._dns import DNSPointer
from zeroconf._protocol.incoming import DNSIncoming
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncZeroconf

from custom_components.face_doorbell.bridge import backoff
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.visits import VISITS
from pi_bridge import server, session
from pi_bridge.certificate import load_or_make
from tests.bridge.doubles import RunningBridge

from .flow_tools import answer
from .helpers import (
    DOORBELL,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    state,
    until,
    until_acked,
)
from .test_config_flow_doorbell import Stranger

FIX = "/api/repairs/issues/fix"


async def announce(hass: HomeAssistant, bridge_id: str, port: int) -> None:
    """Let the network say where a bridge is."""
    info = ZeroconfServiceInfo(
        ip_address=ip_address("127.0.0.1"),
        ip_addresses=[ip_address("127.0.0.1")],
        port=port,
        hostname="doorbell.local.",
        type="_face-doorbell._tcp.local.",
        name="Front door._face-doorbell._tcp.local.",
        properties={"id": bridge_id},
    )
    await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_ZEROCONF}, data=info)


async def gone(hass: HomeAssistant) -> None:
    """Wait until the doorbell is unavailable."""
    await until(lambda: state(hass, DOORBELL).state == STATE_UNAVAILABLE)


async def back(hass: HomeAssistant) -> None:
    """Wait until the doorbell is available."""
    await until(lambda: state(hass, DOORBELL).state != STATE_UNAVAILABLE)


async def rings(hass: HomeAssistant, bridge: RunningBridge) -> None:
    """Show that a ring arrives."""
    async with change(hass, DOORBELL, lambda now: now.attributes["event_type"] == "ring") as rang:
        bridge.press()
        await rang
    await until_acked(bridge)


def connecting() -> list[str]:
    """Return the names of the tasks that keep a doorbell connected."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().endswith(" connection")]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, for ever."""
    monkeypatch.setattr(backoff, "RETRY_S", (0, 0.02))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try once at once, and again long after the test is over."""
    monkeypatch.setattr(backoff, "RETRY_S", (0, 3600))


def issue(hass: HomeAssistant, entry: ConfigEntry) -> ir.IssueEntry | None:
    """Return the repair of a doorbell, if there is one."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"bridge_{entry.entry_id}")


# Away and back


@pytest.mark.usefixtures("impatient")
async def test_a_long_outage_is_told_once(
    hass: HomeAssistant, bridge: RunningBridge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "custom_components.face_doorbell")
    entry = await add_doorbell(hass, bridge)

    await bridge.stop()
    await gone(hass)
    tries: list[int] = []
    restore = backoff.Backoff.pause

    async def counted(self: backoff.Backoff) -> None:
        tries.append(1)
        await restore(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff.Backoff, "pause", counted)
        await until(lambda: len(tries) > 5)
    await bridge.start()
    await back(hass)

    told = [
        record for record in caplog.records if record.name == "custom_components.face_doorbell.coordinator"
    ]
    assert [record.levelname for record in told] == ["INFO", "INFO"]
    assert issue(hass, entry) is None
    await rings(hass, bridge)


@pytest.mark.usefixtures("patient")
async def test_a_bridge_that_announces_itself_is_connected_at_once(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    await add_doorbell(hass, bridge)
    await bridge.stop()
    await gone(hass)
    await bridge.start()

    await announce(hass, bridge.bridge_id, bridge.port)

    await back(hass)
    await rings(hass, bridge)


@pytest.fixture
async def network(hass: HomeAssistant) -> AsyncIterator[AsyncZeroconf]:
    """What Home Assistant hears the network with, here on loopback."""
    network = AsyncZeroconf(interfaces=["127.0.0.1"])
    hass.config.components.add("zeroconf")
    with patch(
        "custom_components.face_doorbell.announcements.async_get_async_zeroconf", return_value=network
    ):
        yield network
    await network.async_close()


def say(network: AsyncZeroconf, instance: str, ttl: int = 4500) -> None:
    """Let a packet arrive that announces a service, or takes leave with a `ttl` of 0."""
    packet = DNSOutgoing(const._FLAGS_QR_RESPONSE)
    service = "_face-doorbell._tcp.local."
    record = DNSPointer(service, const._TYPE_PTR, const._CLASS_IN, ttl, f"{instance}.{service}")
    packet.add_answer_at_time(record, 0)
    network.zeroconf.record_manager.async_updates_from_response(DNSIncoming(packet.packets()[0]))


@pytest.mark.usefixtures("patient")
async def test_a_bridge_that_announces_nothing_new_is_connected_at_once(
    hass: HomeAssistant, bridge: RunningBridge, network: AsyncZeroconf
) -> None:
    entry = await add_doorbell(hass, bridge)
    instance = f"Front door {bridge.bridge_id}"
    say(network, instance)
    await bridge.stop()
    await gone(hass)
    await bridge.start()

    say(network, instance)

    await back(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert not network.zeroconf.record_manager.listeners


# Elsewhere


@pytest.mark.usefixtures("patient")
async def test_a_bridge_that_moved_is_followed_without_a_reload(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    coordinator = entry.runtime_data
    await bridge.stop()
    await gone(hass)
    bridge.config = replace(bridge.config, server=replace(bridge.config.server, port=0))
    await bridge.start()

    await announce(hass, bridge.bridge_id, bridge.port)
    await back(hass)
    await hass.async_block_till_done()

    assert entry.data[CONF_PORT] == bridge.port
    assert entry.runtime_data is coordinator
    await rings(hass, bridge)  # with its picture, from the new address


@pytest.mark.usefixtures("impatient")
async def test_a_bridge_with_several_addresses_stays_where_it_answers(
    hass: HomeAssistant, bridge: RunningBridge, unused_tcp_port_factory: Any
) -> None:
    entry = await add_doorbell(hass, bridge)
    before, coordinator = dict(entry.data), entry.runtime_data

    for _ in range(5):
        await announce(hass, bridge.bridge_id, unused_tcp_port_factory())
        await announce(hass, bridge.bridge_id, bridge.port)
    await announce(hass, bridge.bridge_id, unused_tcp_port_factory())
    await hass.async_block_till_done()
    assert state(hass, DOORBELL).state != STATE_UNAVAILABLE

    await bridge.stop()
    await gone(hass)
    await bridge.start()
    await back(hass)

    assert entry.data == before
    assert entry.runtime_data is coordinator


@pytest.mark.usefixtures("patient")
async def test_nobody_else_is_followed(
    hass: HomeAssistant, bridge: RunningBridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "custom_components.face_doorbell")
    entry = await add_doorbell(hass, bridge)
    before, bridge_id = dict(entry.data), bridge.bridge_id
    await bridge.stop()
    await gone(hass)

    async with Stranger(load_or_make(tmp_path / "stranger.pem").context) as stranger:
        stranger.say({"id": bridge_id, "name": "Front door", "api": 1})
        await announce(hass, bridge_id, stranger.port)
        await until(lambda: "Front door is not where it was announced" in caplog.text)
        assert (
            issue(hass, entry) is None
        )  # it is the bridge's business only if it happens where the bridge was
        await bridge.start()
        await announce(hass, bridge_id, bridge.port)
        await back(hass)

    assert entry.data == before


# Another certificate


@pytest.mark.usefixtures("impatient")
async def test_a_bridge_that_was_set_up_anew_is_a_repair_and_stays_the_same_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator, tmp_path: Path
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    entry = await add_doorbell(hass, bridge)
    await rings(hass, bridge)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)

    await bridge.stop()
    bridge.config = replace(bridge.config, storage=replace(bridge.config.storage, path=tmp_path / "new card"))
    await bridge.start()
    await until(lambda: issue(hass, entry))
    repair = issue(hass, entry)
    assert repair is not None
    assert (repair.is_fixable, repair.translation_key) == (True, "certificate_changed")
    assert repair.translation_placeholders == {"name": "Front door"}
    assert state(hass, DOORBELL).state == STATE_UNAVAILABLE

    client = await hass_client()
    response = await client.post(FIX, json={"handler": DOMAIN, "issue_id": repair.issue_id})
    confirm = await response.json()
    assert (confirm["step_id"], confirm["description_placeholders"]) == ("confirm", {"name": "Front door"})
    response = await client.post(f"{FIX}/{confirm['flow_id']}", json={})
    end = await response.json()
    assert (end["type"], end["reason"]) == ("abort", "pair_again")
    kind, flow_id = end["next_flow"]
    assert kind == "config_flow"

    step = await answer(hass, {"flow_id": flow_id}, {})
    assert (step["step_id"], step["errors"]) == ("reauth_doorbell", {"base": "set_up_anew"})
    assert issue(hass, entry) is not None
    step = await answer(hass, step, {})
    assert step["description_placeholders"]["fingerprint"] == bridge.running.certificate.short_fingerprint
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert step["reason"] == "reauth_successful"

    await back(hass)
    assert issue(hass, entry) is None
    assert entry.unique_id == bridge.bridge_id
    assert er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id) == entities
    await rings(hass, bridge)
    assert {visit.doorbell_id for visit in hass.data[VISITS].newest_first()} == {entry.data["id"]}


async def test_a_certificate_that_has_changed_at_the_start_is_a_repair_too(
    hass: HomeAssistant, bridge: RunningBridge, tmp_path: Path
) -> None:
    entry = await add_doorbell(hass, bridge)
    assert await hass.config_entries.async_unload(entry.entry_id)
    true_self = bridge.config
    await bridge.stop()
    bridge.config = replace(bridge.config, storage=replace(bridge.config.storage, path=tmp_path / "stranger"))
    await bridge.start()

    await hass.config_entries.async_setup(entry.entry_id)
    assert state_of(entry) is ConfigEntryState.SETUP_RETRY
    assert issue(hass, entry) is not None

    await bridge.stop()
    bridge.config = true_self
    await bridge.start()
    await hass.config_entries.async_reload(entry.entry_id)
    assert state_of(entry) is ConfigEntryState.LOADED
    assert issue(hass, entry) is None


def state_of(entry: ConfigEntry) -> ConfigEntryState:
    """Return the state of an entry as it is now."""
    return entry.state


# Another time


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("api", "key"), [(2, "bridge_too_new"), (0, "bridge_too_old")])
async def test_a_bridge_of_another_version_says_which_side_to_update(
    hass: HomeAssistant, bridge: RunningBridge, api: int, key: str
) -> None:
    entry = await add_doorbell(hass, bridge)

    with pytest.MonkeyPatch.context() as patch:
        for module in (server, session):
            patch.setattr(module, "API_VERSION", api)
        await bridge.restart()
        await until(lambda: issue(hass, entry))
    repair = issue(hass, entry)
    assert repair is not None
    assert (repair.is_fixable, repair.translation_key) == (False, key)
    assert state(hass, DOORBELL).state == STATE_UNAVAILABLE

    await bridge.restart()  # updated
    await back(hass)
    assert issue(hass, entry) is None


@pytest.mark.usefixtures("impatient")
async def test_a_bridge_that_only_speaks_a_later_protocol_is_too_new(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    await bridge.stop()
    certificate = load_or_make(bridge.config.storage.path / "certificate.pem")

    async with Stranger(certificate.context) as later:
        later.say({"id": certificate.bridge_id, "api": 2})
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PORT: later.port})
        await until(lambda: issue(hass, entry))

    repair = issue(hass, entry)
    assert repair is not None
    assert repair.translation_key == "bridge_too_new"


# Nothing is left


async def test_a_bridge_that_forgot_home_assistant_is_left_alone_until_it_is_paired_again(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    assert len(connecting()) == 1
    (token_hash,) = bridge.running.bridge.clients

    await bridge.running.bridge.remove_client(token_hash)
    await bridge.restart()
    await until(lambda: list(entry.async_get_active_flows(hass, {SOURCE_REAUTH})))
    await until(lambda: not connecting())
    assert state(hass, DOORBELL).state == STATE_UNAVAILABLE

    (flow,) = entry.async_get_active_flows(hass, {SOURCE_REAUTH})
    step = await answer(hass, flow, {})
    step = await answer(hass, step, {"code": bridge.pairing_code()})
    assert step["reason"] == "reauth_successful"
    await back(hass)
    assert len(connecting()) == 1
    await rings(hass, bridge)


def alive() -> Counter[str]:
    """Count what could be left behind in this process, which is the bridge's too: tasks, threads, sockets."""
    tasks = Counter(f"task {task.get_coro().__qualname__}" for task in asyncio.all_tasks())  # type: ignore[union-attr]
    threads = Counter(f"thread {thread.name.rstrip('0123456789')}" for thread in threading.enumerate())
    return tasks + threads + Counter(socket=sum("socket:" in target for target in open_files()))


def open_files() -> list[str]:
    """Return what this process has open."""
    found = []
    for file in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(file.readlink()))
        except FileNotFoundError:  # the folder itself, which is closed by now
            continue
    return found


async def test_reloading_leaves_nothing_behind(hass: HomeAssistant, bridge: RunningBridge) -> None:
    entry = await add_doorbell(hass, bridge)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=False)
    before = alive()

    for _ in range(3):
        await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: alive() <= before)

    assert await hass.config_entries.async_unload(entry.entry_id)
    await until(lambda: alive()["socket"] <= before["socket"] - 2)  # both ends of the connection
    assert not connecting()


@pytest.mark.usefixtures("patient")
async def test_a_doorbell_that_is_removed_while_its_bridge_is_away_leaves_nothing_behind(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    await bridge.stop()
    await gone(hass)
    assert connecting()

    await hass.config_entries.async_remove(entry.entry_id)

    assert not connecting()
    assert hass.states.get(DOORBELL) is None


@pytest.mark.usefixtures("impatient")
async def test_a_repair_goes_with_its_doorbell(
    hass: HomeAssistant, bridge: RunningBridge, tmp_path: Path
) -> None:
    entry = await add_doorbell(hass, bridge)
    await bridge.stop()
    bridge.config = replace(bridge.config, storage=replace(bridge.config.storage, path=tmp_path / "stranger"))
    await bridge.start()
    await until(lambda: issue(hass, entry))

    await hass.config_entries.async_remove(entry.entry_id)

    assert issue(hass, entry) is None


async def test_home_assistant_stops_in_the_middle_of_a_visit(
    hass: HomeAssistant, bridge: RunningBridge, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ScriptedEngine()
    engine.go.clear()
    await add_recognition(hass, engine)
    await add_doorbell(hass, bridge)
    bridge.press()
    await until(lambda: engine.asked)

    await hass.async_stop(force=True)

    assert not connecting()
    assert bridge.running.bridge.health()["pending"] == 1  # the ring comes again
    assert not [
        record for record in caplog.records if record.levelno > logging.INFO and DOMAIN in record.name
    ]
