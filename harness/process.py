"""A child process that writes a log file, is waited for, and is always ended."""

import asyncio
from collections.abc import Mapping, Sequence
import contextlib
import os
from pathlib import Path
import signal
import socket

STOP_TIMEOUT = 20  # seconds; Home Assistant itself gives its integrations about ten to finish


class ProcessFailedError(Exception):
    """A process ended by itself or did not become ready; the message ends with the last lines of its log."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Process:
    """A command whose output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        """Remember what to run; `env` is added to this process's own environment."""
        self._command = command
        self._log = log
        self._env = {
            key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"
        } | dict(env or {})
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the command."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self._env
            )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        if self._process is None:
            raise ProcessFailedError("not started")
        return self._process.pid

    async def wait_ended(self) -> int:
        """Wait until the process ends by itself and return its exit code."""
        if self._process is None:
            raise ProcessFailedError("not started")
        return await self._process.wait()

    def check(self) -> None:
        """Raise ProcessFailedError when the process has ended."""
        if not self.running:
            raise ProcessFailedError(f"{self._command[0]} ended; its log ends with:\n{self.log_tail()}")

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        return (
            "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
            if self._log.exists()
            else ""
        )

    async def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """End the process and wait for it; kill it when it does not listen."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(with_signal)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
