"""Whether everything that a flow shows, and every error that a user meets, has its text in English."""

from collections.abc import Iterator, Mapping
import functools
import json
from pathlib import Path
import string
from typing import Any

from homeassistant.config_entries import (
    ConfigEntriesFlowManager,
    ConfigSubentryFlowManager,
    OptionsFlowManager,
)
from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.exceptions import HomeAssistantError

from custom_components import face_doorbell
from custom_components.face_doorbell.const import DOMAIN

Texts = Mapping[str, Any]


TRANSLATIONS = Path(face_doorbell.__file__).parent / "translations"


@functools.cache
def texts_in(language: str) -> Texts:
    """Return all texts in a language."""
    texts: Texts = json.loads((TRANSLATIONS / f"{language}.json").read_text())
    return texts


def english() -> Texts:
    """Return all texts in the language that the others are translated from."""
    return texts_in("en")


def placeholders(text: str) -> set[str]:
    """Return the names of what stands in a text in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def check_error(error: HomeAssistantError) -> None:
    """Check the text of an error of ours."""
    if error.translation_domain == DOMAIN:
        _check(
            "exceptions",
            english()["exceptions"][error.translation_key]["message"],
            error.translation_placeholders,
        )


def check_step(manager: object, step: Mapping[str, Any]) -> None:
    """Check the texts of what a flow shows next."""
    if (texts := _texts_of(manager, step["handler"])) is None:
        return
    told = step.get("description_placeholders")
    match step["type"]:
        case FlowResultType.ABORT if step.get("translation_domain") is None:
            _check("abort", texts["abort"][step["reason"]], told)
        case FlowResultType.CREATE_ENTRY if step["description"]:
            _check("create_entry", texts["create_entry"][step["description"]], told)
        case FlowResultType.MENU:
            of_step = texts["step"][step["step_id"]]
            _check_step_texts(of_step, told)
            assert set(step["menu_options"]) <= of_step["menu_options"].keys()
        case FlowResultType.FORM:
            of_step = texts["step"][step["step_id"]]
            _check_step_texts(of_step, told)
            schema = step["data_schema"].schema if step["data_schema"] else {}
            for field, where in _fields(schema, of_step):
                assert where["data"][field]
                assert where["data_description"][field]
            for error in (step["errors"] or {}).values():
                _check("error", texts["error"][error], told)


def _texts_of(manager: object, handler: Any) -> Texts | None:
    match manager:
        case ConfigEntriesFlowManager() if handler == DOMAIN:
            texts: Texts = english()["config"]
        case ConfigSubentryFlowManager():
            texts = english()["config_subentries"][handler[1]]
        case OptionsFlowManager():
            texts = english()["options"]
        case _:
            return None
    return texts


def _fields(schema: Mapping[Any, Any], texts: Texts) -> Iterator[tuple[str, Texts]]:
    """Yield each field of a form and where its texts are."""
    for marker, validator in schema.items():
        if isinstance(validator, section):
            yield from _fields(validator.schema.schema, texts["sections"][str(marker)])
        else:
            yield str(marker), texts


def _check_step_texts(texts: Texts, told: Mapping[str, str] | None) -> None:
    assert texts["title"]
    for key in ("title", "description"):
        _check(key, texts.get(key, ""), told)


def _check(what: str, text: str, told: Mapping[str, str] | None) -> None:
    missing = placeholders(text) - (told or {}).keys()
    assert not missing, f"{what} {text!r} lacks {missing}"
