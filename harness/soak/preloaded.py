"""Imports what every Home Assistant imports while it starts, so that a forked one need not."""

from importlib import import_module
from pkgutil import walk_packages

from homeassistant.bootstrap import CORE_INTEGRATIONS, DEFAULT_INTEGRATIONS

from custom_components import face_doorbell

for domain in CORE_INTEGRATIONS | DEFAULT_INTEGRATIONS | {"stream"}:
    import_module(f"homeassistant.components.{domain}")
for module in walk_packages(face_doorbell.__path__, f"{face_doorbell.__name__}."):
    import_module(module.name)
