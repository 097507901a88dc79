"""How long Home Assistant waits between its tries to reach a bridge."""

import asyncio

import pytest

from custom_components.face_doorbell.bridge import backoff
from custom_components.face_doorbell.bridge.backoff import Backoff

HOUR_S = 3600


@pytest.fixture(autouse=True)
def two_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and never."""
    monkeypatch.setattr(backoff, "RETRY_S", (0, HOUR_S))


async def is_over(pauses: Backoff) -> bool:
    """Return whether the next pause is the short one."""
    try:
        async with asyncio.timeout(0.05):
            await pauses.pause()
    except TimeoutError:
        return False
    return True


async def test_an_outage_begins_with_a_short_pause() -> None:
    pauses = Backoff()
    assert [await is_over(pauses), await is_over(pauses)] == [True, False]
    pauses.lost(after_s=60)
    assert [await is_over(pauses), await is_over(pauses)] == [True, False]


async def test_a_link_that_is_lost_again_at_once_is_still_the_same_outage() -> None:
    pauses = Backoff()
    assert await is_over(pauses)
    pauses.lost(after_s=1)
    assert not await is_over(pauses)


async def test_news_end_a_pause() -> None:
    pauses = Backoff()
    assert await is_over(pauses)
    waiting = asyncio.ensure_future(pauses.pause())
    await asyncio.sleep(0)
    pauses.wake()
    await waiting
    assert await is_over(pauses)
