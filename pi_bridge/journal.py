"""Rings, their pictures and the clients in one SQLite file, until Home Assistant has them.

One thread owns the connection and works in the order of the calls: what was asked for later is never stored without
what was asked for earlier, so a stored ack means a stored ring. `synchronous=FULL` keeps that true in a power cut.

SQLite notices damage to the form of the file, not to what is written in it: a ring, a picture or a client of which a
word has become garbage is read without that word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
import json
import logging
from pathlib import Path
import sqlite3
import struct
import time
from typing import Final, TypeAlias, TypeVar

from .access import Client
from .errors import JournalError
from .model import Face, Ring, RingPicture, iso_utc

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")
_Row: TypeAlias = tuple[str | int | bytes, ...]

FILE_NAME: Final = "journal.sqlite"

SCHEMA_VERSION: Final = 2
SCHEMA: Final = """
CREATE TABLE rings (
    seq INTEGER PRIMARY KEY, ring_id TEXT NOT NULL, at TEXT NOT NULL, boot TEXT NOT NULL, uptime_ms INTEGER NOT NULL,
    clock_ok INTEGER NOT NULL, test INTEGER NOT NULL
) STRICT;
CREATE TABLE pictures (
    seq INTEGER NOT NULL REFERENCES rings ON DELETE CASCADE, n INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    good INTEGER NOT NULL, faces TEXT NOT NULL, jpeg BLOB NOT NULL, PRIMARY KEY (seq, n)
) STRICT;
CREATE TABLE clients (
    token_hash TEXT PRIMARY KEY, name TEXT NOT NULL, created TEXT NOT NULL, last_seen TEXT NOT NULL,
    acked_seq INTEGER NOT NULL
) STRICT;
"""
# Since version 2: what Home Assistant has chosen, as JSON.
SETTINGS: Final = "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
UNKNOWN_TIME: Final = datetime(2020, 1, 1, tzinfo=UTC)
JOURNAL_SIZE_LIMIT: Final = 4 * 1024 * 1024  # bytes that the write-ahead log may keep after a checkpoint


def damaged_file(path: Path) -> Path:
    """Return where the journal at `path` is set aside when it is damaged."""
    return path.with_suffix(".damaged")


class Journal:
    """The bridge's memory. Every method returns at once; the awaited answer may raise JournalError.

    `in_memory`: True when the file could not be used at the start; `close` stores what has come since, if it can then.
    `clients_known`: False when the file could not be read, so that nobody can say who is paired. `clients_lost`: True
    as long as a damaged file lies beside it, with which somebody may have been forgotten.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._connection: sqlite3.Connection | None = None
        self._owed: list[_Row] = []  # rings that a full disk refused; only the journal's thread looks at them
        self.healthy = True
        self.in_memory = False
        self.clients_known = True
        self.clients_lost = False
        self.commit_ms: float | None = None

    @property
    def damaged(self) -> Path:
        """Where a damaged file is set aside."""
        return damaged_file(self._path)

    def open(self) -> asyncio.Future[None]:
        """Open the file, make it, or set a damaged one aside; without a usable disk the memory has to do."""
        return self._run(self._open)

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        await self._run(self._close)
        self._thread.shutdown()

    def file_is_back(self) -> asyncio.Future[bool]:
        """Return whether the file that could not be used at the start can be used now."""
        return self._run(self._file_is_back)

    def answers(self) -> asyncio.Future[None]:
        """Return once the journal has done what it was asked for before."""
        return self._run(lambda: None)

    def newest_seq(self) -> asyncio.Future[int]:
        """Return the highest number that any ring ever had; 0 when there was none."""
        return self._do(_newest_seq)

    def rings_after(self, seq: int) -> asyncio.Future[list[Ring | RingPicture]]:
        """Return the rings beyond `seq`, oldest first, each followed by its pictures."""
        return self._do(lambda connection: _rings_after(connection, seq))

    def add_ring(self, ring: Ring) -> asyncio.Future[None]:
        """Store a ring; if the disk refuses it now, before whatever it takes next."""
        row: _Row = (
            ring.seq,
            ring.ring_id,
            iso_utc(ring.at),
            ring.boot,
            ring.uptime_ms,
            ring.clock_ok,
            ring.test,
        )
        return self._run(self._add_ring, row)

    def store_owed(self) -> asyncio.Future[None]:
        """Try again to store the rings that the disk refused."""
        return self._do(lambda connection: None)

    def add_picture(self, picture: RingPicture, jpeg: bytes) -> asyncio.Future[None]:
        """Store a picture of a ring that is stored already."""
        faces = json.dumps([face.to_json() for face in picture.faces])
        row = (picture.seq, picture.n, picture.at_ms, picture.good, faces, jpeg)
        return self._write(_ADD_PICTURE, *row)

    def picture(self, seq: int, n: int) -> asyncio.Future[bytes | None]:
        """Return the JPEG of the `n`-th picture of a ring."""

        def read(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT jpeg FROM pictures WHERE seq = ? AND n = ?", (seq, n)).fetchone()
            return None if row is None else bytes(row[0])

        return self._do(read)

    def prune(self, *, rings: int, megabytes: int, before: datetime | None) -> asyncio.Future[list[int]]:
        """Delete the oldest rings beyond any limit and return their numbers.

        A ring of a time that nobody knows is never too old. The newest ring stays whatever its size or age, because
        its number must never be given again.
        """

        def delete(connection: sqlite3.Connection) -> list[int]:
            limits = {
                "rings": rings,
                "bytes": megabytes * 1_000_000,
                "before": iso_utc(before) if before else "",
            }
            return [row[0] for row in connection.execute(_PRUNE, limits)]

        return self._do(delete)

    def clients(self) -> asyncio.Future[list[Client]]:
        """Return all clients."""
        return self._do(_clients)

    def save_client(self, client: Client) -> asyncio.Future[None]:
        """Store a client as it is now."""
        return self._write(_SAVE_CLIENT, *_client_row(client))

    def remove_client(self, token_hash: str) -> asyncio.Future[None]:
        """Forget a client."""
        return self._write("DELETE FROM clients WHERE token_hash = ?", token_hash)

    def setting(self, name: str) -> asyncio.Future[str | None]:
        """Return a setting; None when nobody has chosen it."""
        return self._do(lambda connection: dict(_settings(connection)).get(name))

    def save_setting(self, name: str, value: str) -> asyncio.Future[None]:
        """Store a setting."""
        return self._write(_SAVE_SETTING, name, value)

    def _write(self, statement: str, *row: str | int | bytes) -> asyncio.Future[None]:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(statement, row)

        return self._do(write)

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        return self._run(self._in_transaction, work)

    def _run(self, work: Callable[..., _T], *arguments: object) -> asyncio.Future[_T]:
        done = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        return asyncio.shield(done)  # who stops waiting for a write has still asked for it

    def _add_ring(self, row: _Row) -> None:
        try:
            self._in_transaction(lambda connection: connection.execute(_ADD_RING, row))
        except JournalError as error:
            if not isinstance(error.__cause__, sqlite3.IntegrityError):  # the disk is to blame, not the ring
                self._owed.append(row)
            raise

    def _in_transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            raise JournalError("the journal is closed")
        self._pay(self._connection)
        started = time.monotonic()
        try:
            with _transaction(self._connection):
                answer = work(self._connection)
        except sqlite3.Error as error:
            self._complain(error)
            raise JournalError(str(error)) from error
        if not self.healthy and not self._owed and not self.in_memory:
            _LOGGER.warning("The journal %s can be used again.", self._path)
            self.healthy = True
        self.commit_ms = round((time.monotonic() - started) * 1000, 1)
        return answer

    def _pay(self, connection: sqlite3.Connection) -> None:
        """Store the rings that the disk refused, if it takes them now."""
        if not self._owed:
            return
        with suppress(sqlite3.Error):
            with _transaction(connection):
                connection.executemany(_ADD_OWED_RING, self._owed)
            self._owed.clear()

    def _complain(self, error: sqlite3.Error) -> None:
        if self.healthy:
            _LOGGER.error(
                "The journal %s cannot be used: %s. Rings are kept in memory only.", self._path, error
            )
        self.healthy = False
        if self._connection is not None and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            self._connection.close()
            self._connection = None
            self._open()

    def _open(self) -> None:
        self.in_memory = False
        try:
            self._connection = self._open_file()
        except (OSError, sqlite3.Error) as error:
            _LOGGER.error(
                "The journal %s cannot be opened: %s. Nothing survives a power cut.", self._path, error
            )
            self._connection = _connect(Path(":memory:"))
            self.in_memory = True
            self.clients_known = _rescue(self._path, self._connection)
            self.healthy = False
        self.clients_lost = not self.clients_known or self.damaged.exists()

    def _open_file(self) -> sqlite3.Connection:
        try:
            return _connect(self._path)
        except sqlite3.OperationalError:
            raise  # the disk or the permissions; the file itself may be sound
        except sqlite3.DatabaseError as error:
            return _replace_damaged(self._path, self.damaged, error)

    def _file_is_back(self) -> bool:
        with suppress(OSError, sqlite3.Error), closing(self._open_file()) as file, _transaction(file):
            file.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")  # reading alone works on a full disk, too
            return True
        return False

    def _close(self) -> None:
        if self._connection is None:
            return
        if self.in_memory:
            with suppress(OSError, sqlite3.Error), closing(self._open_file()) as file, _transaction(file):
                _hand_over(self._connection, file, all_clients=self.clients_known)
        self._connection.close()
        self._connection = None


_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ADD_RING: Final = "INSERT INTO rings VALUES (?, ?, ?, ?, ?, ?, ?)"
# A commit that failed may turn out to have been written after all, when a damaged file is read again.
_ADD_OWED_RING: Final = "INSERT OR IGNORE INTO rings VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_PICTURE: Final = "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?)"
_SAVE_CLIENT: Final = "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, ?)"
_SAVE_SETTING: Final = "INSERT OR REPLACE INTO settings VALUES (?, ?)"

_PRUNE: Final = """
DELETE FROM rings WHERE seq < (SELECT max(seq) FROM rings) AND ((at < :before AND clock_ok) OR seq IN (
    SELECT seq FROM (
        SELECT seq, row_number() OVER newest_first AS place, sum(bytes) OVER newest_first AS total
        FROM (
            SELECT seq, (SELECT total(length(jpeg)) FROM pictures WHERE pictures.seq = rings.seq) AS bytes FROM rings
        )
        WINDOW newest_first AS (ORDER BY seq DESC)
    )
    WHERE place > :rings OR total > :bytes
)) RETURNING seq
"""


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path) -> sqlite3.Connection:
    """Open a sound journal or make a new one; raises sqlite3.DatabaseError when the file is damaged."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA auto_vacuum = FULL")  # counts only before the first table
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:
            missing = SCHEMA + SETTINGS if version == 0 else SETTINGS
            connection.executescript(f"BEGIN; {missing} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _replace_damaged(path: Path, aside: Path, reason: sqlite3.DatabaseError) -> sqlite3.Connection:
    """Set the damaged file aside and begin a new one with what can still be read."""
    with closing(_connect(Path(":memory:"))) as rescued:
        _rescue(path, rescued)
        (clients, rings) = rescued.execute(
            "SELECT (SELECT count(*) FROM clients), (SELECT count(*) FROM rings)"
        ).fetchone()
        _LOGGER.error(
            "The journal is damaged (%s) and was set aside as %s; %d clients and %d waiting rings were saved.",
            reason,
            aside,
            clients,
            rings,
        )
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        connection = _connect(path)
        _copy(rescued, connection)
    return connection


def _rescue(path: Path, into: sqlite3.Connection) -> bool:
    """Copy what can still be read without writing; return whether the clients could be."""
    for how in ("mode=ro", "mode=ro&immutable=1"):  # the second leaves the write-ahead log out
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as source:
                source.text_factory = _text
                return _copy(source, into)
        except sqlite3.DatabaseError:
            continue
    return False


def _copy(source: sqlite3.Connection, into: sqlite3.Connection) -> bool:
    """Copy the clients and then, as far as they can be read, settings and the rings that some client has not acked."""
    clients = _clients(source)
    into.executemany(_SAVE_CLIENT, map(_client_row, clients))
    with suppress(sqlite3.DatabaseError):
        into.executemany(_SAVE_SETTING, _settings(source))
    acked = min((client.acked_seq for client in clients), default=0)
    with suppress(sqlite3.DatabaseError):
        into.executemany(
            _ADD_RING, source.execute("SELECT * FROM rings WHERE seq > ? ORDER BY seq", (acked,))
        )
        into.executemany(
            _ADD_PICTURE, source.execute("SELECT * FROM pictures WHERE seq > ? ORDER BY seq", (acked,))
        )
    return True


def _hand_over(memory: sqlite3.Connection, file: sqlite3.Connection, *, all_clients: bool) -> None:
    """Store what came while the file could not be used; `all_clients`: whom the memory does not know was revoked.

    The file may have rings that could not be read then. So the new ones get numbers after them, and an ack of before
    counts for no ring: what comes twice is dropped by its `ring_id`.
    """
    newest = _newest_seq(file)
    before = {client.token_hash for client in _clients(file)}
    now = {client.token_hash: client for client in _clients(memory)}
    for client in (client for token_hash, client in now.items() if token_hash not in before):
        file.execute(_SAVE_CLIENT, _client_row(replace(client, acked_seq=newest)))
    if all_clients:
        file.executemany(
            "DELETE FROM clients WHERE token_hash = ?", [(gone,) for gone in before - now.keys()]
        )
    file.executemany(_SAVE_SETTING, _settings(memory))
    known = {ring_id for (ring_id,) in file.execute("SELECT ring_id FROM rings")}
    for seq, ring_id, *rest in memory.execute("SELECT * FROM rings ORDER BY seq").fetchall():
        if ring_id not in known:
            newest += 1
            file.execute(_ADD_RING, (newest, ring_id, *rest))
            for picture in memory.execute("SELECT * FROM pictures WHERE seq = ?", (seq,)):
                file.execute(_ADD_PICTURE, (newest, *picture[1:]))


def _newest_seq(connection: sqlite3.Connection) -> int:
    # An ack may outlive its ring when the disk was full in between.
    (seq,) = connection.execute(
        "SELECT max((SELECT coalesce(max(seq), 0) FROM rings), (SELECT coalesce(max(acked_seq), 0) FROM clients))"
    ).fetchone()
    return int(seq)


def _rings_after(connection: sqlite3.Connection, after: int) -> list[Ring | RingPicture]:
    events: list[Ring | RingPicture] = []
    rings = connection.execute("SELECT * FROM rings WHERE seq > ? ORDER BY seq", (after,))
    for seq, ring_id, at, boot, uptime_ms, clock_ok, test in rings.fetchall():
        moment = _moment(at)
        known = bool(clock_ok) and moment is not UNKNOWN_TIME
        events.append(Ring(seq, ring_id, moment, boot, uptime_ms, known, bool(test)))
        pictures = connection.execute(
            "SELECT n, at_ms, good, faces FROM pictures WHERE seq = ? ORDER BY n", (seq,)
        )
        events.extend(
            RingPicture(seq, ring_id, n, at_ms, bool(good), _faces(faces))
            for n, at_ms, good, faces in pictures
        )
    return events


def _clients(connection: sqlite3.Connection) -> list[Client]:
    rows: Iterable[tuple[str, str, str, str, int]] = connection.execute(
        "SELECT token_hash, name, created, last_seen, acked_seq FROM clients ORDER BY created"
    )
    return [
        Client(token_hash, name, _moment(created), _moment(last_seen), acked_seq)
        for token_hash, name, created, last_seen, acked_seq in rows
    ]


def _settings(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, value FROM settings").fetchall()


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _moment(stored: str) -> datetime:
    try:
        moment = datetime.fromisoformat(stored)
    except ValueError:
        return UNKNOWN_TIME
    return moment if moment.tzinfo else UNKNOWN_TIME


def _faces(stored: str) -> tuple[Face, ...]:
    try:
        return tuple(map(Face.from_json, json.loads(stored)))
    except (ValueError, KeyError, TypeError, struct.error):
        return ()


def _client_row(client: Client) -> tuple[str, str, str, str, int]:
    return (
        client.token_hash,
        client.name,
        iso_utc(client.created),
        iso_utc(client.last_seen),
        client.acked_seq,
    )
