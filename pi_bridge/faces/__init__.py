"""Faces in pictures: found, judged and embedded on this machine, by models that come with the package.

Importing this package is cheap: only `finder` and what it uses load OpenCV and LiteRT, in the worker thread.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import FacesOffError
from ..model import FacesFound, FacesState

if TYPE_CHECKING:
    from .finder import Finder

MODELS: Final = Path(__file__).resolve().parent.parent / "models"

_LOGGER = logging.getLogger(__name__)


class Faces:
    """The `FaceFinder` of a real bridge. One worker thread does everything, one picture after the other."""

    def __init__(self, models: Path = MODELS, *, enabled: bool = True) -> None:
        """Begin to load the models of a folder, unless the owner wants none; `ready` waits until that is done."""
        self._state = FacesState.OK if enabled else FacesState.OFF
        # One thread: the interpreters are not thread-safe, and the other cores belong to the camera and the server.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="faces")
        self._finder = self._worker.submit(self._load, models) if enabled else None

    @property
    def state(self) -> FacesState:
        """OFF when models or LiteRT cannot be loaded or the owner wants none; final once `ready` has returned."""
        return self._state

    async def ready(self) -> FacesState:
        """Wait until the models are loaded, or cannot be, and return the state."""
        if self._finder:
            await asyncio.shield(asyncio.wrap_future(self._finder))
        return self._state

    async def find(self, image: bytes, *, embed: bool = True) -> FacesFound:
        """Return the faces of a JPEG or PNG, largest first; `embed` false leaves out the embeddings and their time.

        Raises NotAnImageError, and FacesOffError when `state` is OFF.
        """
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._find, image, embed)

    def close(self) -> None:
        """Drop what waits; the worker ends by itself after the picture it is at."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _load(self, models: Path) -> Finder | None:
        try:
            from .finder import Finder  # noqa: PLC0415 - OpenCV and LiteRT take long to import, and may be missing

            return Finder(models)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            self._state = FacesState.OFF
            _LOGGER.error(
                "No faces will be looked for, all else works: the face models cannot be loaded: %s", error
            )
            return None

    def _find(self, image: bytes, embed: bool) -> FacesFound:
        finder = self._finder.result() if self._finder else None
        if finder is None:
            raise FacesOffError("the face models are not loaded")
        return finder.find(image, embed=embed)
