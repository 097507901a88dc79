"""What can be said of the packaging without a Pi; script/try_install tries the rest in a fresh Debian."""

from __future__ import annotations

from pathlib import Path
import shutil
import subprocess

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
WORST_EXPOSURE = 2.0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_unit_is_confined() -> None:
    """`systemd-analyze security` counts what a service could do from 0 (nothing) to 10; the threshold is in tenths."""
    done = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", f"--threshold={WORST_EXPOSURE * 10:.0f}"),
            PACKAGING / "face-doorbell-bridge.service",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_installer_is_a_program_that_bash_understands() -> None:
    installer = PACKAGING / "install.sh"
    assert installer.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", installer], check=True)
