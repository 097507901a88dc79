"""Measure what the doorbell promises in numbers.

Without names everything is measured: `ring` (press to ring event in a real Home Assistant, the picture of that moment,
memory), `live` (50 viewers, a slow one, some who never read), `gallery` (200 persons), `form` (the form of one of them
in a real Home Assistant) and `aws` (calls, cost and overhead). Fails when a number is above its limit. Numbers of a
busy machine say little.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
import json
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Final

from . import form, gallery, live, ring
from .measure import Measure


async def _aws(_folder: Path) -> list[Measure]:
    """Let it print: what it counts has no limit here."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "harness.aws_numbers")
    if await process.wait():
        raise subprocess.SubprocessError("harness.aws_numbers failed")
    return []


BENCHES: Final[Mapping[str, Callable[[Path], Awaitable[list[Measure]]]]] = {
    "ring": ring.measure,
    "live": live.measure,
    "gallery": gallery.measure,
    "form": form.measure,
    "aws": _aws,
}


async def run(names: Sequence[str]) -> dict[str, list[Measure]]:
    """Run benches one after the other."""
    measured = {}
    for name in names:
        print(f"{name} …", flush=True)
        with tempfile.TemporaryDirectory(prefix="face-doorbell-bench-") as folder:
            measured[name] = await BENCHES[name](Path(folder))
    return measured


def main() -> int:
    """Parse the command line, measure, print, and tell whether all is within the limits."""
    parser = argparse.ArgumentParser(
        prog="script/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in BENCHES]:
        parser.error(f"there is no bench {unknown[0]}; there are {', '.join(BENCHES)}")
    measured = asyncio.run(run(arguments.names or list(BENCHES)))
    for name, measures in measured.items():
        print(f"\n{name}", *measures, sep="\n  ")
    if arguments.json:
        report = {name: [asdict(each) for each in measures] for name, measures in measured.items()}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(not all(each.kept for measures in measured.values() for each in measures))


if __name__ == "__main__":
    sys.exit(main())
