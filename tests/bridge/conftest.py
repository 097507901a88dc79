"""For the tests of the bridge, which run with and without Home Assistant's test plugin."""

import pytest


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Take the place of the plugin's fixture: its rules about threads and timers are Home Assistant's."""


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Take the place of the plugin's fixture: debug mode would distort what is timed."""
