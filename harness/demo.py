"""The demo: a simulated doorbell and a real Home Assistant that tells two people apart from real photos.

Everything is set up through Home Assistant's own interfaces, as its user interface does it.
"""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
import json
from pathlib import Path
import shutil
import sys
import time

from .doorbell import Doorbell
from .home_assistant import PASSWORD, REPOSITORY, USERNAME, ApiError, HomeAssistant, WebSocket
from .photos import KNOWN, NOBODY, Photos, lay_out_photos
from .process import ProcessFailedError, free_port

DOMAIN = "face_doorbell"
FLOWS = "/api/config/config_entries/flow"
SUBENTRY_FLOWS = "/api/config/config_entries/subentries/flow"
DEMO_FOLDER = REPOSITORY / ".demo"
PORT = 8123
PAGE_PORT = 8468
VISIT_TIMEOUT = 60  # seconds from the press; a visit takes under two, a loaded machine may need more
ROUNDS = 3  # how often each kind of visitor rings in a check
WALK_UP = (
    1.0  # seconds between two visitors; the bridge takes a second press within 0.3 s for the same finger
)

STARTED = time.monotonic()


def tell(line: str) -> None:
    """Print a line of progress with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {line}", flush=True)


@dataclass(frozen=True, slots=True)
class Visit:
    """One press of a check: what should come of it, what did, and milliseconds from the press to both events."""

    expected: str
    outcome: str
    person: str | None
    ring_ms: float
    decision_ms: float

    def is_right(self, person: str | None) -> bool:
        """Whether outcome and person are as expected."""
        return self.outcome == self.expected and self.person == person


async def set_up(home: HomeAssistant, doorbell: Doorbell, photos: Photos) -> None:
    """Add the doorbell, recognition with the local engine, and one known person, as the user interface would."""
    tell("pairing the doorbell with Home Assistant")
    address = {"host": "127.0.0.1", "port": doorbell.port}
    code = {"code": await doorbell.pairing_code()}
    paired = await home.run_flow(FLOWS, {"handler": DOMAIN}, {"next_step_id": "doorbell"}, address, code)
    tell("setting up recognition with the local engine")
    _, next_flow = paired["next_flow"]
    recognition = await home.walk_flow(FLOWS, next_flow, {"next_step_id": "local"})
    tell(f"adding {photos.known} with {len(photos.enrolled)} photos")
    uploads = {f"photo_{number}": await home.upload(path) for number, path in enumerate(photos.enrolled, 1)}
    _, next_flow = recognition["next_flow"]
    await home.walk_flow(SUBENTRY_FLOWS, next_flow, {"name": photos.known, **uploads})


class Watcher:
    """Sees the two events of each visit as Home Assistant fires them."""

    def __init__(self, socket: WebSocket, rings: str, visitors: str) -> None:
        """Watch the entities `rings` and `visitors`."""
        self._socket = socket
        self._entities = {rings: "ring", visitors: "visitor"}

    @classmethod
    async def start(cls, socket: WebSocket) -> Watcher:
        """Find the two event entities and subscribe to state changes."""
        entities = {
            entry["translation_key"]: entry["entity_id"]
            for entry in await socket.command("config/entity_registry/list")
            if entry["platform"] == DOMAIN and entry["entity_id"].startswith("event.")
        }
        await socket.subscribe_events("state_changed")
        return cls(socket, entities["doorbell"], entities["visitor"])

    async def visit(self) -> tuple[datetime, datetime, Mapping[str, object]]:
        """Wait for the next visit; return when it rang, when it was decided, and the visitor event's attributes."""
        rang: dict[object, datetime] = {}
        while True:
            event = await self._socket.event()
            kind = self._entities.get(event["data"]["entity_id"])
            state = event["data"].get("new_state")
            if kind is None or state is None or "visit_id" not in state["attributes"]:
                continue
            moment = datetime.fromisoformat(event["time_fired"])
            attributes: Mapping[str, object] = state["attributes"]
            if kind == "ring":
                rang[attributes["visit_id"]] = moment
            elif attributes["visit_id"] in rang:
                return rang[attributes["visit_id"]], moment, attributes


async def check(home: HomeAssistant, doorbell: Doorbell, photos: Photos) -> list[tuple[Visit, bool]]:
    """Let each kind of visitor ring and return the visits with whether each was right."""
    visits = []
    strangers = ((name, "unknown", None) for name in photos.strangers)
    expectations = [(KNOWN, "recognized", KNOWN), *strangers, (NOBODY, "no_face", None)]
    async with home.websocket() as socket:
        watcher = await Watcher.start(socket)
        for choice, expected, person in expectations * ROUNDS:
            await doorbell.put_at_the_door(choice)
            await asyncio.sleep(WALK_UP)
            press = await doorbell.press()
            async with asyncio.timeout(VISIT_TIMEOUT):
                rang, decided, attributes = await watcher.visit()
            names = attributes.get("names")
            visit = Visit(
                expected,
                str(attributes["event_type"]),
                ", ".join(names) if isinstance(names, list) and names else None,
                round((rang - press.at).total_seconds() * 1000, 1),
                round((decided - press.at).total_seconds() * 1000, 1),
            )
            right = visit.is_right(person)
            tell(
                f"{choice}: {visit.outcome}, rang in {visit.ring_ms:.0f} ms, decided in {visit.decision_ms:.0f} ms: "
                f"{'right' if right else f'WRONG, expected {expected}'}"
            )
            visits.append((visit, right))
    return visits


async def run(arguments: argparse.Namespace) -> int:
    """Run the demo or its check; return the exit code."""
    folder: Path = arguments.folder
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    tell("fetching the photos")
    photos = await lay_out_photos(folder / "photos")
    ports = (free_port(), free_port()) if arguments.check else (PORT, PAGE_PORT)
    tell("starting the simulated doorbell")
    async with Doorbell(folder / "bridge", photos.door, page_port=ports[1]) as doorbell:
        tell("starting Home Assistant")
        async with HomeAssistant(folder / "home_assistant", ports[0]) as home:
            await set_up(home, doorbell, photos)
            if not arguments.check:
                return await show(home, doorbell, photos)
            visits = await check(home, doorbell, photos)
    if arguments.json:
        report = {"visits": [asdict(visit) for visit, _ in visits]}
        await asyncio.to_thread(arguments.json.write_text, json.dumps(report, indent=2) + "\n")
    wrong = sum(not right for _, right in visits)
    tell(f"{len(visits) - wrong} of {len(visits)} visits right")
    return 1 if wrong else 0


async def show(home: HomeAssistant, doorbell: Doorbell, photos: Photos) -> int:
    """Tell the person at the keyboard where to look, and keep everything running until Ctrl+C."""
    await doorbell.put_at_the_door(KNOWN)
    print(
        f"""
  Home Assistant   {home.url}/face-doorbell     user: {USERNAME}   password: {PASSWORD}
  The doorbell     {doorbell.page}           click the button; choose who stands at the door

  {KNOWN} is known to the household, {" and ".join(photos.strangers)} are not. Ctrl+C ends the demo.
""",
        flush=True,
    )
    while True:
        await asyncio.sleep(1)
        home.check()
        doorbell.check()


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="press without a person and tell whether every answer is right"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="with --check: write the visits to FILE")
    parser.add_argument(
        "--folder", type=Path, default=DEMO_FOLDER, help="where the demo keeps its state (emptied at start)"
    )
    arguments = parser.parse_args()
    try:
        sys.exit(asyncio.run(run(arguments)))
    except KeyboardInterrupt:
        tell("ended")
    except (ApiError, ProcessFailedError, TimeoutError) as error:
        sys.exit(f"script/demo failed: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
