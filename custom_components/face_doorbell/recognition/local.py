"""The engine `local`: embeddings from the bridge, one centroid for each person, distances in plain Python. No cloud."""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
import logging
import math
from typing import Final

from ..model import Box, Embedding, Face, Picture
from . import images
from .decision import Rule, decide
from .errors import EngineUnavailableError, PersonError, PhotoRefusedError
from .gallery import Gallery, Person, Photo, Vector
from .model import FaceAnswer, FaceFinder, Match, Recognition, SyncReport

_LOGGER = logging.getLogger(__name__)

# L2 distance at which a model is right for most adults and lets in hardly any stranger; it becomes similarity 90.
# mobilefacenet-1: 93 to 97 % right in three groups of adults (77 % with sunglasses and profiles), at most 0.14 % of
# strangers let in; measured on 1,894 photos of 325 persons. It does not separate children well.
OPERATING_DISTANCE: Final[Mapping[str, float]] = {"mobilefacenet-1": 0.80}
DEFAULT_OPERATING_DISTANCE: Final = 0.80  # of a model that this table does not know yet
STEEPNESS: Final = 10.0  # per unit of distance: 0.1 further away takes similarity 90 to 77


def similarity(distance: float, model: str) -> float:
    """Return the L2 distance of two unit vectors as similarity, 0 to 100.

    A logistic curve that passes 90 at the model's operating distance.
    """
    operating = OPERATING_DISTANCE.get(model, DEFAULT_OPERATING_DISTANCE)
    return 100 / (1 + math.exp(STEEPNESS * (distance - operating)) / 9)


class LocalEngine:
    """Answers from embeddings.

    A face too small to embed cannot be told from anybody's, so it is left out of the answer, as Rekognition does not
    see such faces either; a picture with no other face is `no_face`.
    """

    name: Final = "local"

    def __init__(self, finder: FaceFinder, rule: Rule) -> None:
        """Take what finds faces (the bridges) and the rule that decides."""
        self.rule = rule
        self._finder = finder
        self._syncing = asyncio.Lock()
        self._closed = False
        self._gallery: Gallery | None = None
        self._index = _Index(())
        self._model: str | None = None  # of the finder, as far as it has shown it

    async def recognize(self, picture: Picture) -> Recognition:
        """Answer every face of a picture; faces that the bridge has embedded already cost nothing."""
        faces = await self._look(picture) if picture.faces is None else _embedded(picture.faces)
        if self._gallery is not None and not self._closed and not self._index.covers(faces):
            # The bridge has got another model, or the last sync did not get through.
            self._model = faces[0][1].model
            await self.sync(self._gallery)
            if not self._index.covers(faces):
                # The bridge that embeds the gallery is not the one that rang, and has a model of its own.
                faces = await self._look(picture)
        return Recognition(self.name, tuple(self._answer(box, embedding) for box, embedding in faces))

    async def compare(self, source: bytes, target: bytes) -> float:
        """Return the similarity of the largest faces of two images."""
        first, second = [
            _usable(await self._find(await asyncio.to_thread(images.prepare, image)))[0][1]
            for image in (source, target)
        ]
        if first.model != second.model:
            raise EngineUnavailableError("service_unavailable")  # another bridge answered in between
        return similarity(math.dist(first.vector, second.vector), first.model)

    async def inspect(self, photo: bytes) -> Sequence[Face]:
        """Return the faces of a prepared photo that can be embedded; raises `photo_face_too_small` when none can."""
        faces = await self._find(photo)
        if faces:
            _usable(faces)
        return [face for face in faces if face.embedding]

    async def sync(self, gallery: Gallery) -> SyncReport:
        """Embed the photos that the finder's model has not seen. What exists answers already meanwhile."""
        async with self._syncing:
            self._gallery = gallery
            await self._build(gallery)
            added, refused, tried = 0, dict[str, str](), set[tuple[str, str]]()
            # Looked up anew each time: the first answer may show that the model has changed.
            while not self._closed and (missing := self._missing(gallery, tried)):
                tried.add(missing)
                if reason := await self._embed(gallery, *missing):
                    refused[missing[1]] = reason
                else:
                    added += 1
            if tried:
                await self._build(gallery)
            return SyncReport(added=added, refused=refused)

    async def forget_everyone(self, gallery: Gallery) -> SyncReport:
        """Answer from nobody until the next sync."""
        self._index = _Index(())
        return SyncReport()

    async def close(self) -> None:
        """Write nothing into the gallery any more: another engine may have read it anew."""
        self._closed = True
        async with self._syncing:
            pass

    async def _look(self, picture: Picture) -> list[tuple[Box, Embedding]]:
        return _embedded(await self._find(await asyncio.to_thread(images.prepare, picture.jpeg)))

    async def _find(self, jpeg: bytes) -> Sequence[Face]:
        faces = await self._finder.find_faces(jpeg)
        for _box, embedding in _embedded(faces):
            self._model = embedding.model
        return faces

    def _answer(self, box: Box, embedding: Embedding) -> FaceAnswer:
        centroids = self._index.centroids.get(embedding.model, {})
        matches = [
            Match(person_id, similarity(math.dist(centroid, embedding.vector), embedding.model))
            for person_id, centroid in centroids.items()
        ]
        return decide(box, matches, self.rule)

    def _missing(self, gallery: Gallery, tried: Container[tuple[str, str]]) -> tuple[str, str] | None:
        """Return person and photo id of the next photo that the finder's model (if known, else any) has not seen."""
        photos = ((person.id, photo) for person in gallery.persons for photo in person.photos)
        return next(
            (
                (person_id, photo.id)
                for person_id, photo in photos
                if (person_id, photo.id) not in tried and not _has_seen(photo, self._model)
            ),
            None,
        )

    async def _embed(self, gallery: Gallery, person_id: str, photo_id: str) -> str | None:
        """Embed a photo; return the key of the reason if that cannot be."""
        try:
            faces = await self._find(await asyncio.to_thread(gallery.photo, person_id, photo_id))
            embedding = _usable(faces)[0][1]
        except (PhotoRefusedError, PersonError) as err:
            _LOGGER.warning("Photo %s of %s cannot be used: %s", photo_id, person_id, err.key)
            if self._model:
                await asyncio.to_thread(gallery.set_refused, person_id, photo_id, self._model, err.key)
            return err.key
        await asyncio.to_thread(gallery.set_embedding, person_id, photo_id, embedding)
        return None

    async def _build(self, gallery: Gallery) -> None:
        self._index = await asyncio.to_thread(_Index, gallery.persons)


class _Index:
    """One centroid for each person and model."""

    def __init__(self, persons: Sequence[Person]) -> None:
        self._photos = [photo for person in persons for photo in person.photos]
        self.centroids: Mapping[str, Mapping[str, Vector]] = {
            model: {
                person.id: centroid(found) for person in persons if (found := vectors(person.photos, model))
            }
            for model in {model for photo in self._photos for model in photo.embeddings}
        }

    def covers(self, faces: Iterable[tuple[Box, Embedding]]) -> bool:
        """Return whether every photo has been seen by the models of these faces."""
        models = {embedding.model for _box, embedding in faces}
        return all(_has_seen(photo, model) for model in models for photo in self._photos)


def _has_seen(photo: Photo, model: str | None) -> bool:
    if model is None:
        return bool(photo.embeddings or photo.refused)
    return model in photo.embeddings or model in photo.refused


def _embedded(faces: Iterable[Face]) -> list[tuple[Box, Embedding]]:
    return [(face.box, face.embedding) for face in faces if face.embedding]


def _usable(faces: Sequence[Face]) -> list[tuple[Box, Embedding]]:
    """Return the faces with embeddings, at least one; raises PhotoRefusedError."""
    if embedded := _embedded(faces):
        return embedded
    raise PhotoRefusedError("photo_face_too_small" if faces else "photo_no_face")


def vectors(photos: Iterable[Photo], model: str) -> list[Vector]:
    """Return what a model has made of the photos that it could use."""
    return [photo.embeddings[model] for photo in photos if model in photo.embeddings]


def centroid(many: Sequence[Vector]) -> Vector:
    """Return the mean of unit vectors, made a unit vector again."""
    sums = [math.fsum(column) for column in zip(*many, strict=True)]
    length = math.hypot(*sums)
    return tuple(value / length for value in sums) if length else many[0]
