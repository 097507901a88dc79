"""A camera that shows photos of visitors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import cycle
from pathlib import Path
import time
from typing import Final

from ..config import CameraConfig
from ..errors import ConfigError, Refused
from ..model import CameraState, Frame
from . import scene

NOBODY: Final = "nobody"
ENDINGS: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
FILMS_KEPT: Final = 16  # of about a megabyte each
THUMBNAIL_LINES: Final = 160


class PictureSource:
    """Shows one of the visitors of a folder at the door, or nobody; implements `ports.Camera`.

    A photo in the folder itself is a visitor of its name. A folder in it is a person: `alice` is the first photo,
    `alice/2.jpg` another one. Nobody is a drawn doorstep, or the photos named `nobody`.
    """

    def __init__(self, config: CameraConfig, folder: Path) -> None:
        """Look which photos there are; raises ConfigError when there is none."""
        self._size = config.width, config.height
        self._period_s = 1 / config.fps
        self._photos = _photos(folder)
        if not self._photos:
            raise ConfigError(
                f"{folder}: has no photos ({', '.join(sorted(ENDINGS))}) and no folders with photos"
            )
        self._film_of = lru_cache(FILMS_KEPT)(self._make_film)
        self._film: Iterator[bytes] | None = None
        self._choosing = asyncio.Lock()
        self._visitor = NOBODY
        self._state = CameraState.ABSENT

    @property
    def state(self) -> CameraState:
        """`ok` while it runs."""
        return self._state

    @property
    def alive(self) -> bool:
        """It lives in the event loop."""
        return True

    @property
    def visitor(self) -> str:
        """Who stands at the door."""
        return self._visitor

    @property
    def visitors(self) -> tuple[str, ...]:
        """Who may stand at the door."""
        return NOBODY, *(name for name in self._photos if name != NOBODY)

    async def choose(self, visitor: str) -> None:
        """Let somebody stand at the door: from the next frame on. Raises Refused, or NotAnImageError."""
        self._known(visitor)
        async with self._choosing:
            self._film = await self._load(visitor)
            self._visitor = visitor

    async def thumbnail(self, visitor: str) -> bytes:
        """Return a small JPEG of a visitor; raises Refused, or NotAnImageError."""
        self._known(visitor)
        return await asyncio.to_thread(self._make_thumbnail, visitor)

    async def run(self, deliver: Callable[[Frame], None], changed: Callable[[], None]) -> None:
        """Deliver frames until cancelled; call `changed` when `state` has changed."""
        async with self._choosing:
            self._film = self._film or await self._load(self._visitor)
        self._state = CameraState.OK
        changed()
        due = time.monotonic()
        try:
            while True:
                deliver(Frame(next(self._film), time.monotonic_ns()))
                due = max(due + self._period_s, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
        finally:
            self._state = CameraState.ABSENT

    def _known(self, visitor: str) -> None:
        if visitor not in self.visitors:
            raise Refused(
                404, "not_found", f"there is no visitor {visitor}; there are {', '.join(self.visitors)}"
            )

    async def _load(self, visitor: str) -> Iterator[bytes]:
        return cycle(await asyncio.to_thread(self._film_of, visitor))

    def _make_film(self, visitor: str) -> tuple[bytes, ...]:
        return scene.film(self._paint(visitor))

    def _make_thumbnail(self, visitor: str) -> bytes:
        photo = self._read(visitor) if visitor in self._photos else self._paint(visitor)
        return scene.thumbnail(photo, THUMBNAIL_LINES)

    def _paint(self, visitor: str) -> scene.Image:
        if visitor not in self._photos:
            return scene.doorstep(self._size)
        photo = self._read(visitor)
        paint = scene.covering if visitor.partition("/")[0] == NOBODY else scene.with_visitor
        return paint(photo, self._size)

    def _read(self, visitor: str) -> scene.Image:
        return scene.read(self._photos[visitor])


def _photos(folder: Path) -> dict[str, Path]:
    """Return the photos of a folder by the names of the visitors."""
    found: dict[str, Path] = {}
    for path in _sorted(folder):
        if path.is_dir():
            photos = [photo for photo in _sorted(path) if _is_photo(photo)]
            for number, photo in enumerate(photos):
                found[f"{path.name}/{photo.name}" if number else path.name] = photo
        elif _is_photo(path):
            found[path.stem] = path
    return found


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error}") from error


def _is_photo(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in ENDINGS
