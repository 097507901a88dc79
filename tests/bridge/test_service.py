"""The daemon as a whole: starting, ending, and what systemd hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
import contextlib
from dataclasses import replace
from pathlib import Path
import socket
import sqlite3

import aiohttp
import pytest

from pi_bridge import bridge as bridge_module
from pi_bridge.config import Config, StorageConfig
from pi_bridge.control import NotRunningError, ask
from pi_bridge.errors import BridgeError, ConfigError, HardwareError, JournalError
from pi_bridge.model import Frame, Output
from pi_bridge.service import serve

from .conftest import SHARP
from .doubles import FakeCamera, FakeFaces, FakePanel, RunningBridge, running_bridge, unusable
from .home import Home

WATCHDOG_S = 0.02


async def test_stopping_leaves_nothing_on_and_nothing_running(bridge: RunningBridge, tmp_path: Path) -> None:
    bridge.press(SHARP)
    await bridge.stop()
    assert bridge.panel.closed
    assert not any(bridge.panel.is_lit(output) for output, _ in bridge.panel.writes)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(bridge.host, bridge.port)
    with pytest.raises(NotRunningError):
        await ask(tmp_path / "state", "GET", "health")


async def test_a_part_that_fails_ends_all(tmp_path: Path) -> None:
    class Broken(FakeCamera):
        async def run(self, deliver: Callable[[Frame], None], changed: Callable[[], None]) -> None:
            raise HardwareError("it burns")

    panel = FakePanel()
    config = Config(storage=StorageConfig(path=tmp_path))
    config = replace(config, server=replace(config.server, host="127.0.0.1", port=0))
    with pytest.raises(ExceptionGroup) as failed:
        await serve(config, panel, Broken(), FakeFaces())
    assert failed.group_contains(HardwareError, match="it burns")
    assert panel.closed


async def test_storage_that_comes_back_is_used_again_with_all_that_rang_meanwhile(
    bridge: RunningBridge, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "STORE_AGAIN_S", 0.1)
    await bridge.stop()
    with unusable(tmp_path / "state" / "journal.sqlite"):
        await bridge.start()
        bridge.press(SHARP)
        await bridge.panel.until(Output.BUZZER, lit=True)
        assert bridge.running.bridge.health()["journal"] == "failing"
    failure = await bridge.failure()
    assert isinstance(failure, ExceptionGroup)
    assert failure.subgroup(JournalError) is not None
    await bridge.start()
    async with home.listen() as line:
        ring, *_ = await line.ring()
        assert ring["replay"]
    assert bridge.running.bridge.health()["journal"] == "ok"


async def test_taken_port_is_an_error_and_not_a_silent_doorbell(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    config = replace(bridge.config, storage=StorageConfig(path=tmp_path / "other"))
    with pytest.raises(ExceptionGroup) as failed:
        await serve(config, FakePanel(), FakeCamera(), FakeFaces())
    assert failed.group_contains(OSError, match="Address already in use")


async def test_damaged_certificate_is_named_and_not_replaced(bridge: RunningBridge, tmp_path: Path) -> None:
    await bridge.stop()
    path = tmp_path / "state" / "certificate.pem"
    await asyncio.to_thread(path.write_text, "damaged")
    with pytest.raises(ExceptionGroup) as failed:
        await serve(bridge.config, FakePanel(), FakeCamera(), FakeFaces())
    assert failed.group_contains(ConfigError, match="certificate.pem is damaged")
    assert await asyncio.to_thread(path.read_text) == "damaged"


async def test_certificate_that_cannot_be_read_is_named(bridge: RunningBridge, tmp_path: Path) -> None:
    await bridge.stop()
    path = tmp_path / "state" / "certificate.pem"
    path.unlink()
    path.mkdir()
    with pytest.raises(ExceptionGroup) as failed:
        await serve(bridge.config, FakePanel(), FakeCamera(), FakeFaces())
    assert failed.group_contains(OSError, match="certificate.pem")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE rings SET at = 'garbage'",
        "UPDATE rings SET at = CAST(x'ff00fe' AS TEXT), boot = CAST(x'ff' AS TEXT)",
        "UPDATE pictures SET faces = '[{}]'",
        "UPDATE pictures SET faces = CAST(x'ff' AS TEXT)",
        "UPDATE clients SET created = 'garbage', last_seen = '2026-01-01'",
        "UPDATE settings SET value = '{'",
        "UPDATE settings SET value = '{}'",
        "UPDATE settings SET value = '[]'",
    ],
)
async def test_garbage_in_the_journal_that_sqlite_does_not_notice_is_no_reason_not_to_ring(
    bridge: RunningBridge, home: Home, tmp_path: Path, damage: str
) -> None:
    async with home.listen() as line:
        await line.send(type="chime", id=1, tone="double")
        await line.answer(1)
        bridge.press(SHARP)
        before = await line.ring()
    await bridge.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite")) as card, card:
        assert card.execute(damage).rowcount == 1
    await bridge.start()
    async with home.listen() as line:
        after = await line.ring()
        assert [message["ring_id"] for message in after] == [message["ring_id"] for message in before]
        bridge.press(SHARP)
        assert (await line.ring())[0]["seq"] == 2


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    async def heard(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self._end, 100)).decode()

    async def falls_silent(self) -> None:
        """Wait until the watchdog would have been fed ten times, and was not."""
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(self.heard(), 10 * WATCHDOG_S / 2)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
        yield Systemd(end)


async def test_systemd_hears_when_the_bridge_answers_and_that_it_lives(
    systemd: Systemd, tmp_path: Path
) -> None:
    async with running_bridge(tmp_path / "state"):
        heard = [await systemd.heard() for _ in range(3)]
    assert heard == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


async def test_systemd_hears_nothing_while_the_camera_hangs(systemd: Systemd, tmp_path: Path) -> None:
    async with running_bridge(tmp_path / "state") as bridge:
        assert await systemd.heard() == "READY=1"
        bridge.camera.alive = False
        await systemd.falls_silent()
        bridge.camera.alive = True
        assert await systemd.heard() == "WATCHDOG=1"


async def test_systemd_hears_nothing_while_the_journal_hangs(systemd: Systemd, tmp_path: Path) -> None:
    async with running_bridge(tmp_path / "state") as bridge:
        assert await systemd.heard() == "READY=1"
        with contextlib.closing(
            sqlite3.connect(tmp_path / "state" / "journal.sqlite", isolation_level=None)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            bridge.press()
            await systemd.falls_silent()
        assert await systemd.heard() == "WATCHDOG=1"


async def test_owner_pairs_lists_and_revokes(bridge: RunningBridge, tmp_path: Path, nobody: Home) -> None:
    state = tmp_path / "state"
    assert (state / "control.sock").stat().st_mode & 0o777 == 0o600
    answer = await ask(state, "POST", "pair")
    assert answer["port"] == bridge.port
    assert bridge.fingerprint.upper().startswith(answer["fingerprint"].replace(" ", ""))
    await nobody.pair("Küche / 2", code=answer["code"])
    assert [client["name"] for client in await ask(state, "GET", "clients")] == ["Küche / 2"]
    assert (await ask(state, "GET", "health"))["clients"] == 1
    with pytest.raises(BridgeError, match='There is no client named "Kitchen"'):
        await ask(state, "DELETE", "clients", "Kitchen")
    async with nobody.listen() as line:
        await ask(state, "DELETE", "clients", "Küche / 2")
        await line.ended()
    assert (await nobody.ask("GET", "/v1/health")).status == 401
    assert await ask(state, "GET", "clients") == []


@pytest.mark.parametrize("name", ["..", ".", "a/b", "%2F", "?#", "--help", "Küche & Bad"])
async def test_a_client_of_any_name_can_be_revoked(
    bridge: RunningBridge, tmp_path: Path, nobody: Home, name: str
) -> None:
    await nobody.pair(name)
    await ask(tmp_path / "state", "DELETE", "clients", name)
    assert await ask(tmp_path / "state", "GET", "clients") == []


async def test_who_is_revoked_has_nothing_open_though_the_card_refuses_to_forget_him(
    bridge: RunningBridge, tmp_path: Path, home: Home
) -> None:
    async with home.listen() as line:
        card = sqlite3.connect(tmp_path / "state" / "journal.sqlite")
        card.executescript("DROP TABLE clients;")
        card.close()
        with pytest.raises(BridgeError, match="The journal cannot be written"):
            await ask(tmp_path / "state", "DELETE", "clients", "Home")
        async with asyncio.timeout(5):
            await line.ended()
    assert (await home.ask("GET", "/v1/health")).status == 401


async def test_clients_of_the_same_name_can_be_told_apart(bridge: RunningBridge, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            await Home(session, bridge).pair("Home")
    names = [client["name"] for client in await ask(tmp_path / "state", "GET", "clients")]
    assert sorted(names) == ["Home", "Home (2)", "Home (3)"]


async def test_who_comes_while_the_bridge_stops_is_sent_away(bridge: RunningBridge, nobody: Home) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as late:
        late.setblocking(False)
        await loop.sock_connect(late, (bridge.host, bridge.port))
        await nobody.ask(
            "GET", "/v1/info"
        )  # by now the connection before is accepted, but shakes no hands yet
        await bridge.stop()
        with contextlib.suppress(ConnectionError):
            assert await loop.sock_recv(late, 100) == b""
