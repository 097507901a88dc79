"""The journal keeps what it was given, in order, and survives damage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
import resource
import sqlite3

import pytest

from pi_bridge.access import Client
from pi_bridge.errors import JournalError
from pi_bridge.journal import UNKNOWN_TIME, Journal
from pi_bridge.model import Box, Embedding, Face, Ring, RingPicture

from .doubles import unusable

NOW = datetime(2026, 11, 1, 12, 30, 15, 123000, tzinfo=UTC)
FACE = Face(Box(0.25, 0.5, 0.125, 0.0625), 0.875, 0.75, Embedding("model", (0.5, -0.5)))
CLIENT = Client("hash", "Home", NOW, NOW, 0)


def a_ring(seq: int, at: datetime = NOW, *, clock_ok: bool = True) -> Ring:
    return Ring(seq, f"ring-{seq}", at, "boot", 1000 * seq, clock_ok=clock_ok, test=True)


def a_picture(seq: int, n: int = 0) -> RingPicture:
    return RingPicture(seq, f"ring-{seq}", n, -31, True, (FACE,))


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the kernel refuse every further byte of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def journal_at(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def test_what_was_stored_comes_back_as_it_was(path: Path) -> None:
    async with journal_at(path) as journal:
        journal.add_ring(a_ring(1))
        journal.add_picture(a_picture(1, 0), b"first")
        journal.add_picture(a_picture(1, 1), b"second")
        journal.add_ring(a_ring(2))
    async with journal_at(path) as journal:
        assert await journal.rings_after(0) == [a_ring(1), a_picture(1, 0), a_picture(1, 1), a_ring(2)]
        assert await journal.rings_after(1) == [a_ring(2)]
        assert await journal.picture(1, 1) == b"second"
        assert await journal.picture(1, 2) is None
        assert await journal.newest_seq() == 2


async def test_clients_are_kept_and_forgotten(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.save_client(CLIENT)
        await journal.save_client(replace(CLIENT, acked_seq=7))
        await journal.save_client(replace(CLIENT, token_hash="other"))
        await journal.remove_client("other")
    async with journal_at(path) as journal:
        assert await journal.clients() == [replace(CLIENT, acked_seq=7)]


async def test_number_of_a_ring_is_never_given_again(path: Path) -> None:
    async with journal_at(path) as journal:
        journal.add_ring(a_ring(1))
        journal.add_ring(a_ring(2))
        assert await journal.prune(rings=0, megabytes=0, before=NOW + timedelta(days=1)) == [1]
        assert await journal.newest_seq() == 2
        # The disk was full when ring 5 came, and had room again for its ack.
        await journal.save_client(replace(CLIENT, acked_seq=5))
        assert await journal.newest_seq() == 5


async def test_oldest_rings_go_first_whatever_the_limit(path: Path) -> None:
    async with journal_at(path) as journal:
        for seq in range(1, 7):
            journal.add_ring(a_ring(seq, NOW + timedelta(days=seq)))
            journal.add_picture(a_picture(seq), bytes(400_000))
        assert await journal.prune(rings=10, megabytes=10, before=None) == []
        assert await journal.prune(rings=10, megabytes=10, before=NOW + timedelta(days=2)) == [1]
        assert await journal.prune(rings=4, megabytes=10, before=None) == [2]
        assert await journal.prune(rings=10, megabytes=1, before=None) == [3, 4]
        assert await journal.rings_after(0) == [
            a_ring(5, NOW + timedelta(days=5)),
            a_picture(5),
            a_ring(6, NOW + timedelta(days=6)),
            a_picture(6),
        ]
        assert await journal.picture(4, 0) is None
        assert await journal.picture(5, 0) == bytes(400_000)


async def test_a_ring_of_a_time_that_nobody_knows_is_never_too_old(path: Path) -> None:
    async with journal_at(path) as journal:
        journal.add_ring(a_ring(1, NOW))
        journal.add_ring(a_ring(2, datetime(1970, 1, 1, tzinfo=UTC), clock_ok=False))
        journal.add_ring(a_ring(3, NOW + timedelta(days=31)))
        assert await journal.prune(rings=10, megabytes=10, before=NOW + timedelta(days=1)) == [1]


async def test_deleted_pictures_give_their_space_back(path: Path) -> None:
    async with journal_at(path) as journal:
        for seq in range(1, 6):
            journal.add_ring(a_ring(seq))
            journal.add_picture(a_picture(seq), bytes(1_000_000))
        await journal.prune(rings=1, megabytes=10, before=None)
    assert len(content_of(path)) < 2_000_000


async def test_damaged_file_is_set_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    overwrite(path, b"this was a journal once " * 1000)
    async with journal_at(path) as journal:
        journal.add_ring(a_ring(1))
        assert await journal.rings_after(0) == [a_ring(1)]
        assert journal.healthy
    assert content_of(path.with_suffix(".damaged")).startswith(b"this was a journal once")
    assert "damaged" in caplog.text


async def test_clients_are_saved_from_a_damaged_file(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.save_client(replace(CLIENT, acked_seq=3))
        for seq in range(1, 4):
            journal.add_ring(a_ring(seq))
            journal.add_picture(a_picture(seq), bytes(100_000))
    content = content_of(path)
    overwrite(path, content[:-200_000] + b"\xff" * 100_000 + content[-100_000:])
    async with journal_at(path) as journal:
        assert await journal.clients() == [replace(CLIENT, acked_seq=3)]
        assert await journal.rings_after(0) == []
        assert await journal.newest_seq() == 3


async def test_without_a_usable_disk_the_memory_has_to_do(tmp_path: Path) -> None:
    async with journal_at(tmp_path / "missing" / "journal.sqlite") as journal:
        journal.add_ring(a_ring(1))
        assert await journal.rings_after(0) == [a_ring(1)]
        assert not journal.healthy  # whatever the memory takes
        assert not await journal.file_is_back()


async def test_a_failed_write_is_told_once_and_the_journal_recovers(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with journal_at(path) as journal:
        await journal.add_ring(a_ring(1))
        for _ in range(2):
            with pytest.raises(JournalError):
                await journal.add_ring(a_ring(1))  # its number is taken
            assert not journal.healthy
        assert [record.levelname for record in caplog.records].count("ERROR") == 1
        await journal.add_ring(a_ring(2))
        assert journal.healthy


async def test_what_a_full_disk_refuses_is_stored_when_it_has_room_again(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.add_ring(a_ring(1))
        with full_disk():
            for seq in (2, 3):
                with pytest.raises(JournalError):
                    await journal.add_ring(a_ring(seq))
            assert await journal.rings_after(0) == [a_ring(1)]  # reading goes on
        health = [journal.healthy]
        await journal.store_owed()
        health.append(journal.healthy)
        assert health == [False, True]
    async with journal_at(path) as journal:
        assert await journal.rings_after(0) == [a_ring(1), a_ring(2), a_ring(3)]


async def test_a_refused_ring_that_was_written_after_all_holds_up_no_other(path: Path) -> None:
    async with journal_at(path) as journal:
        with full_disk():
            for seq in (1, 2):
                with pytest.raises(JournalError):
                    await journal.add_ring(a_ring(seq))
        async with journal_at(path) as file:
            await file.add_ring(a_ring(1))
        await journal.store_owed()
        assert journal.healthy
        assert await journal.rings_after(0) == [a_ring(1), a_ring(2)]


async def test_a_journal_of_an_earlier_version_goes_on(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.save_client(CLIENT)
        await journal.add_ring(a_ring(1))
    with closing(sqlite3.connect(path)) as earlier:
        earlier.executescript("DROP TABLE settings; PRAGMA user_version = 1")
    async with journal_at(path) as journal:
        assert await journal.setting("chime") is None
        await journal.save_setting("chime", "loud")
    async with journal_at(path) as journal:
        assert await journal.setting("chime") == "loud"
        assert await journal.clients() == [CLIENT]
        assert await journal.rings_after(0) == [a_ring(1)]
        assert not journal.damaged.exists()


async def test_a_full_disk_at_the_start_forgets_nobody(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.save_client(replace(CLIENT, acked_seq=1))
        for seq in (1, 2):
            await journal.add_ring(a_ring(seq))
    with full_disk():
        async with journal_at(path) as journal:
            assert not journal.healthy
            assert journal.clients_known
            assert await journal.clients() == [replace(CLIENT, acked_seq=1)]
            assert await journal.rings_after(0) == [a_ring(2)]


async def test_what_came_while_the_disk_was_full_at_the_start_is_stored_at_the_end(path: Path) -> None:
    acked, revoked, new = (replace(CLIENT, token_hash=each, acked_seq=1) for each in ("a", "b", "c"))
    async with journal_at(path) as journal:
        for client in (acked, revoked):
            await journal.save_client(client)
        for seq in (1, 2):
            await journal.add_ring(a_ring(seq))
    with full_disk():
        journal = Journal(path)
        await journal.open()
        await journal.add_ring(a_ring(3))
        await journal.add_picture(a_picture(3), b"third")
        await journal.save_client(replace(acked, acked_seq=3))
        await journal.save_client(new)
        await journal.remove_client("b")
        await journal.save_setting("chime", "new")
        assert not await journal.file_is_back()
        assert not journal.healthy
    assert await journal.file_is_back()
    await journal.close()
    async with journal_at(path) as journal:
        assert await journal.rings_after(0) == [a_ring(1), a_ring(2), a_ring(3), a_picture(3)]
        assert await journal.picture(3, 0) == b"third"
        assert await journal.setting("chime") == "new"
        # An ack of then may stand for another ring by now: the ring comes again.
        assert await journal.clients() == [acked, replace(new, acked_seq=2)]
        assert journal.healthy


async def test_who_may_not_read_the_file_forgets_nobody_and_misnumbers_no_ring(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.save_client(CLIENT)
        for seq in (1, 2):
            await journal.add_ring(a_ring(seq))
    journal = Journal(path)
    with unusable(path):
        await journal.open()
        assert not journal.clients_known
        await journal.add_ring(replace(a_ring(1), ring_id="new"))
    await journal.close()
    async with journal_at(path) as journal:
        assert await journal.clients() == [CLIENT]
        assert await journal.rings_after(0) == [
            a_ring(1),
            a_ring(2),
            replace(a_ring(1), seq=3, ring_id="new"),
        ]


async def test_a_file_that_gets_damaged_is_set_aside_at_once(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.add_ring(a_ring(1))
        with closing(sqlite3.connect(path)) as vandal:
            vandal.executescript(
                "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'x' WHERE name = 'rings';"
                "PRAGMA schema_version = 1000"
            )
        with pytest.raises(JournalError):
            await journal.add_ring(a_ring(2))
        await journal.store_owed()
        assert journal.healthy
        assert journal.damaged.exists()
    async with journal_at(path) as journal:
        assert await journal.rings_after(0) == [a_ring(2)]


async def test_a_ring_whose_time_is_garbage_is_of_a_time_that_nobody_knows(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.add_ring(a_ring(1))
    with closing(sqlite3.connect(path)) as card, card:
        card.execute("UPDATE rings SET at = '2026-11-01T12:30'")
    async with journal_at(path) as journal:
        assert await journal.rings_after(0) == [a_ring(1, UNKNOWN_TIME, clock_ok=False)]


async def test_waiting_rings_are_saved_from_a_damaged_file(path: Path) -> None:
    async with journal_at(path) as journal:
        await journal.save_client(replace(CLIENT, acked_seq=1))
        await journal.save_setting("chime", "loud")
        for seq in range(1, 4):
            journal.add_ring(a_ring(seq))
            journal.add_picture(a_picture(seq), bytes(100_000))
    content = content_of(path)
    overwrite(path, content[:-80_000] + b"\xff" * 50_000 + content[-30_000:])
    async with journal_at(path) as journal:
        assert journal.damaged.exists()
        rings = [event for event in await journal.rings_after(0) if isinstance(event, Ring)]
        assert rings == [a_ring(2), a_ring(3)]
        assert await journal.setting("chime") == "loud"
