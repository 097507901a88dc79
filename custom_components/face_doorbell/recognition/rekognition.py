"""The engine `rekognition`: reference photos in S3; faces are searched in a collection or compared with each photo."""

from collections.abc import Sequence
from typing import Final

from ..model import Face, Picture
from .aws import REGIONS, AwsSettings, Mode
from .decision import Rule
from .gallery import Gallery
from .model import Recognition, SyncReport

__all__ = ["REGIONS", "AwsSettings", "Mode", "RekognitionEngine", "check"]


class RekognitionEngine:
    """Answers through AWS Rekognition."""

    name: Final = "rekognition"

    def __init__(self, settings: AwsSettings, rule: Rule) -> None:
        """Take the settings; clients are made at the first call, in a worker thread."""
        self.rule = rule
        self._settings = settings

    async def recognize(self, picture: Picture) -> Recognition:
        """Answer every face of a picture."""
        raise NotImplementedError

    async def compare(self, source: bytes, target: bytes) -> float:
        """Return the similarity of the largest faces of two images."""
        raise NotImplementedError

    async def inspect(self, photo: bytes) -> Sequence[Face]:
        """Return the faces of a prepared photo, largest first."""
        raise NotImplementedError

    async def sync(self, gallery: Gallery) -> SyncReport:
        """Make bucket and collection what the gallery is."""
        raise NotImplementedError

    async def close(self) -> None:
        """Release the clients."""


async def check(settings: AwsSettings) -> None:
    """Try everything that the engine needs against the account; raises the error that the user should mend first.

    Makes the collection when it is missing; leaves nothing else behind.
    """
    raise NotImplementedError
