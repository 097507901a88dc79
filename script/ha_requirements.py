#!/usr/bin/env python3
"""List what Home Assistant would install by itself at its first start, so that it can be installed before.

Run it with a Python that has Home Assistant. Arguments are integrations on top of the ones that are always loaded.
"""

import json
from pathlib import Path
import sys

from homeassistant import bootstrap, components
from homeassistant.requirements import DISCOVERY_INTEGRATIONS

COMPONENTS = Path(components.__path__[0])


def requirements(names: set[str]) -> set[str]:
    """Return the requirements of integrations and of all that they load or wait for."""
    found: set[str] = set()
    done: set[str] = set()
    while todo := names - done:
        done |= todo
        for name in todo:
            manifest = json.loads((COMPONENTS / name / "manifest.json").read_text(encoding="utf-8"))
            found.update(manifest.get("requirements", ()))
            names = names.union(manifest.get("dependencies", ()), manifest.get("after_dependencies", ()))
            # An integration that can be discovered brings the discoverer along.
            names |= {
                domain
                for domain, keys in DISCOVERY_INTEGRATIONS.items()
                if any(key in manifest for key in keys)
            }
    return found


if __name__ == "__main__":
    always = bootstrap.CORE_INTEGRATIONS | bootstrap.DEFAULT_INTEGRATIONS | bootstrap.CRITICAL_INTEGRATIONS
    print("\n".join(sorted(requirements(always | set(sys.argv[1:])))))
