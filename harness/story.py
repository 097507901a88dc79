"""The story of a stranger in a real Home Assistant: rings, is named, is recognized, is forgotten, is a stranger again.

    python -m harness.story [--engine rekognition] [--folder FOLDER]

With `rekognition` a stand-in for AWS runs in this process, with a bucket that keeps versions. In the end the
configuration folder, the bucket and the collection are searched for what is left of the person.
"""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
import sys
from typing import Final

from tests.fake_rekognition import RealEyes

from .cloud import Cloud, aws
from .demo import DOMAIN, FLOWS, VISIT_TIMEOUT, WALK_UP, Watcher, tell
from .doorbell import Doorbell
from .home_assistant import REPOSITORY, ApiError, HomeAssistant, Json, WebSocket
from .photos import lay_out_photos
from .process import ProcessFailedError, free_port

FOLDER: Final = REPOSITORY / ".demo" / "story"
NAME: Final = "Bartholomew Quill"  # nobody else in the world of this machine
# The same person three times, with another photo each, and somebody else in between.
AT_THE_DOOR: Final = {
    "first": "obama.jpg",
    "somebody else": "biden.jpg",
    "second": "obama2.jpg",
    "third": "obama3.jpg",
}

# Home Assistant's own memory, which keeps names and ids for a while and is the user's to purge.
HOME_ASSISTANTS_OWN: Final = ("home-assistant_v2.db", "core.entity_registry", "core.device_registry")


@dataclass(frozen=True, slots=True)
class Trace:
    """Something of the person that was found somewhere."""

    what: str
    where: str

    @property
    def excused(self) -> bool:
        """Whether it is a name or an id in Home Assistant's own memory."""
        own = any(name in self.where for name in HOME_ASSISTANTS_OWN)
        return own and self.what in ("name", "id")


async def set_up(home: HomeAssistant, doorbell: Doorbell, cloud: Cloud | None) -> None:
    """Add the doorbell and recognition, and nobody."""
    address = {"host": "127.0.0.1", "port": doorbell.port}
    code = {"code": await doorbell.pairing_code()}
    paired = await home.run_flow(FLOWS, {"handler": DOMAIN}, {"next_step_id": "doorbell"}, address, code)
    _, flow = paired["next_flow"]
    if cloud is None:
        await home.walk_flow(FLOWS, flow, {"next_step_id": "local"})
        return
    await home.walk_flow(FLOWS, flow, {"next_step_id": "rekognition"}, cloud.settings)


class Story:
    """The visitors' side and the household's side of it."""

    def __init__(self, home: HomeAssistant, doorbell: Doorbell) -> None:
        """Take both sides."""
        self._home = home
        self._doorbell = doorbell
        self.mistakes: list[str] = []

    async def rings(self, socket: WebSocket, who: str, expected: str, name: str | None = None) -> str:
        """Let somebody ring, and compare what comes of it; return the visit's id."""
        watcher = await Watcher.start(socket)
        await self._doorbell.put_at_the_door(who)
        await asyncio.sleep(WALK_UP)
        await self._doorbell.press()
        async with asyncio.timeout(VISIT_TIMEOUT):
            _, _, visit = await watcher.visit()
        names = [name] if name else []
        self.check(f"{who} rings: {visit['event_type']} {visit['names']}", (expected, names), visit)
        return str(visit["visit_id"])

    def check(self, line: str, expected: tuple[str, list[str]], visit: Mapping[str, object]) -> None:
        """Tell a line of the story and whether it is as expected."""
        right = (visit["event_type"], visit["names"]) == expected
        tell(line if right else f"{line}, WRONG, expected {expected}")
        if not right:
            self.mistakes.append(line)

    async def tell(self) -> Json:
        """Play it; return what Home Assistant says it has removed."""
        call = self._home.call
        async with self._home.websocket() as socket:
            first = await self.rings(socket, "first", "unknown")
            named = await call(f"{DOMAIN}.name_visitor", {"visit_id": first, "person": NAME})
            tell(f"named from the visit: {json.dumps(named)}")
            self.person_id: str = named["person_id"]
            self.photos = await asyncio.to_thread(self._photos)
            await self.rings(socket, "somebody else", "unknown")
            await self.rings(socket, "second", "recognized", NAME)
            removed = await call(f"{DOMAIN}.remove_person", {"person": NAME})
            tell(f"removed: {json.dumps(removed)}")
            await self.rings(socket, "third", "unknown")
        return removed

    def _photos(self) -> list[bytes]:
        """Return all that is kept to recognize the person by."""
        folder = self._home.folder / DOMAIN / "people" / self.person_id
        record = json.loads((folder / "person.json").read_text())
        vectors = [
            vector.encode() for photo in record["photos"].values() for vector in photo["embeddings"].values()
        ]
        return [*(path.read_bytes() for path in folder.glob("*.jpg")), *vectors]

    def search(self, cloud: Cloud | None) -> list[Trace]:
        """Return what is left of the person."""
        needles = {
            "name": NAME.encode(),
            "id": self.person_id.encode(),
            **{f"photo or vector {n}": photo for n, photo in enumerate(self.photos)},
        }
        files = (path for path in self._home.folder.rglob("*") if path.is_file() and not path.is_symlink())
        contents = [(str(path.relative_to(self._home.folder)), path.read_bytes()) for path in files]
        contents += cloud.contents() if cloud else ()
        return [
            Trace(what, where)
            for where, content in contents
            for what, needle in needles.items()
            if needle in content or needle in where.encode()
        ]


async def play(folder: Path, engine: str) -> int:
    """Play the story and search for what is left; return the exit code."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    photos = await lay_out_photos(folder / "photos", AT_THE_DOOR)
    async with aws(engine, RealEyes()) as cloud, Doorbell(folder / "bridge", photos.door) as doorbell:
        tell(f"starting Home Assistant, engine {engine}")
        async with HomeAssistant(folder / "home_assistant", free_port()) as home:
            await set_up(home, doorbell, cloud)
            story = Story(home, doorbell)
            removed = await story.tell()
        # Stopped, it has written everything that it wants to remember.
        traces = await asyncio.to_thread(story.search, cloud)
    for trace in traces:
        tell(f"left: {trace.what} in {trace.where}{' (of Home Assistant itself)' if trace.excused else ''}")
    wrong = len(story.mistakes) + sum(not trace.excused for trace in traces)
    if removed["pending"] or removed["old_versions_remain"]:
        wrong += 1
    tell("nothing of ours is left of the person" if not wrong else f"{wrong} mistakes")
    return 1 if wrong else 0


def main() -> None:
    """Parse the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("local", "rekognition"), default="local")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="emptied at start")
    arguments = parser.parse_args()
    try:
        sys.exit(asyncio.run(play(arguments.folder, arguments.engine)))
    except (ApiError, ProcessFailedError, TimeoutError) as error:
        sys.exit(f"the story broke off: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
