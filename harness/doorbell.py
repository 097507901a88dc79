"""A simulated doorbell: the bridge's own process with mock pins and photos for a camera, driven through its page."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
import re
import sys
from typing import Self

import aiohttp

from .process import Process, free_port

START_TIMEOUT = 180  # seconds; loading OpenCV and the face models takes a few on a slow machine
PAIRING_CODE = re.compile(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b")


class DoorbellError(Exception):
    """The simulated doorbell did not do what was asked."""


@dataclass(frozen=True, slots=True)
class Press:
    """A press of the simulated button and the moment (UTC) at which the finger came down."""

    at: datetime


class Doorbell:
    """A simulated doorbell process; use it as an async context manager."""

    def __init__(
        self,
        folder: Path,
        photos: Path,
        *,
        port: int | None = None,
        page_port: int | None = None,
        announced: bool = False,
    ) -> None:
        """Keep its state under `folder` and show the people of `photos` at the door.

        Only an `announced` one is to be discovered, and listens in the whole network.
        """
        self.port = port or free_port()
        self.page_port = page_port or free_port()
        self.page = f"http://127.0.0.1:{self.page_port}"
        self._folder = folder
        self._command = [sys.executable, "-m", "pi_bridge"]
        self._process = Process(
            [
                *self._command,
                "simulate",
                "--photos",
                str(photos),
                "--state",
                str(folder),
                "--port",
                str(self.port),
                "--page-port",
                str(self.page_port),
                *(["--advertise"] if announced else []),
            ],
            folder / "output.log",
        )

    async def __aenter__(self) -> Self:
        """Start the doorbell and wait until its page answers."""
        await self._process.start()
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while True:
                    self._process.check()
                    with contextlib.suppress(aiohttp.ClientError):
                        await self.state()
                        return self
                    await asyncio.sleep(0.1)
        except BaseException:
            await self._process.stop()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Stop the doorbell."""
        await self._process.stop()

    @property
    def pid(self) -> int:
        """The number of the bridge's process."""
        return self._process.pid

    def check(self) -> None:
        """Raise ProcessFailedError when the doorbell has ended."""
        self._process.check()

    async def pairing_code(self) -> str:
        """Ask the doorbell for a one-time pairing code, as the owner does on the Pi."""
        process = await asyncio.create_subprocess_exec(
            *self._command, "pair", "--state", str(self._folder), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        if (found := PAIRING_CODE.search(output.decode())) is None:
            raise DoorbellError(f"no pairing code in: {output.decode()}")
        return found.group()

    async def bridge_id(self) -> str:
        """Return the id that it shows to everybody."""
        url = f"https://127.0.0.1:{self.port}/v1/info"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
            bridge_id: str = (await response.json())["id"]
            return bridge_id

    async def state(self) -> dict[str, object]:
        """Return who stands at the door, who could, and what the outputs do."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.page}/state") as response:
            response.raise_for_status()
            state: dict[str, object] = await response.json()
            return state

    async def put_at_the_door(self, visitor: str) -> None:
        """Let somebody, or nobody, stand at the door."""
        await self._post("/visitor", {"visitor": visitor})

    async def press(self) -> Press:
        """Press the button."""
        answer = await self._post("/press", {})
        return Press(datetime.fromisoformat(str(answer["at"])))

    async def _post(self, path: str, body: dict[str, str]) -> dict[str, object]:
        async with aiohttp.ClientSession() as session, session.post(self.page + path, json=body) as response:
            if response.status >= 400:
                raise DoorbellError(f"{path}: {response.status} {await response.text()}")
            answer: dict[str, object] = (
                await response.json() if response.content_type == "application/json" else {}
            )
            return answer
