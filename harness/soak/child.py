"""A process of its own that takes orders and reports; it may be killed at any moment, as in a power cut."""

import asyncio
from collections.abc import Callable, Coroutine
import contextlib
import logging
from multiprocessing import get_context
from multiprocessing.connection import Connection
import os
import resource
import signal
import threading
from typing import Any, Final, override

# A forked process is there in milliseconds; importing Home Assistant takes seconds.
_FORKS: Final = get_context("forkserver")
_FORKS.set_forkserver_preload(["harness.soak.home", "harness.soak.door", "harness.soak.listener"])


def preload(*modules: str) -> None:
    """Let children find these imported instead of the usual ones; has to come before the first child."""
    _FORKS.set_forkserver_preload(list(modules))


class Line:
    """A child's end of the line to its parent."""

    def __init__(self, connection: Connection) -> None:
        """Take the end that the parent has made."""
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, report: object) -> None:
        """Report something to the parent; without one there is nothing left to do."""
        with self._sending:
            try:
                self._connection.send(report)
            except OSError:
                os._exit(1)

    def listen(self, take: Callable[[Any], object]) -> None:
        """Call `take` for each order from now on, in a thread; end with the parent."""

        def run() -> None:
            try:
                while True:
                    take(self._connection.recv())
            except EOFError, OSError:
                os._exit(0)

        threading.Thread(target=run, name="orders", daemon=True).start()


class Logged(str):
    """A report of a line in the log, from the level on that the child has chosen."""

    __slots__ = ()


class Complaint(Logged):
    """A report that something went wrong which nobody expects: an error in the log."""

    __slots__ = ()


class _ToParent(logging.Handler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    @override
    def emit(self, record: logging.LogRecord) -> None:
        kind = Complaint if record.levelno >= logging.ERROR else Logged
        self._line.send(kind(self.format(record)))


def _live[T](main: Callable[[Line, T], Coroutine[Any, Any, None]], connection: Connection, start: T) -> None:
    line = Line(connection)
    logging.basicConfig(handlers=[_ToParent(line)], force=True)
    asyncio.run(main(line, start))


class Child[T]:
    """A forked process that runs `main`; all calls belong to the event loop."""

    def __init__(
        self,
        main: Callable[[Line, T], Coroutine[Any, Any, None]],
        start: T,
        on_report: Callable[[Any], None],
    ) -> None:
        """Start it; `on_report` is called for each report, the last ones perhaps after its end."""
        self._connection, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_live, args=(main, theirs, start), daemon=True)
        self._process.start()
        theirs.close()
        self._on_report = on_report
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._read)

    @property
    def pid(self) -> int:
        """The number of the process."""
        if self._process.pid is None:
            raise RuntimeError("it has been started")
        return self._process.pid

    def order(self, order: object) -> None:
        """Tell it to do something; nothing happens when it has ended."""
        with contextlib.suppress(OSError):
            self._connection.send(order)

    def limit_files(self, size: int) -> None:
        """Let the kernel refuse what makes one of its files larger than `size` bytes."""
        if self._process.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    async def kill(self) -> None:
        """End it without a chance to tidy up; its last reports have been taken afterwards."""
        if self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGKILL)
        await self.ended()

    async def ended(self) -> None:
        """Wait for its end."""
        await self._ended.wait()
        await asyncio.to_thread(self._process.join)

    def _read(self) -> None:
        try:
            while self._connection.poll():
                self._on_report(self._connection.recv())
        except EOFError, OSError:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
            self._ended.set()
