"""What `check` says of a bridge that runs, of one that does not, and of each part that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
import socket
import sqlite3

import pytest

from pi_bridge import check
from pi_bridge.check import Finding, findings
from pi_bridge.config import CameraConfig, Config, FacesConfig, ServerConfig, StorageConfig
from pi_bridge.discovery import avahi_service
from pi_bridge.model import CameraState, FacesState, Output

from .conftest import SHARP
from .doubles import FakeClock, FakeFaces, RunningBridge, running_bridge

NO_CAMERA = CameraConfig(device="/dev/no-camera")


@dataclass
class Avahi:
    """What Avahi leaves on the disk."""

    file: Path
    pid: Path

    def announce(self, port: int) -> None:
        self.file.write_text(avahi_service(Config().name, "9f3c21", port), encoding="utf-8")


@pytest.fixture(autouse=True)
def avahi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Avahi:
    """A machine with a network, in which Avahi announces the default doorbell."""
    avahi = Avahi(tmp_path / "avahi.service", tmp_path / "avahi.pid")
    avahi.announce(Config().server.port)
    avahi.pid.touch()
    monkeypatch.setattr(check, "AVAHI_FILE", avahi.file)
    monkeypatch.setattr(check, "AVAHI_PID", avahi.pid)
    monkeypatch.setattr(check, "own_address", lambda: "127.0.0.1")
    return avahi


async def found(config: Config, *, play: bool = False) -> dict[str, Finding]:
    return {finding.part: finding async for finding in findings(config, play=play)}


def everywhere(bridge: RunningBridge) -> Config:
    """The bridge's configuration as the owner has it: it listens at every address."""
    return replace(bridge.config, server=replace(bridge.config.server, host=Config().server.host))


def wrong(parts: dict[str, Finding]) -> dict[str, str]:
    return {part: finding.text for part, finding in parts.items() if not finding.ok}


async def test_all_is_well(tmp_path: Path, avahi: Avahi) -> None:
    async with running_bridge(tmp_path / "state", photos=[SHARP], clock=FakeClock()) as bridge:
        avahi.announce(bridge.port)
        parts = await found(everywhere(bridge))
        assert wrong(parts) == {}
        assert not bridge.panel.writes
    assert list(parts) == [
        *("bridge", "button", "green", "red", "buzzer"),
        *("camera", "journal", "faces", "clock", "network", "mdns"),
    ]
    assert "GPIO17" in parts["green"].text
    assert "the models are loaded" in parts["faces"].text


async def test_play_lights_each_output_in_turn(bridge: RunningBridge) -> None:
    parts = await found(bridge.config, play=True)
    lit = [output for output, on in bridge.panel.writes if on]
    assert lit == [Output.GREEN, Output.RED, Output.BUZZER]
    assert not any(bridge.panel.is_lit(output) for output in Output)
    assert "the wrong way round" in parts["green"].text


async def test_button_that_nobody_presses(bridge: RunningBridge) -> None:
    bridge.panel.pressed = True
    assert (
        'its wire touches ground, or it opens when pressed (then set button.pull = "down"'
        in (wrong(await found(bridge.config))["button"])
    )


async def test_camera_that_gives_no_pictures(bridge: RunningBridge) -> None:
    bridge.camera.become(CameraState.STALLED)
    assert "another cable or USB port" in wrong(await found(bridge.config))["camera"]


async def test_camera_that_is_not_there(bridge: RunningBridge) -> None:
    bridge.camera.become(CameraState.ABSENT)
    config = replace(bridge.config, camera=NO_CAMERA)
    assert wrong(await found(config))["camera"] == "there is no camera /dev/no-camera"


async def test_other_cameras_are_named(bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.camera.become(CameraState.ABSENT)
    there = "/dev/v4l/by-id/usb-Sim_Webcam-video-index0"
    monkeypatch.setattr(check, "webcams", lambda: {there: Path("/dev/video0")})
    config = replace(bridge.config, camera=NO_CAMERA)
    assert f"camera.device may be {there}, or auto" in wrong(await found(config))["camera"]


async def test_journal_that_cannot_be_written(bridge: RunningBridge, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite")) as other:
        other.execute("DROP TABLE rings")
    bridge.press(SHARP)
    while "journal" not in (mistakes := wrong(await found(bridge.config))):
        pass  # it is written beside the ring
    assert "is the card full" in mistakes["journal"]


async def test_damaged_journal_is_not_left_lying_about(bridge: RunningBridge, tmp_path: Path) -> None:
    assert "delete it" not in (await found(bridge.config))["journal"].text
    (tmp_path / "state" / "journal.damaged").touch()
    assert "journal.damaged was damaged" in (await found(bridge.config))["journal"].text


async def test_models_and_clock(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.synchronized = False
    finder = FakeFaces(state=FacesState.OFF)
    async with running_bridge(tmp_path / "state", finder=finder, clock=clock) as bridge:
        mistakes = wrong(await found(bridge.config))
        assert "packaging/install.sh" in mistakes["faces"]
        assert "timedatectl" in mistakes["clock"]
        unwanted = replace(bridge.config, faces=FacesConfig(enabled=False))
        assert "faces" not in wrong(await found(unwanted))


async def test_address_that_nobody_reaches(bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nobody else can reach it" in wrong(await found(bridge.config))["network"]

    monkeypatch.setattr(check, "own_address", lambda: "::1")  # where the bridge does not listen
    mistakes = wrong(await found(everywhere(bridge)))
    assert f"does not answer at ::1, port {bridge.port}" in mistakes["network"]
    assert "systemctl restart" in mistakes["network"]

    def no_network() -> str:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(check, "own_address", no_network)
    assert "is the Wi-Fi set up" in wrong(await found(everywhere(bridge)))["network"]


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Config]:
    """A machine on which no bridge runs, and another program has its port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield Config(
            server=ServerConfig(port=other.getsockname()[1]),
            storage=StorageConfig(path=tmp_path / "state"),
            camera=NO_CAMERA,
        )


async def test_without_a_bridge_every_part_is_tried(lonely: Config) -> None:
    parts = await found(lonely)
    mistakes = wrong(parts)
    assert "is it running" in mistakes["bridge"]
    assert "journalctl -u face-doorbell-bridge" in mistakes["bridge"]
    assert "/dev/no-camera" in mistakes["camera"]
    assert f"port {lonely.server.port} of 0.0.0.0 cannot be used" in mistakes["network"]
    assert parts["faces"].ok
    assert {"pins", "clock", "mdns"} <= parts.keys()


async def test_announcement(lonely: Config, avahi: Avahi) -> None:
    assert "an old one" in wrong(await found(lonely))["mdns"]
    avahi.announce(lonely.server.port)
    assert "mdns" not in wrong(await found(lonely))
    avahi.pid.unlink()
    assert "systemctl enable --now avahi-daemon" in wrong(await found(lonely))["mdns"]
    avahi.file.unlink()
    assert "packaging/install.sh" in wrong(await found(lonely))["mdns"]
