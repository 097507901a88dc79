"""For all tests. The bridge is tested where there is no Home Assistant too, so nothing here needs it."""

import atexit
import contextlib
import os
import shutil
import tempfile

import pytest

# Home Assistant's test plugin has a package of this name too; the one that is loaded first stays.
import custom_components  # noqa: F401

# Home Assistant empties its upload folder at start: test processes that run side by side must not share one.
# The path is short because a Unix socket's is at most 107 characters long.
os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="fd")
atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tables that tests make for the documentation be written."""
    parser.addoption("--write-docs", action="store_true", help="write the documentation's tables anew")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: in a file there may be the time, and all test processes need the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    """Open sockets to this machine, which Home Assistant's test plugin closes, and to nowhere else."""
    with contextlib.suppress(ImportError):
        import pytest_socket

        pytest_socket.enable_socket()
        pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
