"""What a photo has to be to become a reference photo: one table of rules for every engine, and what is missing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
import math
from typing import Final

from ..model import Face, Picture
from . import images
from .errors import EngineSetupError, EngineUnavailableError, PhotoDoubtError, PhotoRefusedError
from .gallery import Gallery, NewPhoto, Person
from .local import centroid, similarity, vectors
from .model import Engine, FaceFinder

MIN_SIDE: Final = 60.0  # px of a face: of those, 92 % were found in a camera's picture; of 45 px, 72 %
MAX_YAW: Final = 45.0  # degrees: what Rekognition recommends for reference photos
MIN_QUALITY: Final = 0.5  # what is not good enough to decide on is no good to be decided by

ENOUGH_PHOTOS: Final = 3  # of one person: from there on a centroid was as good as the numbers in `local.py`
SIDEWAYS: Final = 12.0  # degrees from which on a face looks to a side
LOOK_ALIKE: Final = 50.0  # similarity from which on two persons are worth a warning: strangers stay below 20


class Advice(StrEnum):
    """What would make a person's photos better."""

    FEW = "few"
    FRONT = "front"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Another person whom somebody looks like, 0 to 100."""

    person: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule for the face of a photo, whose shorter side is given in pixels, and the key of what to tell if not."""

    key: str
    holds: Callable[[Face, float], bool]


RULES: Final = (
    _Rule("photo_face_too_small", lambda face, side: side >= MIN_SIDE),
    _Rule("photo_turned_away", lambda face, side: face.yaw is None or abs(face.yaw) <= MAX_YAW),
    _Rule("photo_poor_quality", lambda face, side: face.quality >= MIN_QUALITY),
)

# Which way the faces of a person's photos should look, and how to tell.
POSES: Final[Mapping[Advice, Callable[[float], bool]]] = {
    Advice.FRONT: lambda yaw: abs(yaw) < SIDEWAYS,
    Advice.LEFT: lambda yaw: yaw <= -SIDEWAYS,
    Advice.RIGHT: lambda yaw: yaw >= SIDEWAYS,
}


class Gate:
    """Judges photos with the eyes of a bridge where one is connected, which costs nothing, else with the engine's."""

    def __init__(self, engine: Engine, gallery: Gallery, finder: FaceFinder | None = None) -> None:
        """Take the engine, the gallery that photos are for, and the bridges, if the engine does not see with them."""
        self._engine = engine
        self._gallery = gallery
        self._finder = finder

    async def admit(
        self,
        photo: bytes,
        number: int | None = None,
        *,
        person_id: str | None = None,
        not_person: str | None = None,
        force: bool = False,
    ) -> NewPhoto:
        """Return the photo as it is to be stored, unless it breaks a rule.

        Of a photo with several faces it keeps the part with the face `number`, counted from 1, from left to right.
        `person_id` is whose photo it is to be, None for somebody new. Raises PhotoRefusedError, and PhotoDoubtError
        when the engine takes the face for another person's, unless `force` or that is `not_person`, of whom the user
        has said that it is not. Raises the engine's errors.
        """
        jpeg = await asyncio.to_thread(images.prepare, photo)
        faces = await self._faces(jpeg)
        if number is not None and len(faces) > 1:
            if not 1 <= number <= len(faces):
                raise PhotoRefusedError("photo_face_number", count=str(len(faces)))
            # Only this face is stored: the others have not asked for it, and an engine takes the largest.
            jpeg, _ = await asyncio.to_thread(images.crop, jpeg, faces[number - 1].box, 0)
            faces = await self._faces(jpeg)
        if not faces:
            raise PhotoRefusedError("photo_no_face")
        if len(faces) > 1:
            raise PhotoRefusedError("photo_several_faces", count=str(len(faces)))
        (face,) = faces
        side = await _shorter_side(jpeg, face)
        for rule in RULES:
            if not rule.holds(face, side):
                raise PhotoRefusedError(rule.key)
        if not force:
            await self._doubt(jpeg, face, {person_id, not_person})
        return NewPhoto(jpeg, face.embedding, face.yaw)

    async def faces(self, photo: bytes) -> tuple[bytes, Sequence[Face]]:
        """Return a photo as an upright JPEG, and those of its faces that can be meant, from left to right."""
        jpeg = await asyncio.to_thread(images.prepare, photo)
        return jpeg, await self._faces(jpeg)

    async def _faces(self, jpeg: bytes) -> Sequence[Face]:
        found = await self._find(jpeg)
        sides = [await _shorter_side(jpeg, face) for face in found]
        # Somebody far behind is not meant. Where all are too small, that is what is wrong.
        meant = [face for face, side in zip(found, sides, strict=True) if side >= MIN_SIDE] or found
        return sorted(meant, key=lambda face: face.box.left)

    async def _find(self, jpeg: bytes) -> Sequence[Face]:
        if self._finder:
            try:
                return await self._finder.find_faces(jpeg)
            except EngineUnavailableError, EngineSetupError:
                pass  # no bridge, or one without face models
        return await self._engine.inspect(jpeg)

    async def _doubt(self, jpeg: bytes, face: Face, but: AbstractSet[str | None]) -> None:
        """Raise PhotoDoubtError when a visitor who looks like this would be another person."""
        if not any(person.photos for person in self._gallery.persons if person.id not in but):
            return
        answer = await self._engine.recognize(Picture(jpeg, (face,)))
        for seen in answer.faces:
            if seen.person_id not in but | {None} and seen.similarity is not None:
                other = self._gallery.person(seen.person_id or "")
                raise PhotoDoubtError(
                    "photo_looks_like", person=other.name, similarity=f"{seen.similarity:.0f}"
                )


def advice(person: Person) -> Advice | None:
    """Return what a person's photos lack most; None when they are as they should be, or nothing is known against it."""
    yaws = [photo.yaw for photo in person.photos if photo.yaw is not None]
    if yaws and len(yaws) == len(person.photos):
        missing = next((pose for pose, shows in POSES.items() if not any(map(shows, yaws))), None)
        if missing:
            return missing
    return Advice.FEW if len(person.photos) < ENOUGH_PHOTOS else None


def look_alikes(persons: Sequence[Person], person_id: str) -> Sequence[LookAlike]:
    """Return whom a person looks like, the most alike first, as far as there are embeddings."""
    person = next(person for person in persons if person.id == person_id)
    models = sorted({model for photo in person.photos for model in photo.embeddings})
    found = [
        LookAlike(
            other, similarity(math.dist(centroid(vectors(person.photos, model)), centroid(theirs)), model)
        )
        for model in models[:1]
        for other in persons
        if other.id != person_id and (theirs := vectors(other.photos, model))
    ]
    alike = (each for each in found if each.similarity >= LOOK_ALIKE)
    return sorted(alike, key=lambda each: each.similarity, reverse=True)


async def _shorter_side(jpeg: bytes, face: Face) -> float:
    """Return the shorter side of a face in pixels."""
    width, height = await asyncio.to_thread(images.size, jpeg)
    return min(face.box.width * width, face.box.height * height)
