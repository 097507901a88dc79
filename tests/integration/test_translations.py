"""All texts are there, say the same thing everywhere, and are as Home Assistant wants them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components import face_doorbell
from custom_components.face_doorbell.recognition import errors
from custom_components.face_doorbell.recognition.errors import (
    EngineAuthError,
    EngineSetupError,
    EngineUnavailableError,
    PersonError,
    PhotoDoubtError,
    PhotoRefusedError,
    RecognitionError,
)

from .flow_texts import english, placeholders

FOLDER = Path(face_doorbell.__file__).parent
SOURCE = "\n".join(path.read_text() for path in FOLDER.rglob("*.py"))

ENGINE_ERRORS = (RecognitionError, EngineAuthError, EngineUnavailableError, EngineSetupError)
PERSON_ERRORS = (*ENGINE_ERRORS, PhotoRefusedError, PhotoDoubtError, PersonError)


def keys(*classes: type[RecognitionError]) -> dict[str, set[str]]:
    """Return the keys that the errors' docstrings name, with their placeholders."""
    named: dict[str, set[str]] = {each.default_key: set() for each in classes}
    for each in classes:
        _, _, listed = (each.__doc__ or "").partition("Keys:")
        for key, remark in re.findall(r"`(\w+)`(?:\s+\(([^)]*)\))?", listed):
            named[key] = set(re.findall(r"`(\w+)`", remark))
    return named


def sentences(texts: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its path."""
    if isinstance(texts, str):
        yield path, texts
    else:
        for key, value in texts.items():
            yield from sentences(value, f"{path}/{key}")


def test_the_docstrings_name_the_keys() -> None:
    """Otherwise the tests below would check nothing."""
    assert keys(EngineSetupError)["wrong_region"] == {"bucket", "region"}
    assert {"photo_no_face", "person_name_taken", "invalid_auth", "storage_failed"} <= keys(
        *PERSON_ERRORS
    ).keys()
    assert set(PERSON_ERRORS) == {each for each in vars(errors).values() if isinstance(each, type)} & set(
        PERSON_ERRORS
    )


@pytest.mark.parametrize(
    ("where", "classes"),
    [
        (english()["config"]["error"], ENGINE_ERRORS),
        (english()["config_subentries"]["person"]["error"], PERSON_ERRORS),
        ({key: text["message"] for key, text in english()["exceptions"].items()}, PERSON_ERRORS),
    ],
    ids=["config flow", "person", "exceptions"],
)
def test_every_error_of_recognition_has_a_text(
    where: Mapping[str, str], classes: tuple[type[RecognitionError], ...]
) -> None:
    for key, told in keys(*classes).items():
        assert placeholders(where[key]) <= told, key


def test_an_error_of_recognition_reads_the_same_everywhere() -> None:
    config, person = english()["config"]["error"], english()["config_subentries"]["person"]["error"]
    for key, text in english()["exceptions"].items():
        if key in keys(*PERSON_ERRORS):
            assert person[key] == text["message"]
            assert config.get(key, person[key]) == text["message"]


def test_no_text_is_left_over() -> None:
    person = english()["config_subentries"]["person"]
    used = [
        *english()["config"]["error"],
        *english()["config"]["abort"],
        *person["error"],
        *person["abort"],
        *english()["exceptions"],
    ]
    named = set(re.findall(r"[\"`](\w+)[\"`]", SOURCE))
    assert set(used) - named == {"already_configured"}  # named by Home Assistant


def faults(text: str) -> Iterator[str]:
    """Yield what Home Assistant would not take in a text."""
    if not text or text != text.strip():
        yield "blanks at the ends"
    if re.search(r"<[a-z/]", text):
        yield "HTML"
    if "://" in text:
        yield "an address, which belongs into a placeholder"
    if "[%key" in text:
        yield "a reference, which only Home Assistant's own texts may have"
    if re.search(r"'\{\w+\}'", text):
        yield "quotes around a placeholder, which switch it off"
    if not all(name.isidentifier() for name in placeholders(text)):
        yield "a placeholder that is no name"


def test_texts_are_as_home_assistant_wants_them() -> None:
    assert [(path, fault) for path, text in sentences(english()) for fault in faults(text)] == []


def steps() -> Iterator[tuple[str, Mapping[str, Any]]]:
    flows = {"config": english()["config"], "options": english()["options"], **english()["config_subentries"]}
    for flow, texts in flows.items():
        for step, of_step in texts["step"].items():
            yield f"{flow} {step}", of_step
            for name, of_section in of_step.get("sections", {}).items():
                yield f"{flow} {step} {name}", of_section


def test_every_field_is_explained() -> None:
    for step, texts in steps():
        assert texts.get("data", {}).keys() == texts.get("data_description", {}).keys(), step
        assert texts.get("menu_option_descriptions", {}).keys() <= texts.get("menu_options", {}).keys(), step


def test_a_person_can_be_added_and_changed() -> None:
    person = english()["config_subentries"]["person"]
    assert person["entry_type"]
    assert person["initiate_flow"].keys() == {"user", "reconfigure"}
