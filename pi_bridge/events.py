"""What clients still have to hear: one list of ring events, numbered from the start of the process.

A session remembers how far it has sent. Live delivery and replay are therefore the same, and nothing can overflow.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Collection
from operator import itemgetter

from .model import Ring, RingEvent


class EventLog:
    """The events of all rings that some client has not acked."""

    def __init__(self) -> None:
        self._events: list[tuple[int, RingEvent]] = []
        self._end = 0

    @property
    def end(self) -> int:
        """The position that the next event will have."""
        return self._end

    def append(self, event: RingEvent) -> None:
        """Add an event."""
        self._events.append((self._end, event))
        self._end += 1

    def since(self, position: int, acked_seq: int) -> list[tuple[int, RingEvent]]:
        """Return the events from `position` on, with their positions, without the rings up to `acked_seq`."""
        start = bisect_left(self._events, position, key=itemgetter(0))
        return [entry for entry in self._events[start:] if entry[1].seq > acked_seq]

    def pending(self, acked_seq: int) -> int:
        """Return how many rings lie beyond `acked_seq`."""
        return sum(isinstance(event, Ring) and event.seq > acked_seq for _, event in self._events)

    def forget(self, seq: int) -> None:
        """Drop the rings up to `seq`."""
        self._events = [entry for entry in self._events if entry[1].seq > seq]

    def prune(self, rings: int, gone: Collection[int]) -> None:
        """Drop all but the newest `rings` rings, and those whose numbers are `gone`."""
        kept = [event.seq for _, event in self._events if isinstance(event, Ring) and event.seq not in gone]
        keep = set(kept[-rings:])
        self._events = [entry for entry in self._events if entry[1].seq in keep]


class Signal:
    """Wakes all who wait. Take `next` first, then look, then wait for it: nothing is missed in between."""

    def __init__(self) -> None:
        self.next = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait."""
        self.next.set()
        self.next = asyncio.Event()
