"""A bridge whose camera sends 15 large pictures a second that tell when they were taken.

    python -m harness.bench.door FOLDER

Prints its port and a pairing code as JSON, and runs until its input ends.
"""

import asyncio
import json
import os
from pathlib import Path
import sys
import time
from typing import Final

from tests.bridge.doubles import RunningBridge, running_bridge

FPS: Final = 15
FRAME_BYTES: Final = 100_000  # of a webcam at 720p
_PADDING: Final = os.urandom(FRAME_BYTES).replace(b"\xff", b"\xfe")


def frame() -> bytes:
    """Return a picture of now."""
    return b"\xff\xd8 taken %d;" % time.monotonic_ns() + _PADDING + b"\xff\xd9"


def taken_ns(jpeg: bytes) -> int:
    """Return when a picture was taken (`time.monotonic_ns`, the same in all processes)."""
    return int(jpeg[:64].split(b" taken ")[1].split(b";")[0])


async def _film(bridge: RunningBridge) -> None:
    due = time.monotonic()
    while True:
        bridge.camera.show(frame())
        due = max(due + 1 / FPS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


async def main(folder: Path) -> None:
    """Be that bridge."""
    async with running_bridge(folder, photos=[frame()]) as bridge, asyncio.TaskGroup() as tasks:
        film = tasks.create_task(_film(bridge))
        print(json.dumps({"port": bridge.port, "code": bridge.pairing_code()}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        film.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
