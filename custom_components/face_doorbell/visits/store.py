"""Visits on disk, in one private folder each. Everything here blocks.

    <visit_id>/visit.json   the visit, and of each face what it can be recognized by
    <visit_id>/<n>.jpg      its pictures

A folder gets its name when all is in it, and loses it before anything is deleted: a crash leaves no half visit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
import logging
from pathlib import Path
from typing import Any, Final

from ..files import make_folder, remove_folder, remove_unfinished, whole_folder, write_file, write_new
from ..model import Embedding
from .model import Visit

_LOGGER = logging.getLogger(__name__)

_RECORD: Final = "visit.json"

# Of each face; None when the bridge did not see it.
type Embeddings = Sequence[Embedding | None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A visit, the embeddings of its faces, which nobody else is ever told, and what its folder takes, in bytes."""

    visit: Visit
    embeddings: Embeddings
    size: int


class VisitStore:
    """The folders of all visits below `root`. Where the disk fails this raises OSError."""

    def __init__(self, root: Path) -> None:
        """Remember the folder; it is made and read by `read_all`."""
        self._root = root

    def read_all(self) -> list[Stored]:
        """Return all visits, and delete what a crash left half-made; what cannot be read stays, with a warning."""
        make_folder(self._root)
        remove_unfinished(self._root)
        for folder in self._root.iterdir():
            if folder.is_dir():
                remove_unfinished(folder)
        return list(self._read())

    def write(self, visit: Visit, embeddings: Embeddings, pictures: Mapping[int, bytes]) -> Stored:
        """Store a visit with its pictures, in place of one of the same id."""
        with whole_folder(self._root / visit.visit_id) as folder:
            for n, jpeg in pictures.items():
                write_new(folder / f"{n}.jpg", jpeg)
            write_new(folder / _RECORD, _dump(visit, embeddings))
            size = _size(folder)
            remove_folder(self._root / visit.visit_id)  # of a caller who gave up waiting
        return Stored(visit, embeddings, size)

    def rewrite(self, visit: Visit, embeddings: Embeddings) -> Stored:
        """Store a changed visit."""
        folder = self._root / visit.visit_id
        write_file(folder / _RECORD, _dump(visit, embeddings))
        return Stored(visit, embeddings, _size(folder))

    def remove(self, visit_ids: Iterable[str]) -> None:
        """Delete visits with their pictures."""
        for visit_id in visit_ids:
            remove_folder(self._root / visit_id)

    def picture_file(self, visit_id: str, n: int) -> Path:
        """Return where a picture of a visit is."""
        return self._root / visit_id / f"{n}.jpg"

    def _read(self) -> Iterator[Stored]:
        for folder in self._root.iterdir():
            try:
                yield _read(folder)
            except (OSError, KeyError, TypeError, ValueError, AttributeError) as err:
                _LOGGER.warning(
                    "Visit %s cannot be read and is left out: %s", folder.name, type(err).__name__
                )


def _read(folder: Path) -> Stored:
    record = json.loads((folder / _RECORD).read_bytes())
    embeddings = [_unpack(packed) for packed in record.pop("embeddings")]
    visit = Visit.from_json(record)
    if visit.visit_id != folder.name or len(embeddings) != len(visit.faces):
        raise ValueError("it is a copy, or was written by another program")
    return Stored(visit, embeddings, _size(folder))


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _dump(visit: Visit, embeddings: Embeddings) -> bytes:
    record = visit.to_json() | {"embeddings": [_pack(embedding) for embedding in embeddings]}
    return json.dumps(record, ensure_ascii=False, indent=1).encode()


def _pack(embedding: Embedding | None) -> dict[str, str] | None:
    return {"model": embedding.model, "vector": embedding.pack()} if embedding else None


def _unpack(packed: Mapping[str, Any] | None) -> Embedding | None:
    return Embedding.unpack(packed["model"], packed["vector"]) if packed else None
