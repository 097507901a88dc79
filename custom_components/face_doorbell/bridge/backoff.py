"""How long to wait between tries to reach a bridge."""

import asyncio
import random
from typing import Final

RETRY_S: Final = (0, 1, 2, 4, 8, 10)  # a restarting bridge is back in seconds; the last one is repeated
STEADY_S: Final = (
    5  # a connection that ends sooner did not end the outage, else tries would follow without a pause
)
JITTER: Final = 0.2  # so that several doorbells do not come back in step


class Backoff:
    """The pauses between the tries of one outage after the other; `wake` ends the present one."""

    def __init__(self) -> None:
        """Start with an outage."""
        self._tries = 0
        self._news = asyncio.Event()

    def lost(self, after_s: float) -> None:
        """Begin with the shortest pause again, if the connection that is lost has lasted for a while."""
        if after_s >= STEADY_S:
            self._tries = 0
        self._news.clear()

    def wake(self) -> None:
        """End the present pause, or skip the next one: a try is worth it now."""
        self._tries = 0
        self._news.set()

    async def pause(self) -> None:
        """Wait until the next try is due."""
        delay = RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        self._tries += 1
        try:
            async with asyncio.timeout(delay * random.uniform(1 - JITTER, 1 + JITTER)):  # noqa: S311 - no secret
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()
