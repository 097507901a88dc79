"""What the fake takes for granted about AWS is the list that `script/aws_check` asks the real one for."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
from typing import Any
from unittest.mock import patch

import pytest

from custom_components.face_doorbell.recognition.aws import Aws
from custom_components.face_doorbell.recognition.prices import cost
from harness import aws_check, aws_contract
from harness.aws_contract import CONTRACT, SCRATCH
from tests.fake_rekognition import FakeRekognition, Fault, RealEyes, aws_server
from tests.photos import ROOT
from tests.recognition.conftest import REGION, SETTINGS, Cloud, s3_client

NAME = f"{SCRATCH}0123456789ab"
AWS_MD = ROOT / "docs" / "aws.md"
SCRATCH_SETTINGS = replace(SETTINGS, bucket=NAME, collection=NAME)
OF_THE_FAKE = [each for each in CONTRACT if each.lacking is None]
SECRET = "nobody may see this"


def left_behind(cloud: Cloud) -> list[str]:
    buckets = [bucket["Name"] for bucket in cloud.s3.list_buckets()["Buckets"]]
    return [name for name in buckets if name.startswith(SCRATCH)] + [
        name for _, _, name in cloud.rekognition._collections if name.startswith(SCRATCH)
    ]


def test_the_fake_does_as_aws_is_expected_to(real_cloud: Cloud) -> None:
    told: list[str] = []
    report = aws_check.run(SCRATCH_SETTINGS, OF_THE_FAKE, told.append)
    assert [answer for answer in report.answers if not answer.holds] == []
    assert report.status == aws_check.AS_EXPECTED
    assert len(report.answers) == len(OF_THE_FAKE)
    assert left_behind(real_cloud) == []
    # What is announced before is what it costs.
    assert real_cloud.rekognition.billed == aws_contract.billed(OF_THE_FAKE)
    assert aws_contract.cost() == pytest.approx(cost(real_cloud.rekognition.billed))


def test_a_difference_is_named_and_the_rest_is_asked_all_the_same(real_cloud: Cloud) -> None:
    told: list[str] = []
    real_cloud.rekognition.fail["CreateUser"] = Fault("SomethingNew")
    some = OF_THE_FAKE[: [each.says for each in OF_THE_FAKE].index("A stranger is not") + 1]
    report = aws_check.run(SCRATCH_SETTINGS, some, told.append)
    assert report.status == aws_check.DIFFERENT
    different = {answer.says: answer.seen for answer in report.answers if not answer.holds}
    assert different["A user is made once"] == ["SomethingNew", "SomethingNew"]
    assert "A stranger is not" not in different
    assert len(report.answers) == len(some)
    assert (
        'DIFFERENT    A user is made once\n               expected ["done", "ConflictException"]'
        in "".join(told)
    )
    assert left_behind(real_cloud) == []


def test_what_cannot_be_deleted_is_named(real_cloud: Cloud) -> None:
    with real_cloud.failing("DeleteBucket", "AccessDenied"):
        report = aws_check.run(SCRATCH_SETTINGS, OF_THE_FAKE[:4], lambda _: None)
    assert report.status == aws_check.NOT_ASKED
    (left,) = report.left
    assert left.startswith(f"bucket {NAME}: ")
    assert left_behind(real_cloud) == [NAME]


@pytest.mark.parametrize("name", ["photos", "face_doorbell"])
def test_nothing_else_is_ever_deleted(cloud: Cloud, name: str) -> None:
    with pytest.raises(ValueError, match="not ours"):
        aws_contract.clean_up(Aws(SETTINGS).run(lambda clients: clients), name)


def test_the_policy_for_the_check_holds_for_scratch_names_only() -> None:
    statements = json.loads(aws_check.scratch_policy(REGION))["Statement"]
    resources = {each["Sid"]: each["Resource"] for each in statements}
    assert resources.pop("Stateless") == "*"
    assert all(SCRATCH in resource for resource in resources.values())
    assert "s3:DeleteBucket" in next(each["Action"] for each in statements if each["Sid"] == "Scratch")


@pytest.fixture
def server(eyes: RealEyes) -> Iterator[tuple[str, FakeRekognition]]:
    """AWS on a real socket."""
    with aws_server(eyes) as server:
        yield server


def start(endpoint: str, *options: str) -> subprocess.Popen[str]:
    """Start the check as a user does."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": SECRET}
    return subprocess.Popen(
        # Who runs the tests in the background has given them a deaf ear for Ctrl-C.
        [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "harness.aws_check",
            "--endpoint",
            endpoint,
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, **keys},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def buckets(endpoint: str) -> list[str]:
    names = [bucket["Name"] for bucket in s3_client(endpoint).list_buckets()["Buckets"]]
    return [name for name in names if name.startswith(SCRATCH)]


def test_the_whole_check_as_a_user_runs_it(server: tuple[str, FakeRekognition], tmp_path: Path) -> None:
    endpoint, fake = server
    process = start(endpoint, "--yes", "--json", str(tmp_path / "report.json"))
    output, _ = process.communicate()
    report: Mapping[str, Any] = json.loads((tmp_path / "report.json").read_text())
    different = [each["says"] for each in report["answers"] if not each["holds"]]
    assert different == [each.says for each in CONTRACT if each.lacking], output
    assert process.returncode == aws_check.DIFFERENT
    assert output.index("$0.0") < output.index("as expected")
    assert report["left"] == buckets(endpoint) == []
    assert not fake.state()
    assert SECRET not in output + json.dumps(report)
    assert "AKIATEST" not in output + json.dumps(report)


def test_ctrl_c_leaves_nothing(server: tuple[str, FakeRekognition]) -> None:
    endpoint, fake = server
    hold = threading.Event()
    fault = fake.fail["IndexFaces"] = Fault(hold=hold)
    process = start(endpoint, "--yes")
    fault.reached.wait()
    assert len(buckets(endpoint)) == 1
    process.send_signal(signal.SIGINT)
    hold.set()
    output, _ = process.communicate()
    assert process.returncode == aws_check.NOT_ASKED, output
    assert "Nothing is left" in output
    assert buckets(endpoint) == []
    assert not fake.state()


def test_nothing_happens_unless_the_cost_is_agreed_to(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["aws_check"])
    with patch("builtins.input", return_value="n") as asked:
        assert aws_check.main() == aws_check.NOT_ASKED
    asked.assert_called_once_with("Go on? [y/N] ")
    assert f"${aws_contract.cost():.3f}" in capsys.readouterr().out
    assert not cloud.rekognition.calls
    assert left_behind(cloud) == []


def contract_table() -> str:
    """Return the contract for the documentation."""
    rows = (
        f"| {each.says} | {', '.join(f'{count} {name}' for name, count in each.billed.items()) or 'free'} |"
        f" {each.lacking or 'yes'} |"
        for each in CONTRACT
    )
    total = f"| together | {sum(aws_contract.billed().values())} calls, ${aws_contract.cost():.3f} | |"
    return "\n".join(
        ("| what AWS does | billed calls | asked of the stand-in |", "|---|---|---|", *rows, total)
    )


def test_the_documentation_has_the_contract() -> None:
    before, begin, rest = AWS_MD.read_text().partition("<!-- contract -->\n")
    _, end, after = rest.partition("<!-- end of contract -->")
    wanted = f"{before}{begin}{contract_table()}\n{end}{after}"
    if os.environ.get("REWRITE_DOCS"):
        AWS_MD.write_text(wanted)
    assert AWS_MD.read_text() == wanted, "REWRITE_DOCS=1 puts the contract there"
