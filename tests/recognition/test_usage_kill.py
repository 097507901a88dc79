"""Home Assistant is killed while it asks AWS: no call is forgotten, and all lives together keep to the budget.

`KILLS=200 pytest --timeout 0 tests/recognition/test_usage_kill.py` is the long form; SEED chooses other points.
"""

from collections.abc import Iterator
import os
from pathlib import Path
import random
import sqlite3

import pytest

from custom_components.face_doorbell.recognition.ledger import Ledger
from custom_components.face_doorbell.recognition.prices import cost
from custom_components.face_doorbell.recognition.usage import MonthUsage, Usage
from tests.fake_rekognition import FakeRekognition, PaintedEyes, aws_server
from tests.recognition.conftest import s3_with_bucket
from tests.recognition.killed_calls import BUDGET, FACES, ledger
from tests.recognition.test_kill import NEVER, Lives

KILLS = int(os.environ.get("KILLS", "8"))
SEED = int(os.environ.get("SEED", "4"))


@pytest.fixture
def lives_and_aws(tmp_path: Path) -> Iterator[tuple[Lives, FakeRekognition]]:
    with aws_server(PaintedEyes()) as (url, fake):
        s3_with_bucket(url)
        lived = Lives(tmp_path / "lives", url, "tests.recognition.killed_calls")
        yield lived, fake
        lived.close()


def test_a_kill_forgets_no_call(lives_and_aws: tuple[Lives, FakeRekognition]) -> None:
    lives, fake = lives_and_aws
    random_ = random.Random(SEED)
    first = lives.live(0, NEVER)
    assert first["status"] == 0
    (counted,) = ledger(lives.root).load()
    assert counted.calls == fake.billed
    deaths = 0
    for _ in range(KILLS):
        deaths += lives.live(0, random_.randint(1, int(first["passed"])))["status"] == -9
        (counted,) = ledger(lives.root).load()
        # What died with its call on the way may be counted for nothing.
        asked = sum(fake.billed.values())
        assert asked <= sum(counted.calls.values()) <= asked + deaths * FACES
        assert cost(counted.calls) <= BUDGET + 1e-9
    assert deaths > KILLS / 3
    assert lives.live(0, NEVER)["status"] == 0  # comes to the end without a budget left
    assert cost(fake.billed) <= BUDGET + 1e-9


def test_months_are_kept(tmp_path: Path) -> None:
    kept = Ledger(tmp_path / "new" / "usage.sqlite")
    assert not kept.load()
    october = MonthUsage("2026-10", {"CompareFaces": 9})
    november = MonthUsage("2026-11", {"CompareFaces": 2}, lifted=True)
    for month in (october, november):
        kept.save(month)
    kept.flush()
    kept.close()
    assert Ledger(tmp_path / "new" / "usage.sqlite").load() == [october, november]


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at", b"\0" * 8192])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "usage.sqlite"
    file.write_bytes(content)
    kept = Ledger(file)
    assert not kept.load()
    kept.save(MonthUsage("2026-11", {"CompareFaces": 1}))
    kept.close()
    assert Ledger(file).load() == [MonthUsage("2026-11", {"CompareFaces": 1})]
    assert file.with_suffix(".damaged").read_bytes() == content
    assert "begins anew" in caplog.text


def test_a_disk_that_fails_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Ledger(tmp_path / "usage.sqlite")
    usage = Usage(keep=kept.save)
    usage.reserve("CompareFaces")
    with sqlite3.connect(tmp_path / "usage.sqlite") as connection:
        connection.execute("DROP TABLE usage")
    connection.close()
    for _ in range(3):
        usage.reserve("CompareFaces")
    assert usage.month.calls == {"CompareFaces": 4}
    assert caplog.text.count("a restart would forget them") == 1
    kept.close()
