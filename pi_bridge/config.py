"""What the owner may choose: one TOML file in which every key is optional, and one error that lists every mistake.

A key is declared once, as a field of a section with its default, its rule and its meaning; checking, printing and the
example file follow from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
import difflib
from enum import StrEnum
import ipaddress
import json
from pathlib import Path
import tomllib
from typing import Any, Final, TypeVar, cast

import voluptuous as vol

from .errors import ConfigError
from .model import Melody, Pattern, Tone

DEFAULT_PATH: Final = Path("/etc/face-doorbell-bridge.toml")
AUTO: Final = "auto"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a key may be: the check, and the same in words for the owner."""

    check: Callable[[Any], Any]
    allowed: str


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise vol.Invalid("not a whole number")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise vol.Invalid("not a number")
    return float(value)


def _line(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise vol.Invalid("not a line of text")
    return value.strip()


def _absolute(value: object) -> Path:
    path = Path(_line(value))
    if not path.is_absolute():
        raise vol.Invalid("not an absolute path")
    return path


def _device(value: object) -> str:
    return AUTO if value == AUTO else str(_absolute(value))


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(_line(value)))
    except ValueError as error:
        raise vol.Invalid("not an IP address") from error


def _host(value: object) -> str:
    name = _line(value).lower()
    if any(character in name for character in " /:@"):
        raise vol.Invalid("not a host name")
    return name


def _hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise vol.Invalid("not a list")
    return tuple(_host(item) for item in value)


def _tone(value: object) -> Tone:
    tones: tuple[Tone, ...] = (*Pattern, *Melody)
    for tone in tones:
        if tone == value:
            return tone
    raise vol.Invalid("not a tone")


def _whole(low: int, high: int) -> Rule:
    return Rule(vol.All(_integer, vol.Range(low, high)), f"a whole number from {low} to {high}")


def _decimal(low: float, high: float) -> Rule:
    return Rule(vol.All(_number, vol.Range(low, high)), f"a number from {low:g} to {high:g}")


def _one_of(*choices: str) -> Rule:
    return Rule(vol.In(choices), "one of " + ", ".join(f'"{choice}"' for choice in choices))


_TEXT: Final = Rule(vol.All(_line, vol.Length(max=60)), "a text of 1 to 60 characters")
_FLAG: Final = Rule(vol.Schema(bool), "true or false")
_PATH: Final = Rule(_absolute, "an absolute path")
_PIN: Final = Rule(_whole(2, 27).check, "a GPIO number (BCM) from 2 to 27")


def _key(default: _T, rule: Rule, meaning: str) -> _T:
    """Declare a key of the file with its default, its rule and what it means."""
    return field(default=default, metadata={"rule": rule, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where the bridge listens."""

    host: str = _key("0.0.0.0", Rule(_address, "an IP address"), "The address to listen on")  # noqa: S104
    port: int = _key(8467, _whole(1, 65535), "The port to listen on")
    hosts: tuple[str, ...] = _key(
        (),
        Rule(_hosts, "a list of host names"),
        "Names besides *.local and IP addresses by which Home Assistant may call the bridge",
    )


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """What is kept until Home Assistant has it."""

    path: Path = _key(  # noqa: RUF009 - declares a field
        Path("/var/lib/face-doorbell-bridge"), _PATH, "The folder of journal, certificate and clients"
    )
    rings: int = _key(500, _whole(10, 100_000), "The most rings to keep")
    days: int = _key(30, _whole(1, 3650), "The most days to keep a ring")
    megabytes: int = _key(200, _whole(10, 100_000), "The most space for rings and their pictures")


@dataclass(frozen=True, slots=True)
class ButtonConfig:
    """The button at the door."""

    pin: int = _key(23, _PIN, "The GPIO number (BCM) of the button")
    pull: str = _key(
        "up", _one_of("up", "down"), '"up": the button connects the pin to ground; "down": to 3.3 V'
    )
    lockout_ms: int = _key(
        300, _whole(20, 5000), "How long the contact must have been quiet before a press counts"
    )
    hold_ms: int = _key(
        0,
        _whole(0, 100),
        "How long it must be held before a press counts; 20 keeps out what lamps and motors do to a long wire",
    )


class BuzzerKind(StrEnum):
    """What is wired: an active buzzer beeps by itself, a passive one sounds at any pitch that it is given."""

    ACTIVE = "active"
    PASSIVE = "passive"


@dataclass(frozen=True, slots=True)
class BuzzerConfig:
    """The buzzer, which sounds at each press."""

    pin: int = _key(22, _PIN, "The GPIO number (BCM) of the buzzer")
    kind: BuzzerKind = _key(  # noqa: RUF009 - declares a field
        BuzzerKind.ACTIVE,
        Rule(vol.Coerce(BuzzerKind), _one_of(*BuzzerKind).allowed),
        '"active": beeps by itself; "passive": can play melodies',
    )
    pattern: Tone = _key(  # noqa: RUF009 - declares a field
        Pattern.ON,
        Rule(_tone, _one_of(*Pattern, *Melody).allowed),
        "How it sounds at a press, unless Home Assistant says otherwise; off: silent; from ding_dong on: passive only",
    )
    ring_ms: int = _key(
        400, _whole(50, 10_000), "How long it sounds at a press, in milliseconds; a melody plays once"
    )


@dataclass(frozen=True, slots=True)
class LedsConfig:
    """The two lights that answer the visitor."""

    green: int = _key(17, _PIN, "The GPIO number (BCM) of the green LED")
    red: int = _key(27, _PIN, "The GPIO number (BCM) of the red LED")


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """The webcam."""

    device: str = _key(
        AUTO,
        Rule(_device, '"auto" or an absolute path such as "/dev/v4l/by-id/…"'),
        '"auto" takes the first webcam and keeps to it; with several, a path in /dev/v4l/by-id/ is sure',
    )
    width: int = _key(1280, _whole(160, 4096), "Width of the picture to ask for, in pixels")
    height: int = _key(720, _whole(120, 2160), "Height of the picture to ask for, in pixels")
    fps: int = _key(15, _whole(1, 60), "Pictures per second to ask for")
    buffer_s: float = _key(3.0, _decimal(0.5, 10), "Seconds of pictures to keep in memory")


@dataclass(frozen=True, slots=True)
class FacesConfig:
    """Faces are found and measured on the bridge."""

    enabled: bool = _key(True, _FLAG, "false saves work where only the bell and the camera are wanted")


@dataclass(frozen=True, slots=True)
class BurstConfig:
    """The search for a better picture after a press."""

    seconds: float = _key(1.5, _decimal(0, 10), "How long to look for a better picture after a press")


@dataclass(frozen=True, slots=True)
class Config:
    """All that the owner may choose. `Config()` is what holds without a file."""

    name: str = _key("Front door", _TEXT, "The name of this doorbell")
    server: ServerConfig = field(default_factory=ServerConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    button: ButtonConfig = field(default_factory=ButtonConfig)
    buzzer: BuzzerConfig = field(default_factory=BuzzerConfig)
    leds: LedsConfig = field(default_factory=LedsConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    faces: FacesConfig = field(default_factory=FacesConfig)
    burst: BurstConfig = field(default_factory=BurstConfig)


# The keys that name a pin: no two may name the same one.
_PINS: Final = (("button", "pin"), ("buzzer", "pin"), ("leds", "green"), ("leds", "red"))


def load(path: Path | None = None) -> Config:
    """Return what the file says, with defaults for the rest; without `path`, of `DEFAULT_PATH` if it is there.

    Raises ConfigError with one line per mistake.
    """
    if path is None:
        if not DEFAULT_PATH.exists():
            return Config()
        path = DEFAULT_PATH
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except ConfigError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error


def parse(text: str) -> Config:
    """Return the configuration that a TOML text says; raises ConfigError with one line per mistake."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}") from error
    mistakes: list[str] = []
    chosen: dict[str, Any] = {}
    try:
        chosen = _SCHEMA(data)
    except vol.MultipleInvalid as invalid:
        mistakes = [_explain(data, error) for error in invalid.errors]
    mistakes += _shared_pins(data)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    config = _build(Config, chosen)
    if isinstance(config.buzzer.pattern, Melody) and config.buzzer.kind is BuzzerKind.ACTIVE:
        raise ConfigError(f'buzzer.pattern = "{config.buzzer.pattern}": needs buzzer.kind = "passive"')
    return config


def describe(config: Config) -> str:
    """Return the configuration as a TOML file that says every key."""
    lines = [f"{key.name} = {_toml(getattr(config, key.name))}" for key in _keys(Config)]
    for section in _sections(Config):
        values = getattr(config, section.name)
        lines += ["", f"[{section.name}]"]
        lines += [f"{key.name} = {_toml(getattr(values, key.name))}" for key in _keys(type(values))]
    return "\n".join(lines) + "\n"


def example() -> str:
    """Return the example file: every key with its meaning and its default, commented out."""
    lines = [
        "# Face Doorbell bridge. Every key is optional; what stands here are the defaults.",
        "# After a change: face-doorbell-bridge check, then systemctl restart face-doorbell-bridge.",
    ]
    for key in _keys(Config):
        lines += ["", *_example_lines(key)]
    for section in _sections(Config):
        kind = _section_type(section)
        lines += ["", f"# {(kind.__doc__ or '').strip()}", f"[{section.name}]"]
        for key in _keys(kind):
            lines += _example_lines(key)
    return "\n".join(lines) + "\n"


def _example_lines(key: Field[Any]) -> list[str]:
    return [
        f"# {key.metadata['meaning']} ({key.metadata['rule'].allowed})",
        f"#{key.name} = {_toml(key.default)}",
    ]


def _fields(kind: type) -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(kind)}


def _keys(kind: type) -> Iterator[Field[Any]]:
    return (item for item in fields(kind) if item.default_factory is MISSING)


def _sections(kind: type) -> Iterator[Field[Any]]:
    return (item for item in fields(kind) if item.default_factory is not MISSING)


def _section_type(section: Field[Any]) -> type:
    return cast(type, section.default_factory)


def _schema_of(kind: type) -> vol.Schema:
    rules = {key.name: key.metadata["rule"].check for key in _keys(kind)}
    tables = {section.name: _schema_of(_section_type(section)) for section in _sections(kind)}
    return vol.Schema({vol.Optional(name): rule for name, rule in {**rules, **tables}.items()})


_SCHEMA: Final = _schema_of(Config)


def _build(kind: type[_T], chosen: dict[str, Any]) -> _T:
    sections = {section.name: _section_type(section) for section in _sections(kind)}
    return kind(
        **{
            name: _build(sections[name], value) if name in sections else value
            for name, value in chosen.items()
        }
    )


def _explain(data: dict[str, Any], error: vol.Invalid) -> str:
    """Return a mistake in one line: the key, the value and what is allowed."""
    *tables, key = (str(part) for part in error.path)
    name = ".".join([*tables, key])
    kind: type = Config
    value: Any = data
    for table in tables:
        kind = _section_type(_fields(kind)[table])
        value = value[table]
    known = _fields(kind)
    if key not in known:
        return f"{name}: there is no such key{_did_you_mean(key, tables, list(known))}"
    rule = known[key].metadata.get("rule")
    allowed = rule.allowed if rule else f"a table, written [{name}]"
    return f"{name} = {_toml(value[key])}: must be {allowed}"


def _did_you_mean(key: str, tables: list[str], known: list[str]) -> str:
    """Return the nearest key of the same table, or, failing that, the table that has a key of that name."""
    if near := difflib.get_close_matches(key, known, 1):
        return f"; did you mean {'.'.join([*tables, near[0]])}?"
    for section in _sections(Config):
        if key in _fields(_section_type(section)):
            return f"; did you mean {section.name}.{key}?"
    return f"; known are {', '.join(known)}"


def _shared_pins(data: dict[str, Any]) -> list[str]:
    """Return a line for each pin that two keys name, whether in the file or by default."""
    users: dict[object, list[str]] = {}
    for section, key in _PINS:
        table = data.get(section)
        default = getattr(getattr(Config(), section), key)
        pin = table.get(key, default) if isinstance(table, dict) else default
        users.setdefault(pin if isinstance(pin, int) else object(), []).append(f"{section}.{key}")
    return [
        f"{' and '.join(names)} = {pin}: each needs a pin of its own"
        for pin, names in users.items()
        if len(names) > 1
    ]


def _toml(value: object) -> str:
    """Return a value as TOML writes it; strings of `_line` need no more escapes than JSON has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if is_dataclass(value) or isinstance(value, dict):
        return "{…}"
    return json.dumps(str(value), ensure_ascii=False)
