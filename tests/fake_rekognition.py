"""Rekognition for tests: moto's S3 and STS, with the operations on faces that moto lacks, stateful and strict.

Works under `moto.mock_aws`, and as a server for other processes. Semantics are AWS's as
documented; what is checked of the input comes from botocore's service model, which botocore itself does not check.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
import colorsys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
import functools
from io import BytesIO
import json
import math
import re
import threading
from typing import Any, Protocol
from unittest.mock import patch
import uuid

from botocore.model import ListShape, ServiceModel, Shape, StructureShape
import botocore.session
from moto.core.base_backend import BackendDict
from moto.core.exceptions import JsonRESTError
from moto.rekognition.responses import RekognitionResponse
from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
import numpy as np
from PIL import Image, ImageDraw, UnidentifiedImageError

# What AWS counts as one billed image.
BILLED = frozenset(
    {
        "AssociateFaces",
        "CompareFaces",
        "DetectFaces",
        "DisassociateFaces",
        "IndexFaces",
        "SearchFacesByImage",
        "SearchUsersByImage",
    }
)

MAX_S3_IMAGE = 15 * 1024 * 1024
MIN_SIDE = 80
ASSOCIATION_THRESHOLD = 75.0

Json = dict[str, Any]
Vector = tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """A face in a picture: box in fractions, and what tells it from others."""

    left: float
    top: float
    width: float
    height: float
    face: Vector
    yaw: float = 0.0
    sharpness: float = 80.0

    @property
    def area(self) -> float:
        return self.width * self.height

    def json(self) -> Json:
        return {"Left": self.left, "Top": self.top, "Width": self.width, "Height": self.height}


class Eyes(Protocol):
    """How the fake sees faces."""

    def look(self, image: bytes) -> Sequence[Seen]:
        """Return the faces, largest first."""

    def similarity(self, one: Vector, other: Vector) -> float:
        """Return how alike two faces are, 0 to 100."""


class RealEyes:
    """Sees real faces, with the bridge's own models."""

    def __init__(self) -> None:
        from pi_bridge.faces import MODELS
        from pi_bridge.faces.finder import Finder

        self._finder = Finder(MODELS)
        self._lock = threading.Lock()
        self._look = functools.lru_cache(256)(self._find)

    def look(self, image: bytes) -> Sequence[Seen]:
        with self._lock:
            return self._look(image)

    def similarity(self, one: Vector, other: Vector) -> float:
        # Same persons lie within 0.8 of each other, strangers beyond 1.1; AWS's numbers are as far apart.
        return 100 / (1 + math.exp(12 * (math.dist(one, other) - 1.0)))

    def _find(self, image: bytes) -> Sequence[Seen]:
        found = self._finder.find(image, embed=True).faces
        return [
            Seen(
                face.box.left,
                face.box.top,
                face.box.width,
                face.box.height,
                face.embedding.vector,
                face.yaw or 0.0,
                100 * face.quality,
            )
            for face in found
            if face.embedding
        ]


class PaintedEyes:
    """Sees saturated squares on grey as faces; the hue says whose. For tests that count, with a hundred persons."""

    def __init__(self) -> None:
        self.look = functools.lru_cache(1000)(self._look)

    def _look(self, image: bytes) -> Sequence[Seen]:
        import cv2

        with Image.open(BytesIO(image)) as picture:
            small = picture.convert("RGB").reduce(max(1, picture.width // 160))
        pixels = np.asarray(small).astype(int)
        height, width = pixels.shape[:2]
        red, green, blue = (pixels[:, :, channel] for channel in range(3))
        colourful = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue) > 150
        count, labels, stats, _ = cv2.connectedComponentsWithStats(colourful.astype(np.uint8))
        seen = []
        for label in range(1, count):
            left, top, wide, high, area = (int(value) for value in stats[label])
            if area >= 25:
                hue = colorsys.rgb_to_hsv(*(pixels[labels == label].mean(axis=0) / 255))[0] * 360
                seen.append(Seen(left / width, top / height, wide / width, high / height, (float(hue),)))
        return sorted(seen, key=lambda face: face.area, reverse=True)

    def similarity(self, one: Vector, other: Vector) -> float:
        apart = abs(one[0] - other[0])
        return max(0.0, 100 - 8 * min(apart, 360 - apart))


def paint(*hues: float, size: tuple[int, int] = (640, 360), mark: int = 0) -> bytes:
    """Return a JPEG with one painted face for each hue (degrees), largest first; `mark` makes it another photo."""
    image = Image.new("RGB", size, (128 - 8 * mark,) * 3)
    draw = ImageDraw.Draw(image)
    step = size[0] / max(1, len(hues))
    for number, hue in enumerate(hues):
        side = min(size[1] * 0.6, step * 0.45) * (1 - 0.08 * number)
        left, top = step * number + (step - side) / 2, size[1] * 0.2
        colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue / 360, 1, 0.9))
        draw.rectangle((left, top, left + side, top + side), fill=colour)
    target = BytesIO()
    image.save(target, "JPEG", quality=92, subsampling=0)
    return target.getvalue()


@dataclass
class Fault:
    """How a call fails: with an error of AWS, `times` times (None: always).

    With `hold` it sets `reached` and waits for that event first.
    """

    code: str | None = None
    message: str = "injected"
    status: int = 400
    times: int | None = None
    hold: threading.Event | None = None
    reached: threading.Event = field(default_factory=threading.Event)


@dataclass
class StoredFace:
    face_id: str
    image_id: str
    external_id: str | None
    seen: Seen
    user_id: str | None = None


@dataclass
class StoredUser:
    status: str = "CREATED"
    updating_polls: int = 0


@dataclass
class StoredCollection:
    faces: dict[str, StoredFace] = field(default_factory=dict)
    users: dict[str, StoredUser] = field(default_factory=dict)


class FakeRekognition:
    """The state of the fake, and what a test may ask of it."""

    def __init__(self, eyes: Eyes) -> None:
        self.eyes = eyes
        self.calls: Counter[str] = Counter()
        self.fail: dict[str, Fault] = {}
        self.updating_polls = 0  # how many ListUsers a user stays UPDATING after a change
        self._collections: dict[tuple[str, str, str], StoredCollection] = {}
        self._lock = threading.RLock()
        self._model = _service_model()

    @property
    def billed(self) -> dict[str, int]:
        """The calls that cost money, by operation."""
        return {operation: count for operation, count in self.calls.items() if operation in BILLED}

    def collection(self, name: str = "face_doorbell", region: str = "eu-west-1") -> StoredCollection | None:
        """Return a collection of moto's account."""
        return self._collections.get(("123456789012", region, name))

    def drop_collection(self, name: str = "face_doorbell", region: str = "eu-west-1") -> None:
        """Delete a collection behind the engine's back."""
        del self._collections[("123456789012", region, name)]

    def state(self) -> object:
        """Return all that is stored, to compare before with after."""
        return {
            key: (
                {(face.external_id, face.user_id) for face in collection.faces.values()},
                set(collection.users),
            )
            for key, collection in self._collections.items()
        }

    def answer(self, operation: str, response: RekognitionResponse) -> Json:
        """Check a request against the service model and answer it."""
        self.calls[operation] += 1
        self._fail(operation)
        request = _json(response.body)
        shape = self._model.operation_model(operation).input_shape
        assert shape is not None
        if errors := list(_violations(shape, request, "")):
            listed = "; ".join(errors)
            raise _error("ValidationException", f"{len(errors)} validation error(s) detected: {listed}")
        call = _Call(self, request, response.current_account, response.region)
        with self._lock:
            answer: Json = getattr(call, _snake(operation))()
        return answer

    def _fail(self, operation: str) -> None:
        fault = self.fail.get(operation)
        if fault is None:
            return
        if fault.hold:
            fault.reached.set()
            fault.hold.wait()
        if fault.code is None or fault.times == 0:
            return
        if fault.times is not None:
            fault.times -= 1
        raise _error(fault.code, fault.message, fault.status)


class _Call:
    """One request: the operations, by their names in moto."""

    def __init__(self, fake: FakeRekognition, request: Json, account: str, region: str) -> None:
        self.fake = fake
        self.eyes = fake.eyes
        self.request = request
        self.account = account
        self.region = region

    # Collections

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.account, self.region, self.request["CollectionId"])

    @property
    def collection(self) -> StoredCollection:
        try:
            return self.fake._collections[self.key]
        except KeyError:
            name = self.request["CollectionId"]
            raise _error("ResourceNotFoundException", f"The collection id: {name} does not exist") from None

    def create_collection(self) -> Json:
        if self.key in self.fake._collections:
            raise _error("ResourceAlreadyExistsException", "The collection exists already")
        self.fake._collections[self.key] = StoredCollection()
        return {"StatusCode": 200, "CollectionArn": self._arn(), "FaceModelVersion": "7.0"}

    def describe_collection(self) -> Json:
        collection = self.collection
        return {
            "FaceCount": len(collection.faces),
            "UserCount": len(collection.users),
            "FaceModelVersion": "7.0",
            "CollectionARN": self._arn(),
            "CreationTimestamp": 0,
        }

    def delete_collection(self) -> Json:
        _ = self.collection
        del self.fake._collections[self.key]
        return {"StatusCode": 200}

    def list_collections(self) -> Json:
        names = sorted(
            name for account, region, name in self.fake._collections if (account, region) == self.key_region
        )
        return self._page(names, "CollectionIds")

    @property
    def key_region(self) -> tuple[str, str]:
        return (self.account, self.region)

    # Faces

    def index_faces(self) -> Json:
        image = self._bytes("Image")
        collection, external_id = self.collection, self.request.get("ExternalImageId")
        image_id = str(uuid.uuid5(uuid.NAMESPACE_OID, repr((external_id, image))))
        seen = self._look(image)
        kept = seen[: self.request.get("MaxFaces", 100)]
        records = []
        for face in kept:
            # The same picture under the same name again stores nothing new.
            face_id = str(uuid.uuid5(uuid.NAMESPACE_OID, repr((image_id, face))))
            stored = collection.faces.setdefault(face_id, StoredFace(face_id, image_id, external_id, face))
            records.append({"Face": _face(stored), "FaceDetail": _detail(face)})
        left_out = [
            {"Reasons": ["EXCEEDS_MAX_FACES"], "FaceDetail": _detail(face)} for face in seen[len(kept) :]
        ]
        return {"FaceRecords": records, "UnindexedFaces": left_out, "FaceModelVersion": "7.0"}

    def list_faces(self) -> Json:
        user_id, face_ids = self.request.get("UserId"), self.request.get("FaceIds")
        faces = [
            _face(face)
            for face in self.collection.faces.values()
            if (user_id is None or face.user_id == user_id) and (face_ids is None or face.face_id in face_ids)
        ]
        return {**self._page(faces, "Faces"), "FaceModelVersion": "7.0"}

    def delete_faces(self) -> Json:
        deleted, failed = [], []
        for face_id in self.request["FaceIds"]:
            face = self.collection.faces.get(face_id)
            if face is None:
                failed.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
            elif face.user_id:
                reasons = ["ASSOCIATED_TO_AN_EXISTING_USER"]
                failed.append({"FaceId": face_id, "UserId": face.user_id, "Reasons": reasons})
            else:
                del self.collection.faces[face_id]
                deleted.append(face_id)
        return {"DeletedFaces": deleted, "UnsuccessfulFaceDeletions": failed}

    # Users

    @property
    def user(self) -> StoredUser:
        user = self.collection.users.get(self.request["UserId"])
        if user is None:
            raise _error("ResourceNotFoundException", "The user does not exist")
        return user

    def create_user(self) -> Json:
        if self.request["UserId"] in self.collection.users:
            raise _error("ConflictException", "A user with this id exists already")
        self.collection.users[self.request["UserId"]] = StoredUser()
        return {}

    def delete_user(self) -> Json:
        _ = self.user
        for face in self._faces_of(self.request["UserId"]):
            face.user_id = None
        del self.collection.users[self.request["UserId"]]
        return {}

    def list_users(self) -> Json:
        users = []
        for user_id, user in self.collection.users.items():
            users.append({"UserId": user_id, "UserStatus": user.status})
            if user.status == "UPDATING":
                user.updating_polls -= 1
                if user.updating_polls <= 0:
                    user.status = "ACTIVE"
        return self._page(users, "Users")

    def associate_faces(self) -> Json:
        user, user_id = self.user, self.request["UserId"]
        threshold = self.request.get("UserMatchThreshold", ASSOCIATION_THRESHOLD)
        done, failed = [], []
        for face_id in self.request["FaceIds"]:
            face = self.collection.faces.get(face_id)
            others = [other.seen.face for other in self._faces_of(user_id)]
            if face is None:
                failed.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
            elif face.user_id not in (None, user_id):
                reasons = ["ASSOCIATED_TO_A_DIFFERENT_USER"]
                failed.append({"FaceId": face_id, "UserId": face.user_id, "Reasons": reasons})
            elif others and self._likeness(face.seen.face, others) < threshold:
                failed.append({"FaceId": face_id, "Reasons": ["LOW_MATCH_CONFIDENCE"]})
            else:
                face.user_id = user_id
                done.append({"FaceId": face_id})
        self._changed(user)
        return {
            "AssociatedFaces": done,
            "UnsuccessfulFaceAssociations": failed,
            "UserStatus": user.status,
        }

    def disassociate_faces(self) -> Json:
        user, done, failed = self.user, [], []
        for face_id in self.request["FaceIds"]:
            face = self.collection.faces.get(face_id)
            if face is None or face.user_id != self.request["UserId"]:
                failed.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
            else:
                face.user_id = None
                done.append({"FaceId": face_id})
        self._changed(user)
        return {
            "DisassociatedFaces": done,
            "UnsuccessfulFaceDisassociations": failed,
            "UserStatus": user.status,
        }

    # Questions

    def detect_faces(self) -> Json:
        return {"FaceDetails": [_detail(face) for face in self._look(self._bytes("Image"))]}

    def compare_faces(self) -> Json:
        source, target = self._look(self._bytes("SourceImage")), self._look(self._bytes("TargetImage"))
        if not source or not target:
            raise _error("InvalidParameterException", "Request has invalid parameters")
        threshold = self.request.get("SimilarityThreshold", 80)
        scored = [(self.eyes.similarity(source[0].face, face.face), face) for face in target]
        matches = [
            {"Similarity": score, "Face": _detail(face)}
            for score, face in sorted(scored, key=lambda match: match[0], reverse=True)
            if score >= threshold
        ]
        return {
            "SourceImageFace": {"BoundingBox": source[0].json(), "Confidence": 99.9},
            "FaceMatches": matches,
            "UnmatchedFaces": [
                {"BoundingBox": face.json(), "Confidence": 99.9}
                for score, face in scored
                if score < threshold
            ],
        }

    def search_faces_by_image(self) -> Json:
        collection, seen = self.collection, self._look(self._bytes("Image"))
        if not seen:
            raise _error(
                "InvalidParameterException", "There are no faces in the image. Should be at least 1."
            )
        scored = [
            {"Similarity": self.eyes.similarity(seen[0].face, face.seen.face), "Face": _face(face)}
            for face in collection.faces.values()
        ]
        matches = _best(scored, self.request.get("FaceMatchThreshold", 80), self.request.get("MaxFaces", 100))
        return {
            "SearchedFaceBoundingBox": seen[0].json(),
            "SearchedFaceConfidence": 99.9,
            "FaceMatches": matches,
        }

    def search_users_by_image(self) -> Json:
        collection, seen = self.collection, self._look(self._bytes("Image"))
        if not seen:
            return {"UserMatches": [], "UnsearchedFaces": [], "FaceModelVersion": "7.0"}
        scored = [
            {
                "Similarity": self._likeness(seen[0].face, faces),
                "User": {"UserId": user_id, "UserStatus": user.status},
            }
            for user_id, user in collection.users.items()
            if (faces := [face.seen.face for face in self._faces_of(user_id)])
        ]
        matches = _best(scored, self.request.get("UserMatchThreshold", 80), self.request.get("MaxUsers", 100))
        return {
            "UserMatches": matches,
            "SearchedFace": {"FaceDetail": _detail(seen[0])},
            "UnsearchedFaces": [
                {"FaceDetails": _detail(face), "Reasons": ["FACE_NOT_LARGEST"]} for face in seen[1:]
            ],
            "FaceModelVersion": "7.0",
        }

    # Helpers

    def _arn(self) -> str:
        return f"arn:aws:rekognition:{self.region}:{self.account}:collection/{self.request['CollectionId']}"

    def _faces_of(self, user_id: str) -> list[StoredFace]:
        return [face for face in self.collection.faces.values() if face.user_id == user_id]

    def _likeness(self, face: Vector, others: Sequence[Vector]) -> float:
        return max(self.eyes.similarity(face, other) for other in others)

    def _changed(self, user: StoredUser) -> None:
        user.updating_polls = self.fake.updating_polls
        user.status = "UPDATING" if user.updating_polls else "ACTIVE"

    def _page(self, items: Sequence[object], name: str) -> Json:
        start, size = int(self.request.get("NextToken") or 0), self.request.get("MaxResults", 100)
        more = {"NextToken": str(start + size)} if start + size < len(items) else {}
        return {name: items[start : start + size], **more}

    def _look(self, image: bytes) -> Sequence[Seen]:
        return self.eyes.look(image)

    def _bytes(self, name: str) -> bytes:
        image = self.request[name]
        content = base64.b64decode(image["Bytes"]) if "Bytes" in image else self._from_s3(image["S3Object"])
        try:
            with Image.open(BytesIO(content), formats=("JPEG", "PNG")) as picture:
                too_small = min(picture.size) < MIN_SIDE
        except UnidentifiedImageError:
            raise _error("InvalidImageFormatException", "Request has invalid image format") from None
        if too_small:
            raise _error("InvalidParameterException", "Request has invalid parameters")
        return content

    def _from_s3(self, where: Json) -> bytes:
        unreadable = _error(
            "InvalidS3ObjectException",
            "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
        )
        backend = s3_backends[self.account]["aws"]
        try:
            bucket = backend.get_bucket(where["Bucket"])
            key = backend.get_object(where["Bucket"], where["Name"])
        except MissingBucket:
            raise unreadable from None
        if key is None or bucket.region_name != self.region:
            raise unreadable
        content: bytes = key.value
        if len(content) > MAX_S3_IMAGE:
            raise _error("ImageTooLargeException", "Image is too large")
        return content


@contextmanager
def fake_rekognition(eyes: Eyes) -> Iterator[FakeRekognition]:
    """Put the fake into moto, inside `mock_aws`."""
    fake = FakeRekognition(eyes)
    with ExitStack() as patches:
        for operation in fake._model.operation_names:
            if hasattr(_Call, method := _snake(operation)):
                patches.enter_context(
                    patch.object(RekognitionResponse, method, _answering(fake, operation), create=True)
                )
        yield fake


@contextmanager
def aws_server(eyes: Eyes) -> Iterator[tuple[str, FakeRekognition]]:
    """Run an AWS with nothing in it on a port of this machine; yields its URL and its Rekognition."""
    BackendDict.reset()  # moto has one state for each process: what the last user left is still there
    with fake_rekognition(eyes) as fake:
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield f"http://{host}:{port}", fake
        finally:
            server.stop()


def _answering(fake: FakeRekognition, operation: str) -> Callable[[RekognitionResponse], str]:
    def answer(response: RekognitionResponse) -> str:
        return json.dumps(fake.answer(operation, response))

    return answer


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Return what a value breaks of the service model, in AWS's words."""
    if isinstance(shape, StructureShape):
        for name in set(shape.required_members) - set(value):
            yield f"Value null at '{path}{name}' failed to satisfy constraint: Member must not be null"
        for name, part in value.items():
            yield from _violations(shape.members[name], part, f"{path}{name}.")
        return
    if isinstance(shape, ListShape):
        for part in value:
            yield from _violations(shape.member, part, f"{path}member.")
    limits, size = shape.metadata, _size(shape, value)
    failed = f"Value at '{path.rstrip('.')}' failed to satisfy constraint: Member must"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        yield f"{failed} satisfy regular expression pattern: {limits['pattern']}"
    if limits.get("enum") and value not in limits["enum"]:
        yield f"{failed} satisfy enum value set: {limits['enum']}"
    if not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"{failed} be between {limits.get('min')} and {limits.get('max')}"


def _size(shape: Shape, value: Any) -> float:
    """Return what `min` and `max` of the service model limit: a number itself, the length of all else."""
    if shape.type_name == "blob":
        return len(base64.b64decode(value))
    return float(value) if isinstance(value, int | float) else len(value)


@functools.cache
def _service_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("rekognition")


def _error(code: str, message: str, status: int = 400) -> JsonRESTError:
    error = JsonRESTError(code, message)
    error.code = status
    return error


def _best(scored: Sequence[Json], threshold: float, limit: int) -> Sequence[Json]:
    ranked = sorted(scored, key=lambda match: float(match["Similarity"]), reverse=True)
    return [match for match in ranked if match["Similarity"] >= threshold][:limit]


def _face(face: StoredFace) -> Json:
    optional = {"ExternalImageId": face.external_id, "UserId": face.user_id}
    return {
        "FaceId": face.face_id,
        "ImageId": face.image_id,
        "BoundingBox": face.seen.json(),
        "Confidence": 99.9,
        **{name: value for name, value in optional.items() if value},
    }


def _detail(face: Seen) -> Json:
    return {
        "BoundingBox": face.json(),
        "Confidence": 99.9,
        "Quality": {"Brightness": 80.0, "Sharpness": face.sharpness},
        "Pose": {"Roll": 0.0, "Yaw": abs(face.yaw), "Pitch": 0.0},
        "Landmarks": [
            {"Type": kind, "X": face.left + part * face.width, "Y": face.top + face.height / 2}
            for kind, part in (("eyeLeft", 0.3), ("eyeRight", 0.7), ("nose", 0.5 + face.yaw / 360))
        ],
    }


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()


def _json(body: str | bytes) -> Json:
    request: Json = json.loads(body)
    return request
