"""Files out of packages of public registries: fetched by name with the registry's own client, checked by SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

ROOT = Path(__file__).resolve().parent.parent

# Environments that script/setup makes; Home Assistant brings a uv along.
_UV_PLACES = (ROOT / ".venv" / "bin", ROOT / ".cache" / "uv" / "bin")

# A slow line at a registry that answers; the largest package here has 14 MB.
_DOWNLOAD_SECONDS = 600


class RegistryError(Exception):
    """A package cannot be had or is not what it was; the message says which and what to do."""


@dataclass(frozen=True)
class Package:
    """A package and the files that are wanted of it: path inside it -> (own name, SHA-256)."""

    registry: str  # "wheel" and "sdist" are PyPI's, "npm" is npm's
    name: str
    version: str
    files: dict[str, tuple[str, str]]


def intact(path: Path, sha256: str) -> bool:
    """Return whether a file is there and is what it should be."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def fetch(package: Package, folder: Path) -> None:
    """Put the wanted files of a package into a folder; raises RegistryError."""
    with tempfile.TemporaryDirectory() as scratch:
        _run(_client(package), Path(scratch))
        (archive,) = Path(scratch).iterdir()
        for inside, (name, sha256) in package.files.items():
            content = _read(archive, inside)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise RegistryError(
                    f"{inside} of {package.name} {package.version} is not the file it was: do not use it"
                )
            # Whole or not at all, whatever interrupts.
            partial = folder / f"{name}.{os.getpid()}.part"
            partial.write_bytes(content)
            partial.replace(folder / name)


def _client(package: Package) -> list[str]:
    """Return the command that downloads a package's archive into the working directory."""
    if package.registry == "npm":
        return ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    kind = ["--only-binary", ":all:"] if package.registry == "wheel" else ["--no-binary", ":all:"]
    return [*_pip(), "download", "--quiet", "--no-deps", *kind, f"{package.name}=={package.version}"]


def _pip() -> list[str]:
    """Return a pip: this Python's, or the one that uv brings."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    places = os.pathsep.join([*map(str, _UV_PLACES), os.environ.get("PATH", "")])
    if uv := shutil.which("uv", path=places):
        return [uv, "tool", "run", "pip"]
    raise RegistryError(f"{sys.executable} has no pip and there is no uv: run script/setup first")


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"{command[0]} cannot download {command[-1]}: {error}") from error
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise RegistryError(f"{command[0]} cannot download {command[-1]}:\n{tail}")


def _read(archive: Path, inside: str) -> bytes:
    """Return one file of a wheel or tarball; nothing is unpacked, so no path in it can escape."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(inside)
        with tarfile.open(archive) as tarball:
            if member := tarball.extractfile(inside):
                return member.read()
    except KeyError:
        pass
    raise RegistryError(f"{archive.name} has no {inside}")
