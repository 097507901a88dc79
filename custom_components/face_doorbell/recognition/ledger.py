"""The month's usage in a SQLite file: a call is in it before it is made, whenever the process dies. All of it blocks.

A save is one write to SQLite's log and waits for no disk (`synchronous=NORMAL`): it survives the death of the process
at once, and a power cut as soon as `flush` has returned, for which nobody has to wait.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
import json
import logging
from pathlib import Path
import sqlite3
import threading
from typing import Final

from ..files import make_folder
from .usage import MonthUsage

_LOGGER = logging.getLogger(__name__)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS usage (
    month TEXT PRIMARY KEY, calls TEXT NOT NULL, lifted INTEGER NOT NULL
) STRICT;
"""
ALL: Final = "SELECT month, calls, lifted FROM usage"  # one row a month
SAVE: Final = "INSERT OR REPLACE INTO usage VALUES (?, ?, ?)"


class Ledger:
    """Keeps each month's usage. A disk that fails stops nobody: it is logged, and counting goes on in memory."""

    def __init__(self, file: Path) -> None:
        """Take the file; it is made at the first use."""
        self._file = file
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._failed = False

    def load(self) -> Sequence[MonthUsage]:
        """Return all months that were kept, none when nothing can be read; a damaged file is set aside."""
        try:
            return self._with(self._read)
        except sqlite3.DatabaseError as err:
            damaged = self._file.with_suffix(".damaged")
            _LOGGER.error(
                "The count of calls cannot be read and begins anew; %s is what was there: %s", damaged, err
            )
            self.close()
            for path in self._file.parent.glob(f"{self._file.name}-*"):
                path.unlink(missing_ok=True)
            if self._file.exists():
                self._file.replace(damaged)
            return ()

    def save(self, usage: MonthUsage) -> None:
        """Keep a month as it is now."""
        row = (usage.month, json.dumps(dict(usage.calls)), usage.lifted)
        try:
            self._with(lambda connection: connection.execute(SAVE, row))
        except (sqlite3.Error, OSError) as err:
            if not self._failed:
                _LOGGER.error("AWS's calls are counted, but a restart would forget them: %s", err)
            self._failed = True
        else:
            self._failed = False

    def flush(self) -> None:
        """Return when all that was saved is on the disk."""
        try:
            # A connection of its own, so that no call waits for the disk meanwhile.
            with closing(self._open()) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except (sqlite3.Error, OSError) as err:
            _LOGGER.debug("The count of calls could not be brought to the disk: %s", err)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection:
                connection.close()

    def _with[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)

    def _open(self) -> sqlite3.Connection:
        make_folder(self._file.parent)
        connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @staticmethod
    def _read(connection: sqlite3.Connection) -> Sequence[MonthUsage]:
        rows = connection.execute(ALL).fetchall()
        return [MonthUsage(month, json.loads(calls), bool(lifted)) for month, calls, lifted in rows]
