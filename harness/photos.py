"""Real photos for the demo: who is enrolled, and who stands at the door."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import shutil
import subprocess
import sys

REPOSITORY = Path(__file__).parent.parent
FETCHED = REPOSITORY / ".cache" / "photos"
NOBODY = "nobody"
KNOWN = "Barack Obama"

# No photo of the door is enrolled: recognizing a picture that one was given would prove nothing.
ENROLLED = ("obama.jpg", "obama2.jpg")
AT_THE_DOOR = {KNOWN: "obama3.jpg", "Joe Biden": "biden.jpg", "Eileen Collins": "astronaut.png"}

# For pictures that are published: photos in the public domain, of nobody who holds or seeks an office.
PUBLISHED_KNOWN = "Eileen"
PUBLISHED_ENROLLED = ("astronaut.png",)
PUBLISHED = {PUBLISHED_KNOWN: "astronaut.png", "Grace": "hopper.jpg"}


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos to enrol for the known person, and a folder with one photo for each who can stand at the door."""

    known: str
    enrolled: tuple[Path, ...]
    door: Path
    strangers: tuple[str, ...]


async def lay_out_photos(
    folder: Path,
    at_the_door: Mapping[str, str] = AT_THE_DOOR,
    *,
    known: str = KNOWN,
    enrolled: Sequence[str] = ENROLLED,
) -> Photos:
    """Fetch the photos if needed and put those of the door into `folder`, named by who stands there."""
    fetch = await asyncio.create_subprocess_exec(sys.executable, str(REPOSITORY / "script" / "photos"))
    if await fetch.wait():
        raise subprocess.SubprocessError("the photos could not be fetched")
    await asyncio.to_thread(_copy, folder, at_the_door)
    strangers = tuple(name for name in at_the_door if name != known)
    return Photos(known, tuple(FETCHED / name for name in enrolled), folder, strangers)


def _copy(folder: Path, at_the_door: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for person, name in at_the_door.items():
        shutil.copyfile(FETCHED / name, folder / f"{person}{Path(name).suffix}")
