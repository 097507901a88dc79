"""Files that are there whole or not at all, and that nobody else on the machine may read. Everything here blocks."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import shutil
from typing import BinaryIO, Final
import uuid

UNFINISHED: Final = ".new-"  # how the name of what is not finished begins; a crash leaves it behind


def make_folder(folder: Path) -> None:
    """Make a private folder and what it is in, unless it is there."""
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill with `write_new`; it gets its name, which must be free, when all is in it."""
    temporary = unfinished(folder.parent)
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        sync_folder(temporary)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_new(file: Path, content: bytes) -> None:
    """Write a file into a folder that is not finished."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())


def write_file(file: Path, content: bytes) -> None:
    """Replace a file at once: a reader or a crash sees the old or the new one, never a part."""
    with private_file(file) as target:
        target.write(content)


@contextmanager
def private_file(file: Path) -> Iterator[BinaryIO]:
    """Open a file to be written; it replaces the one of this name at the end of the block, not when that fails."""
    temporary = unfinished(file.parent)
    try:
        with os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        temporary.rename(file)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(file.parent)


def remove_folder(folder: Path) -> None:
    """Take a folder away by one rename, then delete it; one that is not there is no error."""
    gone = unfinished(folder.parent)
    with suppress(FileNotFoundError):
        folder.rename(gone)
        sync_folder(folder.parent)
        shutil.rmtree(gone, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what a crash has left behind in a folder."""
    for leftover in list(folder.glob(f"{UNFINISHED}*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def unfinished(parent: Path) -> Path:
    """Return a name in a folder that `remove_unfinished` knows."""
    return parent / f"{UNFINISHED}{uuid.uuid4().hex}"


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
