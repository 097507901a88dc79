"""What Home Assistant's own checker, hassfest, looks at in a custom integration; it cannot be installed here."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.const import Platform
from homeassistant.helpers.selector import validate_selector
import pytest
import yaml

from custom_components import face_doorbell
from custom_components.face_doorbell.services import ACTIONS

from .flow_texts import english

FOLDER = Path(face_doorbell.__file__).parent
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text())
ICONS: dict[str, Any] = json.loads((FOLDER / "icons.json").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "services.yaml").read_text())

ALLOWED = {
    *("domain", "name", "codeowners", "documentation", "version"),
    *(
        "after_dependencies",
        "config_flow",
        "dependencies",
        "import_executor",
        "integration_type",
        "iot_class",
    ),
    *("issue_tracker", "loggers", "quality_scale", "requirements", "single_config_entry", "zeroconf"),
}

# May be imported without being a dependency: every Home Assistant has them.
ALWAYS_THERE = {
    *Platform,
    "diagnostics",
    "homeassistant",
    "llm",  # asks for ours itself, as the others that look for a module of their name do
    "persistent_notification",
    "repairs",
    "system_health",
}

RULES = {
    "bronze": """action-setup appropriate-polling brands common-modules config-flow-test-coverage config-flow
        dependency-transparency docs-actions docs-triggers docs-conditions docs-high-level-description
        docs-installation-instructions docs-removal-instructions entity-event-setup entity-unique-id has-entity-name
        runtime-data test-before-configure test-before-setup unique-config-entry""",
    "silver": """action-exceptions config-entry-unloading docs-configuration-parameters docs-installation-parameters
        entity-unavailable integration-owner log-when-unavailable parallel-updates reauthentication-flow
        test-coverage""",
    "gold": """devices diagnostics discovery-update-info discovery docs-data-update docs-examples
        docs-known-limitations docs-supported-devices docs-supported-functions docs-troubleshooting docs-use-cases
        dynamic-devices entity-category entity-device-class entity-disabled-by-default entity-translations
        exception-translations icon-translations reconfiguration-flow repair-issues stale-devices""",
    "platinum": "async-dependency inject-websession strict-typing",
}


def test_the_manifest_has_known_keys_only() -> None:
    assert MANIFEST.keys() <= ALLOWED
    assert {"domain", "name", "codeowners", "documentation", "version"} <= MANIFEST.keys()
    assert MANIFEST["config_flow"] is True
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    assert MANIFEST["documentation"].startswith("https://")
    assert MANIFEST["issue_tracker"].startswith("https://")
    assert all(owner.startswith("@") for owner in MANIFEST["codeowners"])


def test_the_bridge_is_discovered() -> None:
    assert MANIFEST["zeroconf"] == ["_face-doorbell._tcp.local."]


def components() -> Iterator[str]:
    """Yield the other integrations that ours imports."""
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                parts = node.module.split(".")
                if parts[:2] == ["homeassistant", "components"]:
                    yield from [parts[2]] if len(parts) > 2 else [alias.name for alias in node.names]


def test_what_is_imported_is_a_dependency() -> None:
    declared = {*MANIFEST.get("dependencies", ()), *MANIFEST.get("after_dependencies", ())}
    assert set(components()) <= declared | ALWAYS_THERE


def test_the_library_of_aws_is_not_pinned() -> None:
    """Home Assistant pins it itself, and installs nothing that contradicts."""
    (requirement,) = MANIFEST["requirements"]
    assert re.fullmatch(r"boto3>=[\d.]+", requirement)


def test_files_are_where_home_assistant_looks_for_them() -> None:
    assert (FOLDER / "config_flow.py").exists()
    assert not (FOLDER / "strings.json").exists()  # only Home Assistant's own integrations have it


def test_every_action_is_described() -> None:
    names = {action.name for action in ACTIONS}
    assert SERVICES.keys() == names
    assert english()["services"].keys() == names
    assert ICONS["services"].keys() == names


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_field_of_an_action_is_described(action: Any) -> None:
    fields = (SERVICES[action.name] or {}).get("fields", {})
    texts = english()["services"][action.name]
    assert texts["name"]
    assert texts["description"]
    assert {str(marker) for marker in action.schema} == fields.keys() == texts.get("fields", {}).keys()
    for marker in action.schema:
        field = fields[str(marker)]
        assert type(marker).__name__ == ("Required" if field.get("required") else "Optional")
        validate_selector(field["selector"])
        assert texts["fields"][str(marker)].keys() == {"name", "description"}


def icons(branch: Any) -> Iterator[str]:
    if isinstance(branch, str):
        yield branch
    else:
        for value in branch.values():
            yield from icons(value)


def test_icons_are_of_material_design() -> None:
    assert all(re.fullmatch(r"mdi:[a-z0-9-]+", icon) for icon in icons(ICONS))


def test_the_quality_scale_knows_all_rules() -> None:
    rules = yaml.safe_load((FOLDER / "quality_scale.yaml").read_text())["rules"]
    assert rules.keys() == set(" ".join(RULES.values()).split())
    assert len(rules) == 54
