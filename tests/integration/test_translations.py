"""All texts are there in every language, say the same thing everywhere, and are as Home Assistant wants them."""

from collections import Counter
from collections.abc import Iterator, Mapping
import itertools
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations
import pytest

from custom_components import face_doorbell
from custom_components.face_doorbell.const import DOMAIN
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

from .flow_texts import TRANSLATIONS, english, placeholders, texts_in

LANGUAGES = ("en", "de", "fr", "es", "nl", "it", "pl", "pt")

ROOT = Path(__file__).parents[2]
FOLDER = Path(face_doorbell.__file__).parent
CARD = (FOLDER / "frontend" / "face-doorbell.js").read_text()
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
    for language in LANGUAGES:
        texts = texts_in(language)
        config, person = texts["config"]["error"], texts["config_subentries"]["person"]["error"]
        for key, text in texts["exceptions"].items():
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
    if re.search(r"'[{}]", text):
        yield "an apostrophe before a placeholder, which switches it off"
    if not all(name.isidentifier() for name in placeholders(text)):
        yield "a placeholder that is no name"


def test_texts_are_as_home_assistant_wants_them() -> None:
    texts = sentences({language: texts_in(language) for language in LANGUAGES})
    assert [(path, fault) for path, text in texts for fault in faults(text)] == []


def test_the_languages() -> None:
    assert {file.name for file in TRANSLATIONS.iterdir()} == {f"{language}.json" for language in LANGUAGES}


def report(folder: Path = TRANSLATIONS) -> tuple[int, list[str]]:
    """Return the exit status and the lines of script/translations."""
    command: list[str | Path] = [sys.executable, ROOT / "script" / "translations", "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_every_language_has_the_same_texts_and_placeholders_and_is_up_to_date() -> None:
    assert report() == (0, [])


def test_what_is_wrong_with_a_language_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "translations"
    shutil.copytree(TRANSLATIONS, folder)

    def change(language: str, old: str, new: str) -> None:
        file = folder / f"{language}.json"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    for language in ("de", "pl"):
        change(language, '"card_save":', '"card_safe":')
    change("fr", "Pas {name}", "Pas {nom}")
    change("en", '"Load more"', '"Load even more"')

    status, lines = report(folder)

    assert status == 1
    assert lines == [
        "de pl: common.card_save is missing: 'Save'",
        "de pl: common.card_safe is left over",
        "fr: common.card_not has other placeholders than ['name']",
        "all: common.card_more was translated from another English text than 'Load even more'",
    ]


def anchors(text: str) -> Counter[str]:
    """Count what stays as it is in every language: numbers, emphasis, paragraphs, code and AWS permissions."""
    return Counter(re.findall(r"\d+|\*\*|\n\n|```\w*|s3:\w+|forget everyone|\w+\.local", text))


def test_a_translation_keeps_what_is_not_language() -> None:
    for language in LANGUAGES[1:]:
        texts = dict(sentences(texts_in(language)))
        for path, text in sentences(english()):
            told = texts[path]
            assert anchors(told) == anchors(text), f"{language}{path}"
            assert re.findall(r"[.?…]$", told) == re.findall(r"[.?…]$", text), f"{language}{path}"
            assert told != text or not text.endswith("."), f"{language}{path} is still English"


async def test_home_assistant_loads_every_language(hass: HomeAssistant) -> None:
    """None falls back to English, as a text does whose placeholders differ."""
    for language, category in itertools.product(LANGUAGES, english()):
        texts = texts_in(language)[category]
        assert await async_get_translations(hass, language, category, {DOMAIN}) == {
            f"component.{DOMAIN}{path.replace('/', '.')}": text for path, text in sentences({category: texts})
        }


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


def test_the_card_may_read_from_right_to_left() -> None:
    """Only boxes in pictures have a left and a right, and these are not part of its style."""
    (style,) = re.findall(r"const STYLE = `(.*?)`;", CARD, re.DOTALL)
    assert re.findall(r"[^\w-]((?:[\w-]+-)?(?:left|right)\b[^;}]*)", style) == []
    for rule in re.findall(r"{([^{}]*)}", style):
        for name, value in re.findall(r"(margin|padding|border-width|inset):([^;]+)", rule):
            sides = re.sub(r"\(.*\)", "", value).split()
            assert len(sides) < 4 or sides[1] == sides[3] or f"{name}-inline:" in rule, rule
