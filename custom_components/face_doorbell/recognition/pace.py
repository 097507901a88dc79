"""How many calls a second AWS allows, and waiting for one's turn, so that it has nothing to refuse.

The numbers are the default quotas of AWS's General Reference ("Amazon Rekognition endpoints and quotas").
"""

from collections import deque
from collections.abc import Callable, Mapping
import threading
import time
from typing import Final

LARGE_REGIONS: Final = frozenset({"us-east-1", "us-west-2", "eu-west-1"})
STATELESS: Final = frozenset({"CompareFaces", "DetectFaces"})
OF_FACES: Final = frozenset({"IndexFaces", "ListFaces", "SearchUsersByImage"})
OTHERS: Final = 5  # a second, in every region: users, associations, deletions, collections

# By whether the region is large.
PER_SECOND: Final[Mapping[bool, Mapping[str, int]]] = {
    large: dict.fromkeys(STATELESS, stateless) | dict.fromkeys(OF_FACES, of_faces)
    for large, stateless, of_faces in ((True, 100, 50), (False, 25, 5))
}

sleep = time.sleep  # of the worker thread that makes the call


class Pace:
    """Gives calls their turns; any number of threads may wait."""

    def __init__(self, region: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the region, and a clock in seconds."""
        self._per_second = PER_SECOND[region in LARGE_REGIONS]
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: dict[str, deque[float]] = {}

    def wait(self, operation: str) -> None:
        """Return when a call of this operation may be made."""
        with self._lock:
            now = self._clock()
            limit = self._per_second.get(operation, OTHERS)
            turns = self._turns.setdefault(operation, deque(maxlen=limit))
            turn = max(now, turns[0] + 1) if len(turns) == limit else now
            turns.append(turn)
        if turn > now:
            sleep(turn - now)
