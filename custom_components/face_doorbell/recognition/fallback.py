"""An engine beside which another one stands by: it answers when the first cannot, and says so."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
import logging
from typing import Final

from ..model import Face, Picture
from .decision import Rule
from .errors import (
    EngineAuthError,
    EngineSetupError,
    EngineUnavailableError,
    PersonError,
    PhotoRefusedError,
    RecognitionError,
)
from .gallery import Gallery
from .model import Engine, Recognition, SyncReport

_LOGGER = logging.getLogger(__name__)

# s: an answer of AWS takes one or two; whoever waits at the door is given another engine's before they turn away.
PATIENCE: Final = 7

# What is wrong with the engine, not with what it was asked.
ENGINE_ERRORS: Final = (EngineAuthError, EngineUnavailableError, EngineSetupError)

# Told after each piece of work (`recognize`, `sync`) how the engine did it: None if well.
type Report = Callable[[str, RecognitionError | None], None]


class FallbackEngine:
    """Asks an engine, and while `enabled` another one when that fails. All but recognition is the first one's."""

    def __init__(self, engine: Engine, standby: Engine, report: Report) -> None:
        """Take both engines, and whom to tell how the first one does."""
        self._enabled = True
        self._gallery: Gallery | None = None
        self._engine = engine
        self._standby = standby
        self._report = report
        self._preparing: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """That of the first engine."""
        return self._engine.name

    @property
    def enabled(self) -> bool:
        """Whether the other engine answers; it gets ready as soon as it is to do so."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        ready = self._enabled
        self._enabled = enabled
        if enabled and not ready and self._gallery:
            self._start_preparing(self._gallery)

    @property
    def rule(self) -> Rule:
        """The rule of both engines."""
        return self._engine.rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self._engine.rule = self._standby.rule = rule

    async def recognize(self, picture: Picture) -> Recognition:
        """Answer every face of a picture; raises the first engine's error when the other cannot answer either."""
        try:
            return await self._reported("recognize", self._recognize(picture))
        except ENGINE_ERRORS as err:
            if not self.enabled:
                raise
            try:
                answer = await self._standby.recognize(picture)
            except RecognitionError as also:
                _LOGGER.debug("The engine %s cannot answer instead: %s", self._standby.name, also)
                raise err from None
            _LOGGER.warning("The engine %s answered instead of %s: %s", answer.engine, self.name, err)
            return replace(answer, instead_of=err.key)

    async def compare(self, source: bytes, target: bytes) -> float:
        """Return the similarity of the largest faces of two images."""
        return await self._reported("recognize", self._engine.compare(source, target))

    async def inspect(self, photo: bytes) -> Sequence[Face]:
        """Return the faces of a prepared photo, largest first."""
        return await self._reported("sync", self._engine.inspect(photo))

    async def sync(self, gallery: Gallery) -> SyncReport:
        """Make the first engine's index what the gallery is; the other one's follows, whatever comes of that."""
        self._gallery = gallery
        if self.enabled:
            await self._stop_preparing()
            self._start_preparing(gallery)
        return await self._reported("sync", self._engine.sync(gallery))

    async def forget_everyone(self, gallery: Gallery) -> SyncReport:
        """Delete all that both indexes hold of us."""
        await self._stop_preparing()
        await self._standby.forget_everyone(gallery)
        return await self._reported("sync", self._engine.forget_everyone(gallery))

    async def close(self) -> None:
        """Release both engines."""
        await self._stop_preparing()
        await self._standby.close()
        await self._engine.close()

    async def _recognize(self, picture: Picture) -> Recognition:
        try:
            async with asyncio.timeout(PATIENCE if self.enabled else None):
                return await self._engine.recognize(picture)
        except TimeoutError as err:
            raise EngineUnavailableError from err

    async def _reported[T](self, work: str, done: Awaitable[T]) -> T:
        try:
            answer = await done
        except ENGINE_ERRORS as err:
            self._report(work, err)
            raise
        except PhotoRefusedError, PersonError:
            self._report(work, None)  # the engine has looked
            raise
        self._report(work, None)
        return answer

    def _start_preparing(self, gallery: Gallery) -> None:
        self._preparing = asyncio.create_task(self._prepare(gallery))

    async def _prepare(self, gallery: Gallery) -> None:
        """Index the gallery for the other engine; it takes the rest up when it is asked."""
        try:
            await self._standby.sync(gallery)
        except (RecognitionError, OSError) as err:
            _LOGGER.debug("The engine %s is not ready to answer instead: %s", self._standby.name, err)

    async def _stop_preparing(self) -> None:
        if self._preparing:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
            self._preparing = None
