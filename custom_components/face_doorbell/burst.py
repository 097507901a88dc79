"""The pictures of one ring as they come in, and which of them to ask the engine about."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
import logging
from typing import Final

from .model import Outcome, Picture
from .recognition.errors import RecognitionError
from .recognition.model import Recognition

_LOGGER = logging.getLogger(__name__)

BURST_S: Final = 10  # the bridge looks for 1.5 s; a lost connection gets the rest to come back
CLEAR_STRANGER: Final = 60  # less alike than this, no better picture makes a stranger somebody

type Recognize = Callable[[Picture], Awaitable[Recognition]]


@dataclass(frozen=True, slots=True)
class Shot:
    """The `n`-th picture of a ring, `at_ms` after the press; `good` enough to decide on by itself."""

    n: int
    at_ms: int
    good: bool
    picture: Picture


class RingBurst:
    """Collects the pictures of one ring. It always ends: with the bridge's word, or after `BURST_S`."""

    def __init__(self) -> None:
        """Start the clock."""
        loop = asyncio.get_running_loop()
        self._shots: dict[int, Shot] = {}
        self._expected: set[int] = set()
        self._over = False
        self._good: asyncio.Future[Shot | None] = loop.create_future()
        self._complete: asyncio.Future[None] = loop.create_future()
        self._patience = loop.call_later(BURST_S, self.close)

    @property
    def shots(self) -> tuple[Shot, ...]:
        """The pictures that are here, by number: each is better than those before it."""
        return tuple(self._shots[n] for n in sorted(self._shots))

    def expect(self, n: int) -> bool:
        """Note that a picture was announced; return whether it is still to be fetched."""
        if n in self._shots:
            return False
        self._expected.add(n)
        return True

    def add(self, shot: Shot) -> None:
        """Take an announced picture."""
        self._shots[shot.n] = shot
        self._expected.discard(shot.n)
        self._settle()

    def drop(self, n: int) -> None:
        """Give up a picture that the bridge does not have."""
        self._expected.discard(n)
        self._settle()

    def end(self) -> None:
        """Note that no more pictures will be announced."""
        self._over = True
        self._settle()

    def close(self) -> None:
        """End with what is here."""
        self._expected.clear()
        self.end()

    async def first_good(self) -> Shot | None:
        """Wait for the first good picture; None when the burst is over without one."""
        return await asyncio.shield(self._good)

    async def best(self) -> Shot | None:
        """Wait for the end and return the best picture; None when there is none."""
        await asyncio.shield(self._complete)
        return self.shots[-1] if self._shots else None

    def _settle(self) -> None:
        complete = self._over and not self._expected
        good = next((shot for shot in self.shots if shot.good), None)
        if (good or complete) and not self._good.done():
            self._good.set_result(good)
        if complete and not self._complete.done():
            self._patience.cancel()
            self._complete.set_result(None)


@dataclass(frozen=True, slots=True)
class Look:
    """What the engine answered about one picture."""

    shot: Shot
    recognition: Recognition

    @property
    def clear(self) -> bool:
        """Whether a better picture would not change the answer."""
        match self.recognition.outcome:
            case Outcome.RECOGNIZED:
                return True
            case Outcome.UNKNOWN:
                return all((face.similarity or 0) < CLEAR_STRANGER for face in self.recognition.faces)
            case _:
                return False


# Of two looks the one that saw more counts; of equal ones the later, which had the better picture.
_WORTH: Final = (Outcome.NO_FACE, Outcome.UNKNOWN, Outcome.RECOGNIZED)


async def look(burst: RingBurst, recognize: Recognize) -> Sequence[Look]:
    """Ask about the first good picture at once, and about the best one if that left a doubt.

    Returns the looks, the one that counts last; none when there is no picture. Raises RecognitionError when the engine
    has answered nothing.
    """
    looks: list[Look] = []
    first = await burst.first_good()
    if first is not None:
        looks.append(Look(first, await recognize(first.picture)))
        if looks[0].clear:
            return looks
    best = await burst.best()
    if best is not None and best is not first:
        try:
            looks.append(Look(best, await recognize(best.picture)))
        except RecognitionError as err:
            if not looks:
                raise
            _LOGGER.warning("The second look at a visitor failed and the first one counts: %s", err)
    return sorted(looks, key=lambda each: _WORTH.index(each.recognition.outcome))
