"""The words and pictures of the entities, as they stand in the integration's folder."""

import json
from pathlib import Path
from typing import Any

from PIL import Image
import pytest

from custom_components import face_doorbell
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.sensor import NOBODY_KNOWN

FOLDER = Path(face_doorbell.__file__).parent


def read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return data


@pytest.mark.parametrize(("name", "size"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_the_icon_has_its_size(name: str, size: int) -> None:
    with Image.open(FOLDER / "brand" / name) as icon:
        assert icon.size == (size, size)


def test_every_entity_has_a_name_and_an_icon() -> None:
    names, icons = read("translations/en.json")["entity"], read("icons.json")["entity"]

    assert {domain: set(keys) for domain, keys in names.items()} == {
        domain: set(keys) for domain, keys in icons.items()
    }


def test_every_outcome_has_words() -> None:
    entity = read("translations/en.json")["entity"]

    event_types = entity["event"]["visitor"]["state_attributes"]["event_type"]["state"]
    assert set(event_types) == set(Outcome)
    assert set(entity["sensor"]["last_visitor"]["state"]) == set(NOBODY_KNOWN.values())


def test_every_reason_of_a_failure_has_words() -> None:
    translations = read("translations/en.json")
    reasons = translations["entity"]["event"]["visitor"]["state_attributes"]["reason"]["state"]

    # A failed visit names what the same failure of an action would; only the missing picture is its own.
    assert reasons.keys() - translations["exceptions"].keys() == {"no_picture"}
    assert {
        "no_doorbell",
        "throttled",
        "invalid_auth",
        "wrong_region",
        "photo_not_an_image",
    } <= reasons.keys()
