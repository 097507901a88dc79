"""The visit log: whole or not at all, kept as long as promised, there again after a restart."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
import json
import os
from pathlib import Path
import shutil
import threading
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.face_doorbell.attendance import Attendance
from custom_components.face_doorbell.bridge import Ring
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Box, Embedding, Outcome
from custom_components.face_doorbell.recognition.images import THUMBNAIL_BYTES
from custom_components.face_doorbell.visits import (
    VISITS,
    ChangeKind,
    Retention,
    Timings,
    Visit,
    VisitChange,
    VisitFace,
    VisitFilter,
    VisitLog,
    VisitPicture,
)
from custom_components.face_doorbell.visits.store import Stored, VisitStore
from tests import photos
from tests.bridge.doubles import RunningBridge

from .helpers import (
    BOX,
    LAST_PICTURE,
    LAST_VISITOR,
    RECOGNIZED,
    VISITOR,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    known,
    state,
    until_acked,
)

JPEG = b"\xff\xd8 one picture \xff\xd9"


def visit(at: datetime, outcome: Outcome | None = Outcome.UNKNOWN) -> Visit:
    return Visit(
        visit_id=str(uuid4()),
        doorbell_id="9f3c21ab",
        at=at,
        outcome=outcome,
        faces=(VisitFace(Box(0.1, 0.2, 0.3, 0.4), "ann-1", "Ann", 97.5),),
        pictures=(VisitPicture(0, -31),),
        picture=0,
        timings=Timings(ring=2, decision=310),
        calls={"search": 1},
    )


@pytest.fixture
async def log(hass: HomeAssistant, tmp_path: Path) -> VisitLog:
    return await load(hass, tmp_path)


async def load(hass: HomeAssistant, tmp_path: Path) -> VisitLog:
    log = VisitLog(hass, tmp_path / "visits")
    await log.async_load()
    return log


def kept(log: VisitLog) -> list[Visit]:
    return list(log.newest_first())


async def test_a_visit_is_there_after_a_restart(hass: HomeAssistant, log: VisitLog, tmp_path: Path) -> None:
    stored = visit(dt_util.utcnow())
    await log.async_add(stored, {0: JPEG})

    again = await load(hass, tmp_path)

    assert kept(again) == [stored]
    assert stored.visit_id in again
    assert await again.async_picture(stored.visit_id, 0) == JPEG


async def test_the_newest_comes_first_whenever_it_was_stored(
    hass: HomeAssistant, log: VisitLog, tmp_path: Path
) -> None:
    now = dt_util.utcnow()
    new, old = visit(now), visit(now - timedelta(hours=1))
    await log.async_add(new, {})
    await log.async_add(old, {})

    assert kept(log) == [new, old]
    assert kept(await load(hass, tmp_path)) == [new, old]


async def test_a_changed_record_is_there_after_a_restart(
    hass: HomeAssistant, log: VisitLog, tmp_path: Path
) -> None:
    stored = visit(dt_util.utcnow())
    await log.async_add(stored, {0: JPEG})
    changed = replace(stored, timings=Timings(ring=2, decision=310, answer=315))

    await log.async_change(stored.visit_id, lambda visit: replace(visit, timings=changed.timings))

    assert kept(log) == [changed]
    assert kept(await load(hass, tmp_path)) == [changed]


async def test_half_a_visit_is_no_visit(
    hass: HomeAssistant, log: VisitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power fails before the folder has its name."""

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no power")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        patch.setattr(shutil, "rmtree", fail)
        with pytest.raises(OSError, match="no power"):
            await log.async_add(visit(dt_util.utcnow()), {0: JPEG})
    assert list((tmp_path / "visits").iterdir())

    assert kept(log) == []
    assert kept(await load(hass, tmp_path)) == []
    assert not list((tmp_path / "visits").iterdir())


async def test_what_cannot_be_read_stays_and_hurts_nobody(
    hass: HomeAssistant, log: VisitLog, tmp_path: Path
) -> None:
    stored = visit(dt_util.utcnow())
    await log.async_add(stored, {0: JPEG})
    root = tmp_path / "visits"
    (root / "notes").mkdir()
    (root / "notes.txt").write_text("mine")
    shutil.copytree(root / stored.visit_id, root / "copy")
    wrongs: Sequence[Mapping[str, object]] = ({"embeddings": []}, {"at": "2026-11-01T12:00:00"})
    for wrong in wrongs:
        other = root / str(uuid4())
        shutil.copytree(root / stored.visit_id, other)
        record = json.loads((other / "visit.json").read_bytes())
        (other / "visit.json").write_text(json.dumps({**record, "visit_id": other.name, **wrong}))

    assert kept(await load(hass, tmp_path)) == [stored]
    assert len(list(root.iterdir())) == 6


@pytest.mark.parametrize(
    ("outcome", "days"),
    [
        (Outcome.RECOGNIZED, 90),
        (Outcome.UNKNOWN, 30),
        (Outcome.NO_FACE, 30),
        (Outcome.FAILED, 30),
        (None, 30),
    ],
)
async def test_visits_are_forgotten_in_time(
    hass: HomeAssistant,
    log: VisitLog,
    tmp_path: Path,
    freezer: FrozenDateTimeFactory,
    *,
    outcome: Outcome | None,
    days: int,
) -> None:
    stored = visit(dt_util.utcnow(), outcome)
    await log.async_add(stored, {0: JPEG})

    freezer.tick(timedelta(days=days) - timedelta(hours=1))
    await log.async_prune()
    assert kept(log) == [stored]

    freezer.tick(timedelta(hours=2))
    await log.async_prune()
    assert kept(log) == []
    assert not list((tmp_path / "visits").iterdir())


@pytest.mark.parametrize("retention", [Retention(visits=2), Retention(size=3_500)])
async def test_the_oldest_make_room(log: VisitLog, retention: Retention) -> None:
    await log.async_set_retention(retention)
    now = dt_util.utcnow()
    stored = [visit(now - timedelta(minutes=minutes)) for minutes in range(4)]
    for each in reversed(stored):
        await log.async_add(each, {0: bytes(500)})

    assert kept(log) == stored[:2]


async def test_the_last_visitor_is_known_after_a_restart(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    entry = await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)
    before = state(hass, LAST_VISITOR), state(hass, LAST_PICTURE).state

    await hass.config_entries.async_unload(entry.entry_id)
    hass.data[VISITS] = await load(hass, Path(hass.config.path(DOMAIN)))
    await hass.config_entries.async_setup(entry.entry_id)

    assert state(hass, LAST_VISITOR).state == "Ann"
    assert state(hass, LAST_VISITOR).attributes == before[0].attributes
    assert state(hass, RECOGNIZED).state == "on"
    assert state(hass, LAST_PICTURE).state == before[1]


async def test_a_visit_keeps_its_pictures_and_times(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)

    stored = hass.data[VISITS].get(state(hass, VISITOR).attributes["visit_id"])

    assert stored is not None
    assert stored.outcome is Outcome.RECOGNIZED
    assert stored.names == ["Ann"]
    assert [picture.n for picture in stored.pictures] == [0]
    assert stored.calls == {"look": 1}
    times = stored.timings
    assert None not in (times.ring, times.picture, times.decision, times.answer)
    assert times.ring <= times.picture <= times.decision <= times.answer  # type: ignore[operator] # not None


async def test_a_visit_too_old_to_keep_is_done_with(hass: HomeAssistant, bridge: RunningBridge) -> None:
    await add_doorbell(hass, bridge)
    await hass.data[VISITS].async_set_retention(Retention(others=timedelta(0)))

    bridge.press()
    await until_acked(bridge)

    assert not list(hass.data[VISITS].newest_first())


async def test_a_doorbell_that_goes_while_a_visit_is_written_leaves_nothing_of_it(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    entry = await add_doorbell(hass, bridge)
    writing, go, write = asyncio.Event(), threading.Event(), VisitStore.write

    def slowly(store: VisitStore, *args: Any) -> Stored:
        hass.loop.call_soon_threadsafe(writing.set)
        go.wait()
        return write(store, *args)

    with patch.object(VisitStore, "write", slowly):
        bridge.press()
        await writing.wait()
        removing = asyncio.ensure_future(hass.config_entries.async_remove(entry.entry_id))
        await asyncio.sleep(0)
        go.set()
        await removing
    assert not await hass.async_add_executor_job(os.listdir, hass.config.path(DOMAIN, "visits"))


async def test_a_visit_that_cannot_be_stored_comes_again(
    hass: HomeAssistant, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    await add_doorbell(hass, bridge)

    def fail(self: Path, target: Path) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        async with change(hass, VISITOR) as visitor:
            bridge.press()
            visit_id = (await visitor).attributes["visit_id"]  # the household hears of it all the same
    assert visit_id not in hass.data[VISITS]

    await bridge.restart()
    await until_acked(bridge)
    assert visit_id in hass.data[VISITS]


async def test_a_wrong_clock_at_the_door_does_not_misplace_a_visit(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    start_of_time = datetime(1970, 1, 1, tzinfo=UTC)
    ring = Ring(1, str(uuid4()), start_of_time, age_ms=3_000, clock_ok=False)
    attendance = Attendance(ring, "9f3c21ab", missed=False)
    attendance.burst.end()

    stored = (await attendance.async_decide(hass, recognize=True)).visit

    assert stored.at == dt_util.utcnow() - timedelta(seconds=3)
    assert stored.at_sure


async def test_a_visit_whose_time_nobody_knows_says_so(hass: HomeAssistant) -> None:
    start_of_time = datetime(1970, 1, 1, tzinfo=UTC)
    ring = Ring(1, str(uuid4()), start_of_time, age_ms=20_000, clock_ok=False, age_ok=False)
    attendance = Attendance(ring, "9f3c21ab", missed=True)
    attendance.burst.end()

    stored = (await attendance.async_decide(hass, recognize=True)).visit

    assert not stored.at_sure


async def test_pictures_are_for_those_who_are_logged_in(
    hass: HomeAssistant,
    bridge: RunningBridge,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)
    visit_id = state(hass, VISITOR).attributes["visit_id"]
    url = f"/api/face_doorbell/visits/{visit_id}/0.jpg"

    answer = await (await hass_client()).get(url)
    assert (answer.status, await answer.read()) == (200, photos.photo("obama2"))
    assert (await (await hass_client_no_auth()).get(url)).status == 401


@pytest.mark.parametrize("path", ["{visit_id}/7.jpg", "nobody/0.jpg", "{visit_id}/visit.json"])
async def test_no_other_file_is_served(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator, path: str
) -> None:
    await add_doorbell(hass, bridge)
    async with change(hass, LAST_VISITOR) as visited:
        bridge.press()
        visit_id = (await visited).attributes["visit_id"]
    client = await hass_client()

    answer = await client.get(f"/api/face_doorbell/visits/{path.format(visit_id=visit_id)}")

    assert answer.status == 404


# What others ask of the log


def at(minutes_ago: int, **changes: Any) -> Visit:
    return replace(visit(dt_util.utcnow() - timedelta(minutes=minutes_ago)), **changes)


async def test_visits_are_found_by_what_is_wanted(log: VisitLog) -> None:
    stranger = VisitFace(Box(0.1, 0.2, 0.3, 0.4))
    ann = at(3)
    missed = at(2, missed=True, faces=(stranger,), outcome=Outcome.UNKNOWN)
    elsewhere = at(1, doorbell_id="another", outcome=Outcome.NO_FACE, faces=())
    for each in (elsewhere, ann, missed):
        await log.async_add(each, {})
    for wanted, found in (
        (VisitFilter(), [elsewhere, missed, ann]),
        (VisitFilter(doorbell_id="another"), [elsewhere]),
        (VisitFilter(person_id="ann-1"), [ann]),
        (VisitFilter(outcome=Outcome.NO_FACE), [elsewhere]),
        (VisitFilter(missed=True), [missed]),
        (VisitFilter(missed=False, doorbell_id="9f3c21ab"), [ann]),
    ):
        assert log.query(wanted) == found
        assert log.count(wanted) == len(found)
    assert log.last_visits() == {"ann-1": ann}


async def test_pages_go_on_where_the_last_one_ended(log: VisitLog) -> None:
    moment = dt_util.utcnow()
    visits = [await log.async_add(visit(moment), {}) for _ in range(5)]  # at the same moment
    first = log.query(limit=2)
    await log.async_add(at(-1), {})  # somebody rings meanwhile
    await log.async_forget([first[-1].visit_id])
    rest = log.query(before=first[-1].cursor, limit=10)
    assert {each.visit_id for each in (*first, *rest)} == {each.visit_id for each in visits}
    assert len(first) + len(rest) == len(visits)


async def test_changes_are_told(log: VisitLog) -> None:
    told: list[VisitChange] = []
    stop = log.async_subscribe(told.append)
    stored = await log.async_add(at(1), {0: JPEG})
    changed = await log.async_change(stored.visit_id, lambda visit: replace(visit, test=True))
    await log.async_change(stored.visit_id, lambda visit: visit)  # no change
    await log.async_forget([stored.visit_id, "nobody"])
    stop()
    await log.async_add(at(1), {})
    assert changed
    assert told == [
        VisitChange(ChangeKind.ADDED, stored),
        VisitChange(ChangeKind.CHANGED, changed),
        VisitChange(ChangeKind.REMOVED, changed),
    ]
    assert await log.async_change(stored.visit_id, lambda visit: visit) is None


async def test_nobody_else_on_the_machine_may_read_visits(log: VisitLog, tmp_path: Path) -> None:
    stored = await log.async_add(at(1), {0: JPEG})
    await log.async_change(stored.visit_id, lambda visit: replace(visit, test=True))
    folder = tmp_path / "visits"
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


async def test_a_visit_is_forgotten_whole_or_not_at_all(
    hass: HomeAssistant, log: VisitLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power fails while the pictures are being deleted."""
    stored = await log.async_add(at(1), {0: JPEG, 1: JPEG})

    def fail(path: Path, *, ignore_errors: bool) -> None:
        next(path.glob("visit.json")).unlink()
        raise OSError("no power")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        with pytest.raises(OSError, match="no power"):
            await log.async_forget([stored.visit_id])

    assert kept(await load(hass, tmp_path)) == []
    assert not list((tmp_path / "visits").iterdir())


async def test_what_faces_can_be_recognized_by_is_told_to_nobody(log: VisitLog) -> None:
    stored = await log.async_add(
        at(1, faces=(VisitFace(BOX),)), {0: JPEG}, [Embedding("mobilefacenet-1", (0.123456, 0.992370))]
    )
    assert stored.faces[0].group
    assert "0.123456" not in repr(stored)
    assert "0.123456" not in repr(stored.to_json())


# Small pictures


async def test_thumbnails_are_small_and_show_the_face(
    hass: HomeAssistant, bridge: RunningBridge, hass_client: ClientSessionGenerator
) -> None:
    await add_recognition(hass, ScriptedEngine([[known("ann-1")]]), {"ann-1": "Ann"})
    await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)
    address = f"/api/face_doorbell/visits/{state(hass, VISITOR).attributes['visit_id']}"
    client = await hass_client()
    for path, side in (("faces/0.jpg", 160), ("thumbnails/0.jpg", 320)):
        for _ in range(2):  # made, and then remembered
            answer = await client.get(f"{address}/{path}")
            content = await answer.read()
            assert answer.status == 200
            assert len(content) <= THUMBNAIL_BYTES
            with Image.open(BytesIO(content)) as image:
                assert max(image.size) == side
    for path in ("faces/1.jpg", "thumbnails/7.jpg"):
        assert (await client.get(f"{address}/{path}")).status == 404
