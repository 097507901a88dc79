from __future__ import annotations

import asyncio

import pytest

from pi_bridge import frames as frames_module
from pi_bridge.frames import Frames
from pi_bridge.model import Frame

SECOND = 1_000_000_000


def frame(second: float, size: int = 10) -> Frame:
    return Frame(bytes(size), int(second * SECOND))


def filled(*seconds: float, buffer_s: float = 3.0) -> Frames:
    frames = Frames(buffer_s)
    for second in seconds:
        frames.add(frame(second))
    return frames


def test_before_the_first_frame_there_is_none() -> None:
    frames = Frames(3.0)
    assert frames.latest is None
    assert frames.at(SECOND) is None


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (12.05, 12.0),  # the newest before
        (12.1, 12.1),  # at the very moment
        (20.0, None),  # all are too old: they show somebody else
        (14.9, 12.2),
        (11.5, 12.0),  # none before: the earliest after
    ],
)
def test_the_frame_of_a_moment(asked: float, given: float | None) -> None:
    found = filled(12.0, 12.1, 12.2).at(int(asked * SECOND))
    assert found == (None if given is None else frame(given))


def test_only_the_last_seconds_are_kept() -> None:
    frames = filled(10.0, 11.0, 12.0, 13.5)
    assert frames.at(10 * SECOND) == frame(11.0)
    assert frames.latest == frame(13.5)


def test_the_last_frame_stays_however_old() -> None:
    frames = filled(1.0)
    assert frames.latest == frame(1.0)


def test_memory_is_bounded_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "MAX_BYTES", 1000)
    frames = Frames(3.0)
    for number in range(20):
        frames.add(frame(10 + number / 100, size=200))
    assert frames.at(10 * SECOND) == frame(10.15, size=200)
    frames.add(frame(10.5, size=5000))
    assert frames.at(10 * SECOND) == frame(10.5, size=5000)


def test_memory_is_bounded_by_number() -> None:
    many = Frames(3.0)
    for number in range(frames_module.MAX_FRAMES + 5):
        many.add(frame(10 + number / 1000))
    assert many.at(10 * SECOND) == frame(10.005)


async def test_waiting_for_the_next_frame() -> None:
    frames = Frames(3.0)
    waiting = asyncio.ensure_future(frames.next(0))
    await asyncio.sleep(0)
    assert not waiting.done()
    frames.add(frame(1.0))
    assert await waiting == frame(1.0)
    assert await frames.next(0) == frame(1.0)

    waiting = asyncio.ensure_future(frames.next(SECOND))
    await asyncio.sleep(0)
    assert not waiting.done()
    frames.add(frame(1.1))
    assert await waiting == frame(1.1)


async def test_a_slow_reader_finds_the_newest_frame() -> None:
    frames = filled(1.0, 1.1, 1.2)
    assert await frames.next(SECOND) == frame(1.2)


async def test_many_wait_and_one_who_gives_up_takes_nobody_along() -> None:
    frames = Frames(3.0)
    waiting = [asyncio.ensure_future(frames.next(0)) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    frames.add(frame(1.0))
    assert await asyncio.gather(*waiting[1:]) == [frame(1.0)] * 49
