"""Home Assistant as a whole is killed while persons are added, named, corrected and removed: all agrees afterwards.

The short form of `script/soak --people 200 --engine rekognition`.
"""

import json
from pathlib import Path
import subprocess
import sys

import pytest

from tests.photos import ROOT

KILLS = 3


@pytest.mark.timeout(300)
def test_home_assistant_agrees_with_itself_and_with_aws_after_a_kill(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    soak = ["harness.soak", "--people", str(KILLS), "--seed", "11", "--engine", "rekognition"]
    ended = subprocess.run(
        [sys.executable, "-m", *soak, "--json", str(result)],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout
    report = json.loads(result.read_text())
    assert (report["kills"], report["broken"]) == (KILLS, [])
    assert report["afterwards"] < KILLS
