"""No press is lost, and nobody else gets in: the short form of script/soak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from tests.photos import ROOT

pytest.importorskip("homeassistant", reason="the household is a real Home Assistant")

SOAKS = {
    "presses": ("--presses", "60", "--seed", "11"),
    "attacks": ("--attacks", "--cases", "400", "--seed", "11"),
}


class Soak:
    """A running soak."""

    def __init__(self, result: Path, *arguments: str) -> None:
        self._result = result
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.soak", "--json", str(result), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> Any:
        """Wait for the result, with which the soak must be content."""
        output, _ = self._process.communicate()
        assert self._process.returncode == 0, output
        return json.loads(self._result.read_text())

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(scope="module")
def soaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Soak]]:
    """Both side by side: each mostly waits."""
    folder = tmp_path_factory.mktemp("soak")
    running = {name: Soak(folder / name, *arguments) for name, arguments in SOAKS.items()}
    yield running
    for each in running.values():
        each.end()


@pytest.mark.timeout(300)
def test_no_press_is_lost_told_twice_or_misdated(soaks: Mapping[str, Soak]) -> None:
    result = soaks["presses"].result()
    assert result["sent"] > 30
    assert result["received"] == result["sent"]
    assert (result["lost"], result["duplicates"], result["mistimed"]) == (0, 0, 0)
    assert result["faults"].keys() > {"kill_bridge", "cut", "slow_commits"}


@pytest.mark.timeout(300)
def test_nobody_else_gets_in_and_the_bell_goes_on(soaks: Mapping[str, Soak]) -> None:
    result = soaks["attacks"].result()
    assert result["tried"] > 2000
    assert result["longest_stall_ms"] > 0
    assert (result["accepted"], result["crashes"]) == (0, 0)
    assert {name for name, tally in result["attacks"].items() if tally["refused"] < tally["tried"]} == set()
