"""The engine `rekognition`: faces are searched in a collection, or compared with each reference photo in S3."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
import logging
import math
import threading
from typing import TYPE_CHECKING, Final, NamedTuple
import uuid

from ..model import SAME_FACE, Box, Face, Picture
from . import images
from .aws import REGIONS, Aws, AwsSettings, Clients, Mode
from .aws_check import check, create_bucket
from .decision import Rule, decide
from .errors import EngineSetupError, EngineUnavailableError, PhotoRefusedError, RecognitionError
from .gallery import Gallery
from .index import INDEX, Index, Reference
from .model import FaceAnswer, Match, Recognition, SyncReport
from .s3 import Bucket, Layout
from .usage import Usage

if TYPE_CHECKING:
    from types_boto3_rekognition.type_defs import (
        BoundingBoxTypeDef,
        ComparedFaceTypeDef,
        FaceDetailTypeDef,
        ImageTypeDef,
    )

__all__ = ["REGIONS", "AwsSettings", "Mode", "RekognitionEngine", "check", "create_bucket"]

_LOGGER = logging.getLogger(__name__)

MAX_FACES: Final = 5  # that are searched in one picture: each is one billed call
MAX_USERS: Final = (
    5  # that one search returns: the two that the rule needs, and room for users that are not ours
)
LEAST_SIMILARITY: Final = (
    1.0  # all candidates, so that our rule decides and a stranger's similarity can be told
)
SHARP: Final = (
    20.0  # of AWS's 100, which it does not explain: portraits have 40 and more, visible blur less than 10
)
SYNC_TRIES: Final = 3  # another Home Assistant with the same collection is done by then
AT_ONCE: Final = 8  # calls, each in a thread; `pace.py` keeps to what the region allows a second


class _Place(NamedTuple):
    """Where a face is in a picture, and how good it is, 0 to 1."""

    box: Box
    quality: float | None


class _Seen(NamedTuple):
    """What a search found in a picture: its largest face, who it is like, and where the others are."""

    place: _Place
    matches: Sequence[Match]
    others: Sequence[_Place]


class _Likeness(NamedTuple):
    """How much one face of a picture is like the face of another, 0 to 100."""

    place: _Place
    similarity: float


class _Compared(NamedTuple):
    """A face of a picture, and how much it is like each person."""

    place: _Place
    best: dict[str, float]


class RekognitionEngine:
    """Answers through AWS Rekognition.

    No quality filter when a visitor's face is searched: the picture is the best there is, and the rule decides.
    """

    name: Final = "rekognition"

    def __init__(self, settings: AwsSettings, rule: Rule, usage: Usage | None = None) -> None:
        """Take the settings and what counts the calls; clients are made at the first call, in a worker thread."""
        self.rule = rule
        self._settings = settings
        self._aws = Aws(settings, usage)
        self._layout = Layout(settings.bucket, settings.prefix)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._syncing = (
            threading.Lock()
        )  # held by the worker thread: a cancelled caller does not let a second sync in
        self._closed = False
        self._rebuilding = asyncio.Lock()
        self._gallery: Gallery | None = None
        self._in_bucket: frozenset[Reference] | None = None  # None: no sync has succeeded yet
        self._without_face: set[Reference] = set()  # AWS has not found the face that another engine enrolled

    async def recognize(self, picture: Picture) -> Recognition:
        """Answer every face of a picture."""
        jpeg = await asyncio.to_thread(images.prepare, picture.jpeg)
        calls = Counter[str]()
        if self._settings.mode is Mode.COMPARE:
            faces = await self._compare_with_all(jpeg, calls)
        else:
            faces = await self._search_all(jpeg, calls)
        return Recognition(self.name, tuple(faces), calls)

    async def compare(self, source: bytes, target: bytes) -> float:
        """Return the similarity of the largest faces of two images."""
        first, second = [await asyncio.to_thread(images.prepare, image) for image in (source, target)]
        found = await self._compare({"Bytes": first}, {"Bytes": second}, Counter())
        return max(found, key=lambda face: face.place.box.area).similarity

    async def inspect(self, photo: bytes) -> Sequence[Face]:
        """Return the faces of a prepared photo, largest first."""
        return await self._detect({"Bytes": photo}, Counter())

    async def sync(self, gallery: Gallery) -> SyncReport:
        """Make bucket and collection what the gallery is."""
        self._gallery = gallery
        return await asyncio.to_thread(self._sync, gallery)

    async def forget_everyone(self, gallery: Gallery) -> SyncReport:
        """Delete all that is ours in bucket and collection, in the gallery or not."""
        return await asyncio.to_thread(self._forget_everyone, gallery)

    async def close(self) -> None:
        """Wait for a sync that is under way and let no other begin, then release the clients.

        What is being recognized is answered, but the gallery may be another one by now.
        """
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._syncing:
            self._closed = True
            self._aws.close()

    def _sync(self, gallery: Gallery) -> SyncReport:
        with self._syncing:
            if self._closed:
                raise EngineUnavailableError("recognition_not_ready")
            report, self._in_bucket = self._aws.run(partial(self._sync_with, gallery))
            return report

    def _sync_with(self, gallery: Gallery, clients: Clients) -> tuple[SyncReport, frozenset[Reference]]:
        """Sync, and look again when somebody else was changing the same user; raises the errors of botocore."""
        for _ in range(SYNC_TRIES - 1):
            with suppress(clients.rekognition_sync.exceptions.ConflictException):
                return Index(clients, self._settings, gallery).sync()
        return Index(clients, self._settings, gallery).sync()

    def _forget_everyone(self, gallery: Gallery) -> SyncReport:
        with self._syncing:
            self._in_bucket = None
            return self._aws.run(lambda clients: Index(clients, self._settings, gallery).forget_everyone())

    async def _call[T](self, operation: str, calls: Counter[str], request: Callable[[Clients], T]) -> T:
        """Make one billed call in a worker thread."""
        async with self._slots:
            calls[operation] += 1
            return await asyncio.to_thread(self._aws.run, request)

    # Mode search

    async def _search_all(self, jpeg: bytes, calls: Counter[str]) -> Sequence[FaceAnswer]:
        """Search the largest face in one call, and cut the others out for one call each."""
        seen = await self._search_whole(jpeg, calls)
        if seen is None:
            return ()
        searched, rest = seen.others[: MAX_FACES - 1], seen.others[MAX_FACES - 1 :]
        return [
            decide(seen.place.box, seen.matches, self.rule, seen.place.quality),
            *await asyncio.gather(*(self._search_other(jpeg, place, calls) for place in searched)),
            *(FaceAnswer(place.box, None, None, quality=place.quality) for place in rest),
        ]

    async def _search_whole(self, jpeg: bytes, calls: Counter[str]) -> _Seen | None:
        """Search the largest face; when somebody has deleted the collection, make it again from the gallery before."""
        if not self._rebuilding.locked():
            try:
                seen = await self._search(jpeg, calls)
            except EngineSetupError as err:
                if err.key != "collection_missing":
                    raise
            else:
                if not self._rebuilding.locked():
                    return seen
        # Who is not in the collection yet would be a stranger.
        async with self._rebuilding:
            await self.sync(self._synced)
        return await self._search(jpeg, calls)

    async def _search_other(self, jpeg: bytes, place: _Place, calls: Counter[str]) -> FaceAnswer:
        part, inside = await asyncio.to_thread(images.crop, jpeg, place.box)
        seen = await self._search(part, calls)
        # A larger neighbour that reaches into the part must not answer for this face.
        same = seen is not None and seen.place.box.overlap(inside) >= SAME_FACE
        return decide(place.box, seen.matches if seen and same else (), self.rule, place.quality)

    async def _search(self, jpeg: bytes, calls: Counter[str]) -> _Seen | None:
        """Search the largest face of a picture; None when there is no face."""
        answer = await self._call(
            "SearchUsersByImage",
            calls,
            lambda clients: clients.rekognition.search_users_by_image(
                CollectionId=self._settings.collection,
                Image={"Bytes": jpeg},
                UserMatchThreshold=LEAST_SIMILARITY,
                MaxUsers=MAX_USERS,
                QualityFilter="NONE",
            ),
        )
        if not (searched := answer.get("SearchedFace")):
            return None
        persons = {person.id for person in self._synced.persons}
        users = {match["User"]["UserId"]: match["Similarity"] for match in answer["UserMatches"]}
        others = [_place(face["FaceDetails"]) for face in answer.get("UnsearchedFaces", ())]
        return _Seen(
            _place(searched["FaceDetail"]),
            [Match(user_id, likeness) for user_id, likeness in users.items() if user_id in persons],
            sorted(others, key=lambda place: place.box.area, reverse=True),
        )

    # Mode compare

    async def _compare_with_all(self, jpeg: bytes, calls: Counter[str]) -> Sequence[FaceAnswer]:
        """Compare all faces with every reference photo, one call for each."""
        references = await self._references()
        try:
            return await self._compare_with_each(references, jpeg, calls)
        except EngineSetupError:
            self._in_bucket = None  # a photo may be gone: look before the next visit
            raise

    async def _compare_with_each(
        self, references: Sequence[Reference], jpeg: bytes, calls: Counter[str]
    ) -> Sequence[FaceAnswer]:
        async with self._target(jpeg, references) as target:
            # The first goes alone: when nobody is in the picture, there is no need for the others.
            answers = [await self._compare_with(reference, target, calls) for reference in references[:1]]
            places = []
            if not any(answers):
                places = [_Place(face.box, face.quality) for face in await self._detect(target, calls)]
                if not places:
                    return ()
            answers += await asyncio.gather(
                *(self._compare_with(reference, target, calls) for reference in references[1:])
            )
        if any(answers):
            self._without_face.update(
                reference for reference, answer in zip(references, answers, strict=True) if answer is None
            )
        return self._merge(places, references, answers)

    async def _references(self) -> Sequence[Reference]:
        """Return the photos of the gallery that are in the bucket and show a face."""
        if self._in_bucket is None:
            await self.sync(self._synced)
        in_bucket = self._in_bucket or frozenset()
        return [
            reference
            for person in self._synced.persons
            for photo in person.photos
            if (reference := Reference(person.id, photo.id)) in in_bucket - self._without_face
            and INDEX not in photo.refused
        ]

    @asynccontextmanager
    async def _target(self, jpeg: bytes, references: Sequence[Reference]) -> AsyncGenerator[ImageTypeDef]:
        """Upload a picture once when it is to be compared more than once."""
        if len(references) < 2:
            yield {"Bytes": jpeg}
            return
        key = self._layout.visit_key(uuid.uuid4().hex)
        version = await asyncio.to_thread(
            self._aws.run, lambda clients: Bucket(clients.s3, self._layout).put(key, jpeg)
        )
        try:
            yield self._layout.image(key)
        finally:
            try:
                await asyncio.to_thread(
                    self._aws.run, lambda clients: Bucket(clients.s3, self._layout).take_back(key, version)
                )
            except RecognitionError as err:
                _LOGGER.warning("A visitor's picture is left in the bucket until a later sync: %s", err)

    async def _compare_with(
        self, reference: Reference, target: ImageTypeDef, calls: Counter[str]
    ) -> Sequence[_Likeness] | None:
        """Return how much each face is like the one of a reference photo; None when one of the two has no face."""
        source = self._layout.image(self._layout.photo_key(*reference))
        try:
            return await self._compare(source, target, calls)
        except PhotoRefusedError:
            return None

    def _merge(
        self,
        places: Iterable[_Place],
        references: Sequence[Reference],
        answers: Sequence[Sequence[_Likeness] | None],
    ) -> Sequence[FaceAnswer]:
        """Put together what the comparisons say about the same face; a person is as like as the best photo."""
        faces = [_Compared(place, {}) for place in places]
        for reference, answer in zip(references, answers, strict=True):
            for place, likeness in answer or ():
                face = next((face for face in faces if face.place.box.overlap(place.box) >= SAME_FACE), None)
                if face is None:
                    face = _Compared(place, {})
                    faces.append(face)
                face.best[reference.person_id] = max(likeness, face.best.get(reference.person_id, 0.0))
        faces.sort(key=lambda face: face.place.box.area, reverse=True)
        return [
            decide(place.box, [Match(*match) for match in best.items()], self.rule, place.quality)
            for place, best in faces
        ]

    # Calls of both

    async def _compare(
        self, source: ImageTypeDef, target: ImageTypeDef, calls: Counter[str]
    ) -> Sequence[_Likeness]:
        """Compare the largest face of `source` with all of `target`; raises PhotoRefusedError `photo_no_face`."""
        answer = await self._call(
            "CompareFaces",
            calls,
            lambda clients: clients.rekognition.compare_faces(
                SourceImage=source, TargetImage=target, SimilarityThreshold=0, QualityFilter="NONE"
            ),
        )
        return [_Likeness(_place(match["Face"]), match["Similarity"]) for match in answer["FaceMatches"]]

    async def _detect(self, image: ImageTypeDef, calls: Counter[str]) -> Sequence[Face]:
        """Return the faces of a picture, largest first."""
        answer = await self._call(
            "DetectFaces", calls, lambda clients: clients.rekognition.detect_faces(Image=image)
        )
        faces = [
            Face(_box(face["BoundingBox"]), face["Confidence"] / 100, _quality(face) or 0.0, yaw=_yaw(face))
            for face in answer["FaceDetails"]
        ]
        return sorted(faces, key=lambda face: face.box.area, reverse=True)

    @property
    def _synced(self) -> Gallery:
        """The gallery; without it a stranger cannot be told from a person."""
        if self._gallery is None:
            raise EngineUnavailableError("service_unavailable")
        return self._gallery


def _quality(face: FaceDetailTypeDef | ComparedFaceTypeDef) -> float | None:
    """Return AWS's sharpness on our scale, 0 to 1."""
    sharpness = face.get("Quality", {}).get("Sharpness")
    return None if sharpness is None else min(1.0, sharpness / (2 * SHARP))


def _place(face: FaceDetailTypeDef | ComparedFaceTypeDef) -> _Place:
    return _Place(_box(face["BoundingBox"]), _quality(face))


def _yaw(face: FaceDetailTypeDef) -> float:
    """Return AWS's degrees, with the sign that the nose tells: AWS does not document its own."""
    x = {landmark["Type"]: landmark["X"] for landmark in face["Landmarks"]}
    return math.copysign(face["Pose"]["Yaw"], x["nose"] - (x["eyeLeft"] + x["eyeRight"]) / 2)


def _box(box: BoundingBoxTypeDef) -> Box:
    """Return a box within the picture; AWS's may reach beyond it."""
    left, top = max(0.0, box["Left"]), max(0.0, box["Top"])
    return Box(
        left, top, min(1.0, box["Left"] + box["Width"]) - left, min(1.0, box["Top"] + box["Height"]) - top
    )
