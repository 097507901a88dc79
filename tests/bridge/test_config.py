from __future__ import annotations

from pathlib import Path
import re

import pytest

from pi_bridge.config import BuzzerKind, Config, describe, example, load, parse
from pi_bridge.errors import ConfigError
from pi_bridge.model import Melody

PACKAGED = Path(__file__).parents[2] / "packaging" / "face-doorbell-bridge.toml"


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).splitlines()


def test_nothing_said_is_the_default() -> None:
    assert parse("") == Config()


def test_every_key_can_be_chosen() -> None:
    config = parse(
        """
        name = "Back door"
        [server]
        host = "192.168.1.5"
        port = 9000
        hosts = ["Doorbell.example.org"]
        [storage]
        path = "/srv/doorbell"
        rings = 100
        days = 7
        megabytes = 50
        [button]
        pin = 5
        pull = "down"
        lockout_ms = 100
        hold_ms = 20
        [buzzer]
        pin = 6
        kind = "passive"
        pattern = "ding_dong"
        ring_ms = 900
        [leds]
        green = 12
        red = 13
        [camera]
        device = "/dev/v4l/by-id/usb-cam"
        width = 640
        height = 480
        fps = 30
        buffer_s = 2
        [faces]
        enabled = false
        [burst]
        seconds = 0.5
        """
    )
    assert config.name == "Back door"
    assert config.server.hosts == ("doorbell.example.org",)
    assert config.storage.path == Path("/srv/doorbell")
    assert config.buzzer.kind is BuzzerKind.PASSIVE
    assert config.buzzer.pattern is Melody.DING_DONG
    assert (config.leds.green, config.leds.red) == (12, 13)
    assert config.camera.buffer_s == 2.0
    assert not config.faces.enabled
    assert parse(describe(config)) == config


def test_what_is_described_is_a_file_that_says_the_same() -> None:
    config = parse('name = "The \\"blue\\" door 🚪"')
    assert parse(describe(config)) == config


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[camera]\nfps = 200", "camera.fps = 200: must be a whole number from 1 to 60"),
        ("[camera]\nfps = 15.5", "camera.fps = 15.5: must be a whole number from 1 to 60"),
        ("[camera]\nfps = true", "camera.fps = true: must be a whole number from 1 to 60"),
        ("[camera]\nbuffer_s = nan", "camera.buffer_s = nan: must be a number from 0.5 to 10"),
        ('[camera]\ndevice = "video0"', 'camera.device = "video0": must be "auto" or an absolute path'),
        ('name = ""', 'name = "": must be a text of 1 to 60 characters'),
        ('[server]\nhost = "here"', 'server.host = "here": must be an IP address'),
        ('[server]\nhosts = "here"', 'server.hosts = "here": must be a list of host names'),
        ('[server]\nhosts = ["http://here"]', 'server.hosts = ["http://here"]: must be a list of host names'),
        ('[storage]\npath = "here"', 'storage.path = "here": must be an absolute path'),
        ('[button]\npull = "left"', 'button.pull = "left": must be one of "up", "down"'),
        ('[buzzer]\npattern = "loud"', 'buzzer.pattern = "loud": must be one of "off", "on"'),
        ('[buzzer]\nkind = "loud"', 'buzzer.kind = "loud": must be one of "active", "passive"'),
        ("[buzzer]\npattern = 3", 'buzzer.pattern = 3: must be one of "off", "on"'),
        ('[buzzer]\npattern = "alarm"', 'buzzer.pattern = "alarm": needs buzzer.kind = "passive"'),
        ("[leds]\ngreen = 1", "leds.green = 1: must be a GPIO number (BCM) from 2 to 27"),
        ('[faces]\nenabled = "yes"', 'faces.enabled = "yes": must be true or false'),
        ("camera = 3", "camera = 3: must be a table, written [camera]"),
        ("[camera.fps]\nfast = true", "camera.fps = {…}: must be a whole number"),
        ("[camera]\nfsp = 20", "camera.fsp: there is no such key; did you mean camera.fps?"),
        ("[kamera]\nfps = 20", "kamera: there is no such key; did you mean camera?"),
        ("fps = 20", "fps: there is no such key; did you mean camera.fps?"),
        ("[burst]\nzzz = 1", "burst.zzz: there is no such key; known are seconds"),
        ("[leds]\ngreen = 23", "button.pin and leds.green = 23: each needs a pin of its own"),
        ("name = Front", "not valid TOML"),
    ],
)
def test_a_mistake_is_one_line_that_says_key_value_and_what_is_allowed(text: str, line: str) -> None:
    (said,) = mistakes(text)
    assert said.startswith(line)


def test_all_mistakes_are_told_at_once() -> None:
    said = mistakes('nmae = "x"\n[camera]\nfps = 0\nwidth = 1\n[leds]\ngreen = 99\nred = 22')
    assert [line.split(":")[0].split(" =")[0] for line in said] == [
        "nmae",
        "camera.fps",
        "camera.width",
        "leds.green",
        "buzzer.pin and leds.red",
    ]


def test_a_file_is_read_and_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text('name = "Side door"')
    assert load(path).name == "Side door"
    path.write_text("nam = 1\nfps = 2")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_a_clear_mistake(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bridge.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: cannot be read")):
        load(path)


def test_the_packaged_file_has_every_key_with_its_default() -> None:
    text = PACKAGED.read_text(encoding="utf-8")
    assert text == example()
    assert parse(text) == Config()
    said = re.sub(r"^#(?=\w)", "", text, flags=re.MULTILINE)
    assert parse(said) == Config()
    keys = re.compile(r"^(\[\w+\]|\w+ =)", re.MULTILINE)
    assert keys.findall(said) == keys.findall(describe(Config()))
