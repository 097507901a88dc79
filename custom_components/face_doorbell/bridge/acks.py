"""Which rings the bridge may forget."""

from .messages import Ring


class Acks:
    """The rings of one connection: an ack is cumulative, so it never passes a ring that is not stored yet."""

    def __init__(self) -> None:
        """Start with a new connection."""
        self._open: dict[str, int] = {}
        self._newest = 0
        self._acked: int | None = None

    def opened(self, ring: Ring) -> None:
        """Note a ring; the bridge sends them in order."""
        if self._acked is None:
            self._acked = ring.seq - 1
        self._open[ring.ring_id] = self._newest = ring.seq

    def stored(self, ring_id: str) -> None:
        """Note that the visit of a ring is stored."""
        self._open.pop(ring_id, None)

    def take(self) -> int | None:
        """Return the `seq` to ack now, or None when there is nothing new to say."""
        seq = min(self._open.values(), default=self._newest + 1) - 1
        if self._acked is None or seq <= self._acked:
            return None
        self._acked = seq
        return seq
