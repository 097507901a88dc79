"""The visit log: what came of every ring, with its pictures, for as long as the household wants to know."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
import logging
from pathlib import Path
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..model import Embedding, Outcome
from .groups import Groups
from .model import Visit, VisitFace
from .store import Embeddings, Stored, VisitStore

_LOGGER = logging.getLogger(__name__)

PAGE: Final = 20  # visits that a query returns unless told: one screen of a phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long visits are kept, and how many.

    Pictures of strangers are kept no longer than anybody needs to ask about them; a gigabyte is what a small
    installation's disk and its backups can spare.
    """

    recognized: timedelta = timedelta(days=90)
    others: timedelta = timedelta(days=30)
    visits: int = 2_000
    size: int = 1_000_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFilter:
    """Which visits are wanted; None: all."""

    doorbell_id: str | None = None
    person_id: str | None = None
    group: str | None = None
    outcome: Outcome | None = None
    missed: bool | None = None

    def takes(self, visit: Visit) -> bool:
        """Return whether a visit is wanted."""
        return (
            self.doorbell_id in (None, visit.doorbell_id)
            and self.outcome in (None, visit.outcome)
            and self.missed in (None, visit.missed)
            and (self.person_id is None or any(face.person_id == self.person_id for face in visit.faces))
            and (self.group is None or any(face.group == self.group for face in visit.faces))
        )


ALL: Final = VisitFilter()


class ChangeKind(StrEnum):
    """What has become of a visit."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class VisitChange:
    """A visit that was added, changed (as it is now) or removed (as it was)."""

    kind: ChangeKind
    visit: Visit


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the log holds: visits, bytes, and when the oldest of them was."""

    visits: int
    size: int
    oldest: datetime | None


class VisitLog:
    """All visits of all doorbells; reading takes no disk, except for pictures. Changes come one after the other."""

    def __init__(self, hass: HomeAssistant, root: Path) -> None:
        """Keep the visits under `root`; nothing is read before `async_load`."""
        self.retention = Retention()
        self._hass = hass
        self._store = VisitStore(root)
        self._kept: dict[str, Stored] = {}
        self._rings: set[str] = set()
        self._oldest_first: list[Stored] = []
        self._groups = Groups()
        self._listeners: set[Callable[[VisitChange], None]] = set()
        self._changing = asyncio.Lock()

    # Reading

    def __contains__(self, visit_id: str) -> bool:
        return visit_id in self._kept

    def get(self, visit_id: str) -> Visit | None:
        """Return a visit, or None when there is none of this id (any more)."""
        stored = self._kept.get(visit_id)
        return stored.visit if stored else None

    def has_ring(self, ring_id: str) -> bool:
        """Return whether there is a visit of a ring, be it the first ring of the visit or a later one."""
        return ring_id in self._rings

    def newest_first(self, wanted: VisitFilter = ALL, *, before: str | None = None) -> Iterator[Visit]:
        """Yield the visits that are wanted; `before` is the `cursor` of the one to go on after."""
        end = len(self._oldest_first) if before is None else self._place(before)
        older = self._oldest_first[:end]
        return (stored.visit for stored in reversed(older) if wanted.takes(stored.visit))

    def query(
        self, wanted: VisitFilter = ALL, *, before: str | None = None, limit: int = PAGE
    ) -> list[Visit]:
        """Return a page of visits, newest first; `before` is the `cursor` of the last visit of the page before."""
        return list(islice(self.newest_first(wanted, before=before), limit))

    def count(self, wanted: VisitFilter = ALL) -> int:
        """Return how many visits are wanted."""
        return sum(1 for _ in self.newest_first(wanted))

    def last_visits(self) -> Mapping[str, Visit]:
        """Return the last visit of each person, by id."""
        oldest_first = (stored.visit for stored in self._oldest_first)
        return {face.person_id: visit for visit in oldest_first for face in visit.faces if face.person_id}

    @property
    def usage(self) -> Usage:
        """What there is, for the owner."""
        oldest = self._oldest_first[0].visit.at if self._oldest_first else None
        return Usage(len(self._kept), sum(stored.size for stored in self._oldest_first), oldest)

    @callback
    def async_subscribe(self, listener: Callable[[VisitChange], None]) -> CALLBACK_TYPE:
        """Call back in the event loop for every change, once it is on disk; returns how to stop it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def picture_file(self, visit_id: str, n: int) -> Path | None:
        """Return where the JPEG of a visit's `n`-th picture is, or None when there is none."""
        visit = self.get(visit_id)
        if visit is None or all(picture.n != n for picture in visit.pictures):
            return None
        return self._store.picture_file(visit_id, n)

    async def async_picture(self, visit_id: str, n: int) -> bytes | None:
        """Return the JPEG of a visit's `n`-th picture, or None when there is none."""
        file = self.picture_file(visit_id, n)
        return await self._hass.async_add_executor_job(_read, file) if file else None

    # Changing; each raises OSError when the disk fails.

    async def async_load(self) -> None:
        """Read the log and remove what a crash left half-made; called once."""
        for stored in await self._hass.async_add_executor_job(self._store.read_all):
            self._keep(stored)
        await self.async_prune()

    async def async_add(
        self, visit: Visit, pictures: Mapping[int, bytes], embeddings: Embeddings = ()
    ) -> Visit:
        """Store a visit with the JPEGs of its pictures and what its faces can be recognized by.

        It is safely on disk afterwards; returned with its strangers in their groups.
        """
        async with self._changing:
            embeddings = tuple(embeddings) or (None,) * len(visit.faces)
            visit = self._grouped(visit, embeddings)
            self._keep(await self._write(visit, embeddings, pictures))
            self._tell(ChangeKind.ADDED, visit)
        await self.async_prune()
        return visit

    async def async_change(self, visit_id: str, change: Callable[[Visit], Visit]) -> Visit | None:
        """Store what `change` makes of a visit; returns it, or None when it was forgotten meanwhile."""
        async with self._changing:
            stored = self._kept.get(visit_id)
            if stored is None:
                return None
            return await self._rewrite(stored, change(stored.visit), stored.embeddings)

    async def async_match_persons(self, names: Mapping[str, str]) -> int:
        """Give the persons of all visits the names that they have now, by id, and forget those who have none.

        Who is forgotten becomes a stranger whom nothing can recognize. Returns how many visits were changed.
        """
        changed = 0
        for visit_id in list(self._kept):
            async with self._changing:
                stored = self._kept.get(visit_id)
                if stored and (matched := _matched(stored, names)):
                    await self._rewrite(stored, *matched)
                    changed += 1
        return changed

    async def async_forget(self, visit_ids: Iterable[str]) -> int:
        """Delete visits with their pictures; returns how many there were."""
        async with self._changing:
            return await self._remove([visit_id for visit_id in visit_ids if visit_id in self])

    async def async_set_retention(self, retention: Retention) -> None:
        """Keep visits for so long from now on."""
        self.retention = retention
        await self.async_prune()

    async def async_prune(self, _now: datetime | None = None) -> None:
        """Forget the visits that are too old or too many; what the disk does not let go of stays for now."""
        async with self._changing:
            beyond = list(_beyond(reversed(self._oldest_first), self.retention, dt_util.utcnow()))
            try:
                await self._remove(beyond)
            except OSError as err:
                _LOGGER.error("Old visits could not be deleted: %s", err)

    async def _write(self, visit: Visit, embeddings: Embeddings, pictures: Mapping[int, bytes]) -> Stored:
        """Write a visit; leaves nothing on disk when the caller gives up waiting, and its ring comes again."""
        write = self._hass.async_add_executor_job(self._store.write, visit, embeddings, pictures)
        try:
            return await asyncio.shield(write)
        except asyncio.CancelledError:
            await asyncio.wait([write])
            await self._hass.async_add_executor_job(self._store.remove, [visit.visit_id])
            raise

    async def _rewrite(self, old: Stored, visit: Visit, embeddings: Embeddings) -> Visit:
        visit = self._grouped(visit, embeddings)
        if visit == old.visit and embeddings == old.embeddings:
            return visit
        new = await self._hass.async_add_executor_job(self._store.rewrite, visit, embeddings)
        self._drop(old)
        self._keep(new)
        self._tell(ChangeKind.CHANGED, visit)
        return visit

    async def _remove(self, visit_ids: Sequence[str]) -> int:
        if not visit_ids:
            return 0
        await self._hass.async_add_executor_job(self._store.remove, visit_ids)
        removed = [self._kept[visit_id] for visit_id in visit_ids]
        for stored in removed:
            self._drop(stored)
        for stored in removed:
            self._tell(ChangeKind.REMOVED, stored.visit)
        return len(removed)

    def _grouped(self, visit: Visit, embeddings: Embeddings) -> Visit:
        """Return the visit with each stranger in a group, and nobody else."""
        faces = []
        for face, embedding in zip(visit.faces, embeddings, strict=True):
            group = None
            if face.person_id is None and embedding:
                group = face.group or self._groups.find(embedding)
            faces.append(replace(face, group=group))
        return replace(visit, faces=tuple(faces))

    def _keep(self, stored: Stored) -> None:
        self._kept[stored.visit.visit_id] = stored
        self._rings.update(ring.ring_id for ring in stored.visit.rings)
        for group, embedding in _strangers(stored):
            self._groups.add(group, embedding)
        insort(self._oldest_first, stored, key=_cursor)

    def _drop(self, stored: Stored) -> None:
        del self._kept[stored.visit.visit_id]
        self._rings.difference_update(ring.ring_id for ring in stored.visit.rings)
        for group, embedding in _strangers(stored):
            self._groups.discard(group, embedding)
        del self._oldest_first[self._place(stored.visit.cursor)]

    def _place(self, cursor: str) -> int:
        """Return how many visits are older than a cursor."""
        return bisect_left(self._oldest_first, cursor, key=_cursor)

    def _tell(self, kind: ChangeKind, visit: Visit) -> None:
        for listener in list(self._listeners):
            listener(VisitChange(kind, visit))


VISITS: HassKey[VisitLog] = HassKey(f"{DOMAIN}_visits")


def _cursor(stored: Stored) -> str:
    return stored.visit.cursor


def _strangers(stored: Stored) -> Iterator[tuple[str, Embedding]]:
    for face, embedding in zip(stored.visit.faces, stored.embeddings, strict=True):
        if face.group and embedding:
            yield face.group, embedding


def _matched(stored: Stored, names: Mapping[str, str]) -> tuple[Visit, Embeddings] | None:
    """Return a visit with the present names of its persons and nothing of those who have none; None: as it is."""
    faces = tuple(_renamed(face, names) for face in stored.visit.faces)
    if faces == stored.visit.faces:
        return None
    gone = [face.person_id is not None and face.person_id not in names for face in stored.visit.faces]
    embeddings = tuple(
        None if forgotten else embedding for forgotten, embedding in zip(gone, stored.embeddings, strict=True)
    )
    return stored.visit.with_faces(faces), embeddings


def _renamed(face: VisitFace, names: Mapping[str, str]) -> VisitFace:
    if face.person_id is None:
        return face
    if face.person_id in names:
        return replace(face, name=names[face.person_id])
    return VisitFace(face.box, quality=face.quality)


def _beyond(newest_first: Iterable[Stored], retention: Retention, now: datetime) -> Iterator[str]:
    """Yield the ids of the visits that are not to be kept."""
    count = size = 0
    for stored in newest_first:
        visit = stored.visit
        keep = retention.recognized if visit.outcome is Outcome.RECOGNIZED else retention.others
        if visit.at < now - keep or count >= retention.visits or size + stored.size > retention.size:
            yield visit.visit_id
        else:
            count += 1
            size += stored.size


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
