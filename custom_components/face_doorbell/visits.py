"""The visit log: what came of every ring, with its pictures, for as long as the household wants to know.

`<config>/face_doorbell/visits/<visit_id>/` holds `visit.json` and the pictures `<n>.jpg`. A folder is written under
another name, synced and renamed, so that a visit is there whole or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
import json
import logging
import os
from pathlib import Path
import shutil
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .model import Box, Outcome

_LOGGER = logging.getLogger(__name__)

KEEP_RECOGNIZED: Final = timedelta(days=90)
KEEP_OTHERS: Final = timedelta(
    days=30
)  # pictures of strangers are kept no longer than anybody needs to ask about them
KEEP_VISITS: Final = 2_000
KEEP_BYTES: Final = 1_000_000_000  # what a small installation's disk and its backups can spare

_RECORD: Final = "visit.json"
_UNFINISHED: Final = ".unfinished-"


@dataclass(frozen=True, slots=True)
class VisitFace:
    """A face of a visit: whose it is (None: a stranger's) and how alike the most alike person is, 0 to 100."""

    box: Box
    person_id: str | None = None
    name: str | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class VisitPicture:
    """The `n`-th picture of a visit, taken `at_ms` after the press (negative: before)."""

    n: int
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds from the press to each step; None for a step that was not taken."""

    ring: int | None = None
    picture: int | None = None
    decision: int | None = None
    answer: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """What Home Assistant made of a ring; `visit_id` is the ring's id.

    `missed`: it was too old to answer. `outcome` is None when nobody was asked; `reason` is the key of a failure,
    `picture` the number of the picture that decided.
    """

    visit_id: str
    doorbell_id: str
    at: datetime
    replay: bool = False
    missed: bool = False
    test: bool = False
    outcome: Outcome | None = None
    reason: str | None = None
    engine: str | None = None
    faces: tuple[VisitFace, ...] = ()
    pictures: tuple[VisitPicture, ...] = ()
    picture: int | None = None
    timings: Timings = field(default_factory=Timings)
    calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def known(self) -> tuple[VisitFace, ...]:
        """The faces of persons, the surest first."""
        faces = [face for face in self.faces if face.person_id is not None]
        return tuple(sorted(faces, key=lambda face: face.similarity or 0, reverse=True))

    @property
    def names(self) -> list[str]:
        """The names of the persons, the surest first."""
        return [face.name or "" for face in self.known]

    @property
    def strangers(self) -> int:
        """How many faces belong to nobody."""
        return len(self.faces) - len(self.known)

    @property
    def similarity(self) -> float | None:
        """How alike the surest person is, or the most alike one when nobody is known."""
        return max(
            (face.similarity for face in self.known or self.faces if face.similarity is not None),
            default=None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the visit as it stands in `visit.json`."""
        return asdict(self) | {"at": self.at.isoformat(), "calls": dict(self.calls)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Visit:
        """Read what `to_json` wrote; raises KeyError, TypeError or ValueError when it is something else."""
        return cls(
            **{
                **data,
                "at": datetime.fromisoformat(data["at"]),
                "outcome": Outcome(data["outcome"]) if data["outcome"] else None,
                "faces": tuple(VisitFace(**{**face, "box": Box(**face["box"])}) for face in data["faces"]),
                "pictures": tuple(VisitPicture(**picture) for picture in data["pictures"]),
                "timings": Timings(**data["timings"]),
            }
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    """A visit and what its folder takes, in bytes."""

    visit: Visit
    size: int


class VisitLog:
    """All visits of all doorbells: in memory newest first, on disk in one folder each."""

    def __init__(self, hass: HomeAssistant, root: Path) -> None:
        """Keep the visits under `root`; nothing is read before `async_load`."""
        self._hass = hass
        self._root = root
        self._kept: dict[str, _Kept] = {}

    def __contains__(self, visit_id: str) -> bool:
        return visit_id in self._kept

    def get(self, visit_id: str) -> Visit | None:
        """Return a visit, or None when there is none of this id (any more)."""
        kept = self._kept.get(visit_id)
        return kept.visit if kept else None

    def newest_first(self, doorbell_id: str) -> Iterator[Visit]:
        """Yield the visits of a doorbell."""
        return (kept.visit for kept in self._kept.values() if kept.visit.doorbell_id == doorbell_id)

    async def async_load(self) -> None:
        """Read the log and remove what a power cut left half-made; called once."""
        self._sort(await self._hass.async_add_executor_job(_read_all, self._root))
        await self.async_prune()

    async def async_add(self, visit: Visit, pictures: Mapping[int, bytes]) -> None:
        """Store a visit with the JPEGs of its pictures; it is safely on disk afterwards. Raises OSError."""
        size = await self._hass.async_add_executor_job(_write, self._root, visit, pictures)
        self._sort([*self._kept.values(), _Kept(visit, size)])
        await self.async_prune()

    async def async_amend(self, visit: Visit) -> None:
        """Store a changed record of a visit, unless it was forgotten meanwhile; raises OSError."""
        kept = self._kept.get(visit.visit_id)
        if kept is None:
            return
        self._kept[visit.visit_id] = replace(kept, visit=visit)
        await self._hass.async_add_executor_job(_write_record, self._root / visit.visit_id, visit)

    async def async_picture(self, visit_id: str, n: int) -> bytes | None:
        """Return the JPEG of a visit's `n`-th picture, or None when there is none."""
        visit = self.get(visit_id)
        if visit is None or n not in (picture.n for picture in visit.pictures):
            return None
        return await self._hass.async_add_executor_job(_read_picture, self._root / visit_id / f"{n}.jpg")

    async def async_prune(self, _now: datetime | None = None) -> None:
        """Forget the visits that are too old or too many."""
        gone = list(_beyond_retention(self._kept.values(), dt_util.utcnow()))
        for visit_id in gone:
            del self._kept[visit_id]
        if gone:
            await self._hass.async_add_executor_job(_remove, self._root, gone)

    def _sort(self, kept: Iterable[_Kept]) -> None:
        newest_first = sorted(kept, key=lambda each: each.visit.at, reverse=True)
        self._kept = {each.visit.visit_id: each for each in newest_first}


VISITS: HassKey[VisitLog] = HassKey(f"{DOMAIN}_visits")


def _beyond_retention(newest_first: Iterable[_Kept], now: datetime) -> Iterator[str]:
    count = size = 0
    for each in newest_first:
        visit = each.visit
        keep = KEEP_RECOGNIZED if visit.outcome is Outcome.RECOGNIZED else KEEP_OTHERS
        if visit.at < now - keep or count >= KEEP_VISITS or size + each.size > KEEP_BYTES:
            yield visit.visit_id
        else:
            count += 1
            size += each.size


def _read_all(root: Path) -> list[_Kept]:
    for folder in (root.parent, root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = []
    for folder in root.iterdir():
        if folder.name.startswith(_UNFINISHED):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        try:
            visit = Visit.from_json(json.loads((folder / _RECORD).read_bytes()))
        except (OSError, KeyError, TypeError, ValueError) as err:
            _LOGGER.warning("Visit %s cannot be read and is left out: %s", folder.name, type(err).__name__)
            continue
        kept.append(_Kept(visit, sum(file.stat().st_size for file in folder.iterdir())))
    return kept


def _write(root: Path, visit: Visit, pictures: Mapping[int, bytes]) -> int:
    unfinished = root / f"{_UNFINISHED}{visit.visit_id}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for n, jpeg in pictures.items():
        _write_file(unfinished / f"{n}.jpg", jpeg)
    _write_record(unfinished, visit)
    size = sum(file.stat().st_size for file in unfinished.iterdir())
    unfinished.rename(root / visit.visit_id)
    _sync_folder(root)
    return size


def _write_record(folder: Path, visit: Visit) -> None:
    unfinished = folder / f"{_UNFINISHED}{_RECORD}"
    _write_file(unfinished, json.dumps(visit.to_json(), ensure_ascii=False, indent=1).encode())
    unfinished.replace(folder / _RECORD)
    _sync_folder(folder)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_picture(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove(root: Path, visit_ids: Iterable[str]) -> None:
    for visit_id in visit_ids:
        shutil.rmtree(root / visit_id, ignore_errors=True)
