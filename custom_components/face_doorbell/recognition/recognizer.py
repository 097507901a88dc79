"""The one object that Home Assistant holds: an engine and the gallery that it answers from, kept in step."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
import logging
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..model import Picture
from .decision import Rule
from .errors import EngineUnavailableError, PersonError, PhotoRefusedError, RecognitionError, disk_errors
from .gallery import Gallery, NewPhoto, Person
from .gallery_file import write_gallery
from .gate import Gate
from .model import Engine, FaceFinder, Recognition, SyncReport
from .self_check import SelfCheck, check_gallery

_LOGGER = logging.getLogger(__name__)

type Faces = Mapping[int, int]
type GivenPhoto = (
    bytes | NewPhoto
)  # a NewPhoto has passed the gate already, and is not judged (and billed) again
NO_FACES: Final[Faces] = MappingProxyType({})


class Recognizer:
    """Recognizes, and changes the gallery and the engine's index together.

    Changes come one after the other; recognition goes on beside them. Every method raises only errors of `errors.py`.
    """

    def __init__(self, engine: Engine, gallery: Gallery, finder: FaceFinder | None = None) -> None:
        """Take an engine, a gallery, and the bridges that may judge photos; nothing is read before `start`."""
        self.engine = engine
        self.gate = Gate(engine, gallery, finder)
        self._gallery = gallery
        self._finder = finder
        self._changing = asyncio.Lock()
        self._in_sync = False
        self._closed = False
        self._forgotten: frozenset[str] = frozenset()

    @property
    def persons(self) -> Sequence[Person]:
        """All persons, by name; reads no disk."""
        return self._gallery.persons

    @property
    def in_sync(self) -> bool:
        """Whether the engine's index is what the gallery is; if not, `sync` tries again."""
        return self._in_sync

    @property
    def closed(self) -> bool:
        """Whether nothing can be changed any more: another recognizer has taken over."""
        return self._closed

    @property
    def forgotten(self) -> frozenset[str]:
        """Who of the `names` of `start` had been removed before a crash, and is to be forgotten by the caller too."""
        return self._forgotten

    def find(self, who: str) -> Person:
        """Return a person by id or name; raises PersonError `person_not_found`."""
        return self._gallery.find(who)

    def person(self, person_id: str) -> Person:
        """Return a person; raises PersonError `person_not_found`."""
        return self._gallery.person(person_id)

    def check_name(self, name: str, *, but: str | None = None) -> None:
        """Raise PersonError as `Gallery.check_name`, where another person is one other than `but`."""
        self._gallery.check_name(name, but=but)

    async def photo(self, person_id: str, photo_id: str) -> bytes:
        """Return the JPEG of a person's photo; raises PersonError."""
        return await asyncio.to_thread(self._gallery.photo, person_id, photo_id)

    async def start(self, names: Mapping[str, str]) -> SyncReport:
        """Read the gallery, make its persons those of `names` (name by person id), and sync the engine.

        A person who is not in `names` is removed, one who is not in the gallery is there with the photos that lie
        there, but for those who were removed (`forgotten`). When the
        engine cannot be reached this raises its error with the gallery in place: recognition answers from what the
        engine has, and `sync` tries again.
        """
        async with self._change():
            await asyncio.to_thread(self._reconcile, names)
            return await self._sync()

    async def sync(self) -> SyncReport:
        """Make the engine's index what the gallery is."""
        async with self._change():
            return await self._sync()

    async def recognize(self, picture: Picture) -> Recognition:
        """Answer every face of a picture."""
        return await self.engine.recognize(picture)

    async def compare(self, source: bytes, target: bytes) -> float:
        """Return the similarity (0 to 100) of the largest faces of two images; raises PhotoRefusedError."""
        return await self.engine.compare(source, target)

    async def enrol(
        self,
        name: str,
        photos: Sequence[GivenPhoto],
        *,
        faces: Faces = NO_FACES,
        force: bool = False,
        person_id: str | None = None,
    ) -> Person:
        """Add a person with all photos, or change nothing; `force`: in spite of a PhotoDoubtError.

        Without photos nobody is recognized, so that the engine need not be reached.

        `faces` says which face is meant (from 1, from left to right) in a photo with several, by position from 0.
        `person_id` is for somebody who had this id before. Raises PersonError, PhotoRefusedError and what the engine
        raises.
        """
        async with self._change():
            self._gallery.check_name(name)
            inspected = await self._inspect(photos, None, faces, force=force)
            person = await asyncio.to_thread(self._gallery.add_person, name, inspected, person_id)
            if inspected:
                undo = partial(self._gallery.remove_person, person.id, named=False)
                await self._index_or_undo(person, inspected, undo)
            else:
                await self._sync_if_possible()
            return self.person(person.id)

    async def add_photos(
        self, person_id: str, photos: Sequence[GivenPhoto], *, faces: Faces = NO_FACES, force: bool = False
    ) -> Person:
        """Add photos to a person, all or none; a photo that is there already is no change. Raises as `enrol`."""
        async with self._change():
            known = {photo.id for photo in self.person(person_id).photos}
            inspected = await self._inspect(photos, person_id, faces, force=force)
            new = [photo for photo in inspected if photo.id not in known]
            person = await asyncio.to_thread(self._gallery.add_photos, person_id, new)
            added = [photo.id for photo in new]
            if inspected:
                await self._index_or_undo(
                    person, inspected, lambda: self._gallery.remove_photos(person_id, added)
                )
            return self.person(person_id)

    async def remove_photos(self, person_id: str, photo_ids: Iterable[str]) -> Person:
        """Remove photos of a person; raises PersonError. The engine follows when it can be reached."""
        async with self._change():
            person = await asyncio.to_thread(self._gallery.remove_photos, person_id, photo_ids)
            await self._sync_if_possible()
            return person

    async def remove_person(self, person_id: str) -> SyncReport | None:
        """Remove a person and all photos; raises PersonError.

        The engine follows when it can be reached (None: with a later sync).
        """
        async with self._change():
            await asyncio.to_thread(self._gallery.remove_person, person_id)
            return await self._sync_if_possible()

    async def rename_person(self, person_id: str, name: str) -> Person:
        """Give a person another name; raises PersonError. The engine follows when it can be reached."""
        async with self._change():
            person = await asyncio.to_thread(self._gallery.rename_person, person_id, name)
            await self._sync_if_possible()
            return person

    async def forget_everyone(self) -> SyncReport | None:
        """Remove all persons and photos, and all that the engine holds of us, known or not.

        The engine follows when it can be reached (None: with the next sync, and then only whom the gallery knew).
        """
        async with self._change():
            await asyncio.to_thread(self._gallery.remove_everyone)
            return await self._if_possible(self.engine.forget_everyone(self._gallery))

    async def check(self, rule: Rule) -> SelfCheck:
        """Compare all photos with each other; raises EngineUnavailableError `check_needs_doorbell`."""
        if self._finder is None:
            raise EngineUnavailableError("check_needs_doorbell")
        async with self._change():
            return await check_gallery(self._gallery, self._finder, rule)

    async def export(self, file: Path) -> int:
        """Write all persons and photos into a zip file; returns how many photos."""
        async with self._change():
            return await asyncio.to_thread(write_gallery, self._gallery, file)

    async def close(self) -> None:
        """Wait for a change that is under way, then release the engine; nothing can be changed any more."""
        async with self._changing:
            self._closed = True
            await self.engine.close()

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """Let one change at a time through, and none once another recognizer has taken over the gallery."""
        async with self._changing:
            if self._closed:
                raise EngineUnavailableError("recognition_not_ready")
            with disk_errors():
                yield

    def _reconcile(self, names: Mapping[str, str]) -> None:
        gallery = self._gallery
        gallery.load()
        self._forgotten = gallery.forgotten(names)
        for person in gallery.persons:
            if person.id not in names or person.id in self._forgotten:
                gallery.remove_person(person.id)
        known = {person.id: person.name for person in gallery.persons}
        for person_id, name in names.items():
            if person_id in self._forgotten:
                continue
            try:
                if person_id not in known:
                    gallery.bring_back(person_id, name)
                elif known[person_id] != name:
                    gallery.rename_person(person_id, name)
            except PersonError as err:
                _LOGGER.warning("Person %s could not be taken over: %s", person_id, err)

    async def _inspect(
        self, photos: Sequence[GivenPhoto], person_id: str | None, faces: Faces, *, force: bool
    ) -> list[NewPhoto]:
        """Return the photos as they will be stored; raises PhotoRefusedError unless the gate admits all."""
        inspected = []
        for position, photo in enumerate(photos):
            if isinstance(photo, NewPhoto):
                inspected.append(photo)
                continue
            try:
                inspected.append(
                    await self.gate.admit(photo, faces.get(position), person_id=person_id, force=force)
                )
            except PhotoRefusedError as refused:
                refused.position = position
                raise
        return inspected

    async def _index_or_undo(
        self, person: Person, photos: Sequence[NewPhoto], undo: Callable[[], object]
    ) -> None:
        """Sync the engine; when it fails, refuses one of the photos or is cancelled, undo the change there and here."""
        indexed = False
        try:
            report = await self._sync()
            for position, photo in enumerate(photos):
                if reason := report.refused.get(photo.id):
                    refused = PhotoRefusedError(reason)
                    refused.position = position
                    raise refused
            indexed = True
        finally:
            if not indexed:
                await asyncio.to_thread(undo)
                await self._sync_if_possible()

    async def _sync(self) -> SyncReport:
        self._in_sync = False
        report = await self.engine.sync(self._gallery)
        self._in_sync = True
        return report

    async def _sync_if_possible(self) -> SyncReport | None:
        """Sync after a change that stands anyway; the gallery remembers what is left to do."""
        return await self._if_possible(self._sync())

    async def _if_possible(self, work: Awaitable[SyncReport]) -> SyncReport | None:
        try:
            return await work
        except RecognitionError as err:
            _LOGGER.warning(
                "The change is stored; the index of the engine %s follows with the next sync: %s",
                self.engine.name,
                err,
            )
            return None
