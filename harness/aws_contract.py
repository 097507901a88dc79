"""What the integration, and the fake of its tests, take for granted about AWS: one list, which either can be asked.

The expectations are asked in their order, as one story in a scratch bucket and a scratch collection: a later one may
need what an earlier one has made. Each names the billed calls that it makes, so the price is known before.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
import hashlib
from io import BytesIO
from pathlib import Path
import re
import tempfile
import time
from typing import TYPE_CHECKING, Final
import uuid

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition import images, prices
from custom_components.face_doorbell.recognition.aws import Aws, AwsSettings, Clients, Mode
from custom_components.face_doorbell.recognition.collection import ACTIVE_WITHIN, POLL_EVERY
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.errors import RecognitionError
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.rekognition import RekognitionEngine, check, create_bucket
from custom_components.face_doorbell.recognition.s3 import Bucket, Layout
from custom_components.face_doorbell.recognition.usage import Usage

from .photos import lay_out_photos

if TYPE_CHECKING:
    from types_boto3_rekognition import RekognitionClient
    from types_boto3_rekognition.type_defs import ImageTypeDef
    from types_boto3_s3 import S3Client

SCRATCH: Final = (
    "face-doorbell-check-"  # how the names of bucket and collection begin; nothing else is ever deleted
)
NOBODY: Final = str(uuid.UUID(int=0))  # a face that is in no collection
PERSON, PHOTO = "person-12345678", "0123456789abcdef"  # ids as those of a gallery

LIKE: Final = 90.0  # similarity, the default threshold: photos of one person
UNLIKE: Final = (
    60.0  # strangers stay below, so that a second look is not worth its price (`burst.CLEAR_STRANGER`)
)

PHOTOS: Final = {
    "one": "obama.jpg",
    "same": "obama2.jpg",
    "again": "obama3.jpg",
    "other": "biden.jpg",
    "empty": "coffee.png",
}


@dataclass(frozen=True, slots=True)
class Between:
    """A number that may be anything from `low` to `high`."""

    low: float
    high: float

    def __eq__(self, other: object) -> bool:
        """Whether a number is within; so that an expectation is just compared with what was seen."""
        return isinstance(other, int | float) and self.low <= other <= self.high

    __hash__ = None  # type: ignore[assignment]  # nothing that equals a range of things can be hashed

    def __str__(self) -> str:
        """Say it in words."""
        return f"from {self.low:g} to {self.high:g}"


@dataclass(slots=True)
class Site:
    """Where the story takes place, and what it has made so far."""

    settings: AwsSettings
    clients: Clients
    pictures: Mapping[str, bytes]
    usage: Usage
    faces: dict[str, str] = field(default_factory=dict)

    @property
    def rekognition(self) -> RekognitionClient:
        """The patient client, as a sync uses it."""
        return self.clients.rekognition_sync

    @property
    def s3(self) -> S3Client:
        """The client of the bucket."""
        return self.clients.s3

    @property
    def bucket(self) -> str:
        """The scratch bucket, whose name is the collection's too."""
        return self.settings.bucket

    @property
    def layout(self) -> Layout:
        """Where the engine puts its objects."""
        return Layout(self.bucket, self.settings.prefix)

    def stored(self, picture: str) -> ImageTypeDef:
        """Put a picture into the bucket and return how Rekognition is told to read it."""
        key = self.layout.photo_key(PERSON, f"{len(picture):016x}")
        Bucket(self.s3, self.layout).put(key, self.pictures[picture])
        return self.layout.image(key)

    def shown(self, picture: str) -> ImageTypeDef:
        """Return how a picture is sent along."""
        return {"Bytes": self.pictures[picture]}

    def compared(self, source: str, target: str) -> Sequence[float]:
        """Return how alike the face of one picture is to each of another."""
        answer = self.rekognition.compare_faces(
            SourceImage=self.shown(source),
            TargetImage=self.shown(target),
            SimilarityThreshold=0,
            QualityFilter="NONE",
        )
        return [match["Similarity"] for match in answer["FaceMatches"]]

    def indexed(self, picture: str, photo_id: str) -> Mapping[str, Sequence[str]]:
        """Put the largest face of a picture into the collection; returns its id, and why others were left out."""
        answer = self.rekognition.index_faces(
            CollectionId=self.bucket,
            Image=self.stored(picture),
            ExternalImageId=f"{PERSON}:{photo_id}",
            MaxFaces=1,
            QualityFilter="AUTO",
        )
        return {
            "faces": [record["Face"]["FaceId"] for record in answer["FaceRecords"]],
            "left out": [
                reason for face in answer.get("UnindexedFaces", ()) for reason in face.get("Reasons", ())
            ],
        }

    def associated(self, face_id: str) -> Sequence[str]:
        """Give a face to the user; returns why that was not done."""
        answer = self.rekognition.associate_faces(CollectionId=self.bucket, UserId=PERSON, FaceIds=[face_id])
        failures = answer.get("UnsuccessfulFaceAssociations", ())
        return [reason for failure in failures for reason in failure.get("Reasons", ())]

    def searched(self, picture: str) -> Mapping[str, object]:
        """Search the largest face of a picture as the engine does."""
        answer = self.rekognition.search_users_by_image(
            CollectionId=self.bucket,
            Image=self.shown(picture),
            UserMatchThreshold=1,
            MaxUsers=5,
            QualityFilter="NONE",
        )
        return {
            "face": bool(answer.get("SearchedFace")),
            "similarity": max((match["Similarity"] for match in answer["UserMatches"]), default=0.0),
            "others": [
                reason for face in answer.get("UnsearchedFaces", ()) for reason in face.get("Reasons", ())
            ],
        }

    def listed(self) -> Mapping[str, tuple[str | None, str | None]]:
        """Return the external id and the user of every face."""
        faces = self.rekognition.list_faces(CollectionId=self.bucket)["Faces"]
        return {face["FaceId"]: (face.get("ExternalImageId"), face.get("UserId")) for face in faces}


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that AWS is expected to do, and how to see whether it does.

    `billed` are the calls that cost something. `lacking` says why the fake of the tests cannot be asked.
    """

    says: str
    look: Callable[[Site], object]
    expected: object
    billed: Mapping[str, int]
    lacking: str | None


CONTRACT: Final[list[Expectation]] = []


def expects(
    says: str, expected: object, *, lacking: str | None = None, **billed: int
) -> Callable[[Callable[[Site], object]], Callable[[Site], object]]:
    """Add a function to the contract, which returns what it has seen."""

    def add(look: Callable[[Site], object]) -> Callable[[Site], object]:
        CONTRACT.append(Expectation(says, look, expected, billed, lacking))
        return look

    return add


def refused(request: Callable[[], object]) -> str:
    """Return the code with which AWS refuses a request."""
    try:
        request()
    except ClientError as err:
        return str(err.response.get("Error", {}).get("Code"))
    return "done"


# The account and the bucket


@expects("The keys are good, and the account has a number", True)
def _identity(site: Site) -> object:
    return bool(re.fullmatch(r"\d{12}", site.clients.sts.get_caller_identity()["Account"]))


@expects("A bucket that does not exist is answered with the status alone", "404")
def _no_bucket(site: Site) -> object:
    return refused(lambda: site.s3.head_bucket(Bucket=site.bucket))


@expects("A bucket can be created, again and again", ["made", "made"])
def _new_bucket(site: Site) -> object:
    made = []
    for _ in range(2):
        asyncio.run(create_bucket(site.settings))
        made.append("made")
    return made


@expects("It is closed to the public, encrypted, and in its region", [True, "AES256", True])
def _private_bucket(site: Site) -> object:
    public = site.s3.get_public_access_block(Bucket=site.bucket)["PublicAccessBlockConfiguration"]
    (rule,) = site.s3.get_bucket_encryption(Bucket=site.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return [
        all(public.values()),
        rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
        site.s3.head_bucket(Bucket=site.bucket).get("BucketRegion", site.settings.region)
        == site.settings.region,
    ]


@expects("An object's tag is the MD5 of its content, and it has one version only", [True, None])
def _etag(site: Site) -> object:
    bucket, key = Bucket(site.s3, site.layout), site.layout.person_key(PERSON)
    version = bucket.put(key, b"{}")
    return [bucket.list()[key].etag == hashlib.md5(b"{}", usedforsecurity=False).hexdigest(), version]


@expects("Deleting what is not there is no error", "done")
def _delete_nothing(site: Site) -> object:
    return refused(lambda: Bucket(site.s3, site.layout).take_back(site.layout.visit_key("nothing"), None))


@expects("An object that is not there is named in the answer to a GET", "NoSuchKey")
def _no_object(site: Site) -> object:
    return refused(lambda: site.s3.get_object(Bucket=site.bucket, Key=site.layout.visit_key("nothing")))


# Keys that are wrong

SIGNATURES: Final = "moto checks no signature"


@contextmanager
def _other_keys(site: Site, **changed: str) -> Iterator[Clients]:
    aws = Aws(replace(site.settings, **changed))  # type: ignore[arg-type]  # the names are those of the settings
    try:
        yield aws.run(lambda clients: clients)
    finally:
        aws.close()


def _refused_with(site: Site, **changed: str) -> object:
    with _other_keys(site, **changed) as clients:
        return [
            refused(clients.sts.get_caller_identity),
            refused(lambda: clients.s3.list_objects_v2(Bucket=site.bucket)),
            refused(lambda: clients.rekognition.list_faces(CollectionId=site.bucket)),
        ]


@expects(
    "A wrong secret has a code of its own with STS, S3 and Rekognition",
    ["SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"],
    lacking=SIGNATURES,
)
def _wrong_secret(site: Site) -> object:
    return _refused_with(site, secret_access_key="wrong")  # noqa: S106 - it is to be wrong


@expects(
    "And so has an unknown key",
    ["InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException"],
    lacking=SIGNATURES,
)
def _wrong_key(site: Site) -> object:
    return _refused_with(site, access_key_id="AKIAIOSFODNN7EXAMPLE")


# Faces in pictures


@expects("A face is found with all that its quality is judged by", [1, True, True], DetectFaces=1)
def _detect(site: Site) -> object:
    faces = site.rekognition.detect_faces(Image=site.shown("one"))["FaceDetails"]
    marks = {mark["Type"] for mark in faces[0]["Landmarks"]}
    return [len(faces), {"eyeLeft", "eyeRight", "nose"} <= marks, "Yaw" in faces[0]["Pose"]]


@expects("A good portrait is sharp enough", Between(20, 100), DetectFaces=1)
def _sharpness(site: Site) -> object:
    return site.rekognition.detect_faces(Image=site.shown("one"))["FaceDetails"][0]["Quality"]["Sharpness"]


@expects("A picture without a face has none, also from the bucket", 0, DetectFaces=1)
def _detect_nobody(site: Site) -> object:
    return len(site.rekognition.detect_faces(Image=site.stored("empty"))["FaceDetails"])


@expects("Two faces are two", 2, DetectFaces=1)
def _detect_two(site: Site) -> object:
    return len(site.rekognition.detect_faces(Image=site.shown("both"))["FaceDetails"])


@expects("Photos of one person are alike", Between(LIKE, 100), CompareFaces=1)
def _compare_same(site: Site) -> object:
    return max(site.compared("one", "same"))


@expects(
    "Strangers are not, and their similarity is told all the same", [1, Between(0, UNLIKE)], CompareFaces=1
)
def _compare_other(site: Site) -> object:
    likenesses = site.compared("one", "other")
    return [len(likenesses), max(likenesses)]


@expects("Every face of the second picture is compared", [2, Between(LIKE, 100)], CompareFaces=1)
def _compare_both(site: Site) -> object:
    likenesses = site.compared("same", "both")
    return [len(likenesses), max(likenesses)]


NO_FACE: Final = "InvalidParameterException"


@expects("Comparing with nobody is refused", [NO_FACE, NO_FACE], CompareFaces=2)
def _compare_nobody(site: Site) -> object:
    return [
        refused(lambda: site.compared("one", "empty")),
        refused(lambda: site.compared("empty", "one")),
    ]


@expects("An object that is not there cannot be read", "InvalidS3ObjectException", DetectFaces=1)
def _unreadable(site: Site) -> object:
    missing = site.layout.image(site.layout.visit_key("nothing"))
    return refused(lambda: site.rekognition.detect_faces(Image=missing))


@expects("What is no picture is refused", "InvalidImageFormatException", DetectFaces=1)
def _no_picture(site: Site) -> object:
    return refused(lambda: site.rekognition.detect_faces(Image={"Bytes": b"no picture" * 100}))


@expects("A picture of less than 80 pixels is refused", NO_FACE, DetectFaces=1)
def _small_picture(site: Site) -> object:
    return refused(lambda: site.rekognition.detect_faces(Image=site.shown("small")))


# The collection

GONE: Final = "ResourceNotFoundException"


@expects(
    "A collection that does not exist is answered everywhere alike", [GONE, GONE, GONE], SearchUsersByImage=1
)
def _no_collection(site: Site) -> object:
    return [
        refused(site.listed),
        refused(lambda: site.rekognition.list_users(CollectionId=site.bucket)),
        refused(lambda: site.searched("one")),
    ]


@expects("A collection is made once", ["done", "ResourceAlreadyExistsException"])
def _new_collection(site: Site) -> object:
    return [refused(lambda: site.rekognition.create_collection(CollectionId=site.bucket)) for _ in range(2)]


@expects("The same photo again stores no second face", [1, True, 1], IndexFaces=2)
def _index(site: Site) -> object:
    first, second = (site.indexed("one", PHOTO)["faces"] for _ in range(2))
    site.faces["one"] = first[0]
    return [len(first), first == second, len(site.listed())]


@expects("A photo without a face stores none", {"faces": [], "left out": []}, IndexFaces=1)
def _index_nobody(site: Site) -> object:
    return site.indexed("empty", "empty")


@expects(
    "Of two faces the larger one is stored, and the other one is mentioned",
    [1, ["EXCEEDS_MAX_FACES"]],
    IndexFaces=1,
)
def _index_both(site: Site) -> object:
    indexed = site.indexed("both", "both")
    return [len(indexed["faces"]), indexed["left out"]]


@expects("A user is made once", ["done", "ConflictException"])
def _new_user(site: Site) -> object:
    return [
        refused(lambda: site.rekognition.create_user(CollectionId=site.bucket, UserId=PERSON))
        for _ in range(2)
    ]


@expects(
    "A face is given to the user, and told with the ids that it came with",
    [[], (f"{PERSON}:{PHOTO}", PERSON)],
    AssociateFaces=1,
)
def _associate(site: Site) -> object:
    return [site.associated(site.faces["one"]), site.listed()[site.faces["one"]]]


@expects("The user can soon be searched", "ACTIVE")
def _active(site: Site) -> object:
    deadline = time.monotonic() + ACTIVE_WITHIN
    while True:
        users = site.rekognition.list_users(CollectionId=site.bucket)["Users"]
        statuses = {user.get("UserId"): user.get("UserStatus") for user in users}
        if statuses[PERSON] == "ACTIVE" or time.monotonic() > deadline:
            return statuses[PERSON]
        time.sleep(POLL_EVERY)


@expects(
    "Somebody else's face is not taken, nor one that is not there",
    [["LOW_MATCH_CONFIDENCE"], ["FACE_NOT_FOUND"]],
    IndexFaces=1,
    AssociateFaces=2,
)
def _associate_other(site: Site) -> object:
    (site.faces["other"],) = site.indexed("other", "other")["faces"]
    return [site.associated(site.faces["other"]), site.associated(NOBODY)]


@expects(
    "The person is found by another photo",
    {"face": True, "similarity": Between(LIKE, 100), "others": []},
    SearchUsersByImage=1,
)
def _search(site: Site) -> object:
    return site.searched("again")


@expects(
    "A stranger is not", {"face": True, "similarity": Between(0, UNLIKE), "others": []}, SearchUsersByImage=1
)
def _search_stranger(site: Site) -> object:
    return site.searched("other")


@expects(
    "Of two faces the larger one is searched, and where the other one is is told",
    {"face": True, "similarity": Between(LIKE, 100), "others": ["FACE_NOT_LARGEST"]},
    SearchUsersByImage=1,
)
def _search_both(site: Site) -> object:
    return site.searched("both")


@expects(
    "A picture without a face is no error",
    {"face": False, "similarity": 0.0, "others": []},
    SearchUsersByImage=1,
)
def _search_nobody(site: Site) -> object:
    return site.searched("empty")


@expects(
    "A user's face cannot be deleted before it is taken from the user",
    [["ASSOCIATED_TO_AN_EXISTING_USER"], []],
    DisassociateFaces=1,
)
def _delete_face(site: Site) -> object:
    def deleted() -> Sequence[str]:
        answer = site.rekognition.delete_faces(CollectionId=site.bucket, FaceIds=[site.faces["one"]])
        failures = answer.get("UnsuccessfulFaceDeletions", ())
        return [reason for failure in failures for reason in failure.get("Reasons", ())]

    before = deleted()
    site.rekognition.disassociate_faces(CollectionId=site.bucket, UserId=PERSON, FaceIds=[site.faces["one"]])
    return [before, deleted()]


@expects("A user is deleted once, and the faces stay", ["done", GONE, True])
def _delete_user(site: Site) -> object:
    return [
        *(
            refused(lambda: site.rekognition.delete_user(CollectionId=site.bucket, UserId=PERSON))
            for _ in range(2)
        ),
        site.faces["other"] in site.listed(),
    ]


# All together, as Home Assistant does it


@expects(
    "The check of the set-up is content",
    ["content", "content"],
    DetectFaces=2,
    CompareFaces=1,
    IndexFaces=1,
    SearchUsersByImage=1,
    AssociateFaces=1,
    DisassociateFaces=1,
)
def _set_up(site: Site) -> object:
    said = []
    for mode in Mode:
        try:
            asyncio.run(check(replace(site.settings, mode=mode), site.usage))
        except RecognitionError as err:
            said.append(str(err))
        else:
            said.append("content")
    return said


@expects(
    "A gallery is synced, visitors are recognized in both modes, and in the end nothing is left",
    {Mode.SEARCH: [["One"], ["One", "Other"]], Mode.COMPARE: [["One"], ["One", "Other"]], "left": [[], {}]},
    IndexFaces=3,
    AssociateFaces=2,
    SearchUsersByImage=3,
    CompareFaces=6,
)
def _story(site: Site) -> object:
    for face_id in site.listed():
        site.rekognition.delete_faces(CollectionId=site.bucket, FaceIds=[face_id])
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery(Path(folder))
        gallery.load()
        pictures = site.pictures
        gallery.add_person("One", [NewPhoto(pictures["one"]), NewPhoto(pictures["same"])])
        gallery.add_person("Other", [NewPhoto(pictures["other"])])
        answers: dict[str, object] = {mode: asyncio.run(_recognized(site, gallery, mode)) for mode in Mode}
    objects = Bucket(site.s3, site.layout).list()
    left = [key for key in objects if key != site.layout.photo_key(PERSON, PHOTO)]
    try:
        faces = site.listed()
    except site.rekognition.exceptions.ResourceNotFoundException:
        faces = {}
    return answers | {"left": [left, dict(faces)]}


async def _recognized(site: Site, gallery: Gallery, mode: Mode) -> Sequence[Sequence[str | None]]:
    names = {person.id: person.name for person in gallery.persons}
    engine = RekognitionEngine(replace(site.settings, mode=mode), Rule(), site.usage)
    try:
        await engine.sync(gallery)
        answers = [await engine.recognize(Picture(site.pictures[shown])) for shown in ("again", "both")]
        if mode is Mode.COMPARE:
            await engine.forget_everyone(gallery)
    finally:
        await engine.close()
    return [[names.get(face.person_id or "") for face in answer.faces] for answer in answers]


# Asking


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an expectation; `seconds` that it took."""

    says: str
    expected: object
    seen: object
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether AWS does as expected."""
        return bool(self.expected == self.seen)


def billed(contract: Sequence[Expectation] = CONTRACT) -> Counter[str]:
    """Return the calls that cost something, by operation."""
    return sum((Counter(each.billed) for each in contract), Counter())


def cost(contract: Sequence[Expectation] = CONTRACT) -> float:
    """Return what asking costs, in US dollars."""
    return prices.cost(billed(contract))


def ask(site: Site, contract: Sequence[Expectation] = CONTRACT) -> Iterator[Answer]:
    """Ask for everything, one after the other; what goes wrong is an answer too."""
    for each in contract:
        started = time.monotonic()
        try:
            seen = each.look(site)
        except (ClientError, BotoCoreError, RecognitionError, LookupError, ValueError) as err:
            seen = f"{type(err).__name__}: {err}"
        yield Answer(each.says, each.expected, seen, time.monotonic() - started)


def real_pictures(folder: Path) -> Mapping[str, bytes]:
    """Return the pictures that the contract shows: real people's, one of two of them, and a picture too small."""
    asyncio.run(lay_out_photos(folder, PHOTOS))
    pictures = {path.stem: images.prepare(path.read_bytes()) for path in folder.iterdir()}
    return pictures | {"both": _side_by_side(pictures["one"], pictures["other"]), "small": _tiny()}


def _side_by_side(larger: bytes, smaller: bytes) -> bytes:
    with Image.open(BytesIO(larger)) as right, Image.open(BytesIO(smaller)) as left:
        upper = [
            image.crop((0, 0, image.width, image.width)).resize((side, side))
            for image, side in ((right, 900), (left, 450))
        ]
    both = Image.new("RGB", (1350, 900), "gray")
    both.paste(upper[1], (0, 0))
    both.paste(upper[0], (450, 0))
    return _jpeg(both)


def _tiny() -> bytes:
    return _jpeg(Image.new("RGB", (79, 79), "white"))


def _jpeg(image: Image.Image) -> bytes:
    target = BytesIO()
    image.save(target, "JPEG", quality=92)
    return target.getvalue()


# Leaving nothing


def clean_up(clients: Clients, name: str) -> Sequence[str]:
    """Delete the scratch collection and bucket of this name; return what could not be deleted, and why."""
    if not name.startswith(SCRATCH):
        raise ValueError(f"{name} is not ours to delete")
    left = []
    for what, delete in ((f"collection {name}", _delete_collection), (f"bucket {name}", _delete_bucket)):
        try:
            delete(clients, name)
        except (ClientError, BotoCoreError) as err:
            left.append(f"{what}: {err}")
    return left


def _delete_collection(clients: Clients, name: str) -> None:
    with suppress(clients.rekognition_sync.exceptions.ResourceNotFoundException):
        clients.rekognition_sync.delete_collection(CollectionId=name)


def _delete_bucket(clients: Clients, name: str) -> None:
    with suppress(clients.s3.exceptions.NoSuchBucket):
        for page in clients.s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                clients.s3.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])
        clients.s3.delete_bucket(Bucket=name)
