"""Strangers who look alike: "the same one as on Tuesday"."""

from collections.abc import Iterator
from dataclasses import dataclass
import math
from typing import Final
import uuid

from ..model import Embedding
from ..recognition.decision import DEFAULT_THRESHOLD
from ..recognition.local import similarity

# As alike as a visitor has to be to a person; a setting of the household's does not move past groups.
LOOK_ALIKE: Final = DEFAULT_THRESHOLD


@dataclass(slots=True)
class _Group:
    """The sum of the embeddings of one stranger, all of one model."""

    model: str
    sums: list[float]
    count: int = 0

    def add(self, embedding: Embedding, sign: int = 1) -> None:
        self.sums = [total + sign * value for total, value in zip(self.sums, embedding.vector, strict=True)]
        self.count += sign

    def similarity(self, embedding: Embedding) -> float:
        length = math.hypot(*self.sums)
        centroid = [total / length for total in self.sums]
        return similarity(math.dist(centroid, embedding.vector), self.model)


class Groups:
    """Which group a stranger belongs to: the most alike one, or a new one."""

    def __init__(self) -> None:
        """Start without strangers."""
        self._groups: dict[str, _Group] = {}

    def find(self, embedding: Embedding) -> str:
        """Return the group of somebody who looks like this, or a new id."""
        alike = max(self._similarities(embedding), default=(0.0, ""))
        return alike[1] if alike[0] >= LOOK_ALIKE else uuid.uuid4().hex

    def add(self, group: str, embedding: Embedding) -> None:
        """Count a face in."""
        found = self._groups.setdefault(group, _Group(embedding.model, [0.0] * len(embedding.vector)))
        found.add(embedding)

    def discard(self, group: str, embedding: Embedding) -> None:
        """Count out a face that was counted in; a group of nobody is gone."""
        found = self._groups[group]
        found.add(embedding, -1)
        if not found.count:
            del self._groups[group]

    def _similarities(self, embedding: Embedding) -> Iterator[tuple[float, str]]:
        for name, group in self._groups.items():
            if group.model == embedding.model:
                yield group.similarity(embedding), name
