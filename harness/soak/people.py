"""Home Assistant is killed again and again while persons are added, named, corrected and removed.

Each time it starts again, and then what it knows, the gallery, the engine's index, the visits and the disk have to
agree, and nobody else may have changed. The doorbell and a stand-in for AWS live on meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
import functools
import json
import math
from pathlib import Path
import random
import time
from typing import Any, Final

from custom_components.face_doorbell.const import DOMAIN
from pi_bridge.model import Box, Embedding, Face, FacesFound, FacesState
from tests.bridge.doubles import RunningBridge, running_bridge
from tests.fake_rekognition import PaintedEyes, paint

from ..cloud import Cloud, aws
from .child import Child, Complaint, Logged, preload
from .whole_home import Done, Perform, Ready, Start, Tell, Told, Walk, main, prepare

MODEL: Final = "painted"
HUES: Final = range(0, 360, 60)  # of the persons; no two look alike
MARKS: Final = range(6)  # of the photos of one person
ENGINES: Final = ("local", "rekognition")
ANSWER_S: Final = 240  # a start on a slow machine that does much else
BEYOND: Final = 1.2  # of the usual number of points: some die when all is done
SAVED_S: Final = 1.5  # Home Assistant writes what it knows of persons within one


class PeopleError(Exception):
    """Home Assistant did not do what is the condition of everything else."""


@dataclass(slots=True)
class Report:
    """What came of it: how often it was killed during what, how often a change had already been told, and faults."""

    engine: str
    seed: int
    kills: int = 0
    during: Counter[str] = field(default_factory=Counter)
    afterwards: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether all agreed every time."""
        return self.kills > 0 and not self.broken

    def to_json(self) -> str:
        """Return all of it."""
        # A Counter cannot be copied as `asdict` copies.
        return json.dumps(
            {**asdict(replace(self, during=Counter())), "during": dict(self.during), "kept": self.kept},
            indent=1,
        )


class PaintedFaces:
    """The bridge's face models for painted faces."""

    state: Final = FacesState.OK

    def __init__(self) -> None:
        """See with the eyes that the stand-in for AWS sees with."""
        self._eyes = PaintedEyes()

    async def ready(self) -> FacesState:
        """Return that it can see."""
        return self.state

    async def find(self, image: bytes, *, embed: bool = True) -> FacesFound:
        """Return the faces of a picture."""
        faces = [
            Face(Box(each.left, each.top, each.width, each.height), 0.95, 0.9, _embedding(each.face[0]), 0.0)
            for each in self._eyes.look(image)
        ]
        return FacesFound(640, 360, tuple(faces))


def _embedding(hue: float) -> Embedding:
    return Embedding(MODEL, (math.cos(math.radians(hue)), math.sin(math.radians(hue))))


class Home:
    """Home Assistant, again and again on the same folder."""

    def __init__(self, folder: Path, photos: Path) -> None:
        """Make the folder."""
        self.folder = folder
        self.complaints: list[str] = []
        self._reports: asyncio.Queue[object] = asyncio.Queue()
        self._child: Child[Start] | None = None
        prepare(folder, photos)

    async def start(self) -> None:
        """Start it."""
        self._reports = asyncio.Queue()
        self._child = Child(main, Start(self.folder), self._take)
        await self._expect(Ready)

    async def kill(self) -> None:
        """Kill it, unless it is dead."""
        if self._child:
            await self._child.kill()

    async def ask[T](self, order: object, answer: type[T]) -> T:
        """Return the answer to an order; raises PeopleError."""
        self._alive.order(order)
        return await self._expect(answer)

    async def perform(self, order: Perform) -> Done | None:
        """Perform an action; None when it died of it."""
        self._alive.order(order)
        answer = await self._next()
        if answer is not None and not isinstance(answer, Done):
            raise PeopleError(f"{order}: {answer}")
        return answer

    @property
    def _alive(self) -> Child[Start]:
        if self._child is None:
            raise PeopleError("not started")
        return self._child

    async def _expect[T](self, kind: type[T]) -> T:
        answer = await self._next()
        if not isinstance(answer, kind):
            raise PeopleError(f"{answer} instead of {kind.__name__}; {self.complaints[-3:]}")
        return answer

    async def _next(self) -> object:
        """Return the next report, None when it has died before."""
        report = asyncio.ensure_future(self._reports.get())
        ended = asyncio.ensure_future(self._alive.ended())
        try:
            await asyncio.wait({report, ended}, timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            if not report.done() and not ended.done():
                raise PeopleError("Home Assistant does not answer")
            return report.result() if report.done() else None
        finally:
            report.cancel()
            ended.cancel()

    def _take(self, report: object) -> None:
        match report:
            case Complaint():
                self.complaints.append(str(report))
            case Logged():
                pass
            case _:
                self._reports.put_nowait(report)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one person, by name; `photos` is how many there are to be afterwards (None: any, but not none)."""

    kind: str
    action: str
    data: Mapping[str, Any]
    name: str
    photos: int | None = None


class Household:
    """What a household does, and how it compares what it has with what it should have."""

    def __init__(self, home: Home, photos: Path, cloud: Cloud | None, report: Report) -> None:
        """Begin without persons."""
        self._home = home
        self._photos = photos
        self._cloud = cloud
        self._report = report
        self._random = random.Random(report.seed)  # noqa: S311 - to be repeatable
        self._lengths = Counter[str]()
        self._told = Told({}, {}, {}, frozenset(), {}, in_sync=True, doorbell="")

    async def set_up(self, bridge: RunningBridge) -> None:
        """Pair the doorbell, set up recognition, and learn how long each kind of change takes."""
        address = {"host": bridge.host, "port": bridge.port}
        answers: list[Mapping[str, Any]] = [
            {"next_step_id": "doorbell"},
            address,
            {"code": bridge.pairing_code()},
        ]
        await self._walk(answers)
        if self._cloud is None:
            await self._walk([{"next_step_id": "recognition"}, {"next_step_id": "local"}])
        else:
            await self._walk(
                [{"next_step_id": "recognition"}, {"next_step_id": "rekognition"}, self._cloud.settings]
            )
        self._told = await self._home.ask(Tell(), Told)
        for kind in ("add", "name", "photo", "correct", "remove"):
            change = await self._change(kind)
            done = await self._perform(change)
            self._lengths[kind] = done.passed
            await self.check(change)
        await asyncio.sleep(SAVED_S)

    async def be_killed(self) -> None:
        """Change somebody, be killed at some point, start again, and compare."""
        possible = ["add", "name", "photo", "correct", "remove"] if self._told.names else ["add", "name"]
        if len(self._told.names) == len(HUES):
            possible = ["photo", "correct", "remove", "remove"]
        change = await self._change(self._random.choice(possible))
        point = self._random.randint(1, round(self._lengths[change.kind] * BEYOND))
        done = await self._home.perform(Perform(change.action, change.data, point))
        self._report.kills += 1
        self._report.during[change.kind] += 1
        if done is not None:
            self._report.afterwards += 1
            await asyncio.sleep(self._random.uniform(0, SAVED_S))
        await self._home.kill()
        await self._home.start()
        await self.check(change)

    async def check(self, change: Change) -> None:
        """Compare all that there is with each other, and with what may have become of a change."""
        told = await self._home.ask(Tell(), Told)
        found = [*_disagreements(told), *await asyncio.to_thread(lambda: list(self._differences(told)))]
        found += _consequences(change, self._told, told)
        found += self._home.complaints
        self._home.complaints.clear()
        self._report.broken += [
            f"kill {self._report.kills}, {change.kind} {change.name}: {each}" for each in found
        ]
        self._told = told

    async def _walk(self, answers: Sequence[Mapping[str, Any]]) -> None:
        answer = (await self._home.ask(Walk(answers), Done)).answer
        if answer["type"] != "create_entry":
            raise PeopleError(f"the flow ended with {answer}")

    async def _perform(self, change: Change) -> Done:
        done = await self._home.ask(Perform(change.action, change.data), Done)
        if done.error:
            raise PeopleError(f"{change}: {done.error}")
        return done

    async def _change(self, kind: str) -> Change:
        """Choose a change of a kind, and prepare it as far as nothing of it is to be killed."""
        taken = {name: person_id for person_id, name in self._told.names.items()}
        free = [f"Hue {hue}" for hue in HUES if f"Hue {hue}" not in taken]
        if kind == "add":
            name = self._random.choice(free)
            marks = self._random.sample(MARKS, self._random.randint(1, 3))
            media = [self._media(name, mark) for mark in marks]
            return Change(kind, "add_person", {"name": name, "media": media}, name, len(media))
        if kind == "name":
            name = self._random.choice(free)
            return Change(kind, "name_visitor", {"visit_id": await self._visit(name), "person": name}, name)
        name = self._random.choice(sorted(taken))
        if kind == "photo":
            media = [self._media(name, self._random.choice(MARKS))]
            return Change(kind, "add_photo", {"person": taken[name], "media": media}, name)
        if kind == "correct":
            visit = await self._visit(name)  # in which this person is, and now shall not be
            return Change(kind, "not_this_person", {"visit_id": visit, "face": 0}, name)
        return Change(kind, "remove_person", {"person": taken[name]}, name, 0)

    async def _visit(self, name: str) -> str:
        """Let somebody ring; return the visit's id once it is stored."""
        media = self._media(name, self._random.choice(MARKS))
        ring = Perform("ring", {"device_id": self._told.doorbell, "media": media})
        deadline = time.monotonic() + ANSWER_S
        while (rang := await self._home.ask(ring, Done)).error:  # the doorbell is being connected
            if time.monotonic() > deadline:
                raise PeopleError(f"no ring: {rang.error}")
            await asyncio.sleep(0.1)
        visit_id: str = rang.answer["visit_id"]
        while time.monotonic() < deadline:
            listed = await self._home.ask(Perform("list_visits", {"limit": 5}), Done)
            for visit in listed.answer["visits"]:
                if visit["visit_id"] == visit_id:
                    return visit_id
            await asyncio.sleep(0.05)
        raise PeopleError("a ring became no visit")

    def _media(self, name: str, mark: int) -> Mapping[str, str]:
        path = self._photos / f"{name}-{mark}.jpg"
        return {"media_content_id": str(path), "media_content_type": "image/jpeg"}

    def _differences(self, told: Told) -> Iterator[str]:
        """Yield how disk and AWS differ from what Home Assistant knows."""
        root = self._home.folder / DOMAIN
        people = root / "people"
        files = {
            f"{person}/{name}"
            for person, photos in told.photos.items()
            for name in ("person.json", *(f"{photo}.jpg" for photo in photos))
        }
        on_disk = {str(path.relative_to(people)) for path in people.rglob("*") if path.is_file()}
        yield from _difference("the disk", on_disk, files)
        if left := [path.name for path in root.rglob(".new-*")]:
            yield f"unfinished: {left}"
        for person in told.photos:
            record = json.loads((people / person / "person.json").read_bytes())
            if without := [
                each for each, photo in record["photos"].items() if MODEL not in photo["embeddings"]
            ]:
                yield f"photos of {person} without an embedding: {without}"
        for folder in (root / "visits").iterdir():
            visit = json.loads((folder / "visit.json").read_bytes())
            pictures = {f"{picture['n']}.jpg" for picture in visit["pictures"]}
            yield from _difference(
                f"visit {folder.name}", {path.name for path in folder.iterdir()}, pictures | {"visit.json"}
            )
        if self._cloud:
            yield from _cloud_differences(self._cloud, told.photos)


def _disagreements(told: Told) -> Iterator[str]:
    """Yield where parts of Home Assistant do not agree with each other."""
    if told.names != told.subentries:
        yield f"the gallery has {told.names}, Home Assistant {told.subentries}"
    if told.devices != told.names.keys():
        yield f"there are devices of {told.devices ^ told.names.keys()}"
    if strange := told.in_visits.items() - told.names.items():
        yield f"visits name {dict(strange)}"
    if not told.in_sync:
        yield "the index is not in sync"


def _consequences(change: Change, before: Told, after: Told) -> Iterator[str]:
    """Yield what a change has done to others, and where it was done by half."""
    subject = {
        person for told in (before, after) for person, name in told.names.items() if name == change.name
    }
    for person in (before.names.keys() | after.names.keys()) - subject:
        if before.photos.get(person) != after.photos.get(person):
            yield f"{person} had {before.photos.get(person)}, and has {after.photos.get(person)}"
    for person in subject:
        count = len(after.photos.get(person, ()))
        old = len(before.photos.get(person, ()))
        new = change.photos if change.kind in ("add", "remove") else None
        if count not in (old, new) and not (new is None and count > old and change.kind in ("name", "photo")):
            yield f"{person} has {count} photos instead of {old} or {new}"
        if person in after.names and not count:
            yield f"{person} is there without photos"


def _cloud_differences(cloud: Cloud, photos: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield how bucket and collection differ from the persons with their photos."""
    wanted = {f"{person}/{photo}.jpg" for person in photos for photo in photos[person]}
    files = wanted | {f"{person}/person.json" for person in photos}
    kept = {key.removeprefix(f"{DOMAIN}/people/") for key in cloud.objects()}
    yield from _difference("the bucket", kept, files)
    collection = cloud.rekognition.collection()
    faces = list(collection.faces.values()) if collection else []
    indexed = {f"{face.user_id}/{(face.external_id or '').partition(':')[2]}.jpg" for face in faces}
    yield from _difference("the collection", indexed, wanted)
    if len(faces) != len(wanted):
        yield f"the collection has {len(faces)} faces of {len(wanted)} photos"
    users = set(collection.users) if collection else set()
    if users - photos.keys():
        yield f"the collection has the users {users - photos.keys()}"


def _difference(where: str, found: set[str], wanted: set[str]) -> Iterator[str]:
    if found - wanted:
        yield f"{where} has {sorted(found - wanted)} too much"
    if wanted - found:
        yield f"{where} lacks {sorted(wanted - found)}"


async def soak_people(folder: Path, kills: int, seed: int, engine: str) -> Report:
    """Kill Home Assistant so often; raises PeopleError when it does not even start."""
    preload("harness.soak.whole_home", "harness.soak.preloaded")
    report = Report(engine, seed)
    photos = folder / "photos"
    await asyncio.to_thread(_paint, photos)
    async with (
        aws(engine, PaintedEyes()) as cloud,
        running_bridge(folder / "bridge", photos=[paint(0)], finder=PaintedFaces()) as bridge,
    ):
        home = Home(folder / "home_assistant", photos)
        household = Household(home, photos, cloud, report)
        try:
            await home.start()
            await household.set_up(bridge)
            for _ in range(kills):
                await household.be_killed()
        finally:
            await home.kill()
    return report


@functools.cache
def _photo(hue: int, mark: int) -> bytes:
    return paint(hue, mark=mark)


def _paint(folder: Path) -> None:
    folder.mkdir(parents=True)
    for hue in HUES:
        for mark in MARKS:
            (folder / f"Hue {hue}-{mark}.jpg").write_bytes(_photo(hue, mark))
