"""The wiring as people see it: picture, table and defaults must mean the same pins of a real Pi."""

from __future__ import annotations

from pathlib import Path
import re
from xml.etree import ElementTree as ET

from gpiozero.pins.pi import PiBoardInfo
import pytest

from pi_bridge.config import Config

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
PI_4 = 0xC03115

CONFIG = Config()
DEFAULTS = {
    "button.pin": CONFIG.button.pin,
    "buzzer.pin": CONFIG.buzzer.pin,
    "leds.green": CONFIG.leds.green,
    "leds.red": CONFIG.leds.red,
}
HEADER = {number: pin.name for number, pin in PiBoardInfo.from_revision(PI_4).headers["J8"].pins.items()}


@pytest.fixture(scope="module")
def picture() -> ET.Element:
    return ET.parse(ROOT / "docs" / "wiring.svg").getroot()  # noqa: S314 - our own file


def by_id(picture: ET.Element, name: str) -> ET.Element:
    (found,) = (element for element in picture.iter() if element.get("id") == name)
    return found


def test_picture_shows_the_default_pins(picture: ET.Element) -> None:
    parts = {element.get("data-key"): element for element in picture.iter() if element.get("data-key")}
    assert parts.keys() == DEFAULTS.keys()
    for key, part in parts.items():
        assert key is not None
        assert f"{key} = {DEFAULTS[key]}" in [text.text for text in part.iter(f"{SVG}text")]
        assert HEADER[int(part.get("data-physical", ""))] == f"GPIO{DEFAULTS[key]}"


@pytest.mark.parametrize(
    ("wire", "part"),
    [("wire-green", "green"), ("wire-red", "red"), ("wire-buzzer", "buzzer"), ("wire-button", "button")],
)
def test_wires_start_at_the_pins_of_their_parts(picture: ET.Element, wire: str, part: str) -> None:
    assert starts_at(picture, wire) == int(by_id(picture, part).get("data-physical", ""))


@pytest.mark.parametrize("wire", ["wire-ground", "wire-button-ground"])
def test_ground_is_ground(picture: ET.Element, wire: str) -> None:
    assert HEADER[starts_at(picture, wire)] == "GND"


def starts_at(picture: ET.Element, wire: str) -> int:
    """Return the number of the pin at which a drawn wire starts."""
    start = re.match(r"M(\d+),(\d+)", by_id(picture, wire).get("d", ""))
    assert start is not None
    (pin,) = (
        element.get("id", "")
        for element in picture.iter(f"{SVG}circle")
        if (element.get("cx"), element.get("cy")) == start.groups() and element.get("id")
    )
    return int(pin.removeprefix("pin-"))


def test_table_of_the_readme_has_the_default_pins() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| (\d+) \| (\d+) \| [^|]+ \| `([a-z.]+)` \|$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert {key: int(bcm) for bcm, _, key in rows} == DEFAULTS
    assert all(HEADER[int(physical)] == f"GPIO{bcm}" for bcm, physical, _ in rows)
