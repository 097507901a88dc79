"""Put to the test for long what the doorbell promises: no press is lost, and nobody else gets in."""

import argparse
import asyncio
from pathlib import Path
import shutil
import sys
import tempfile
import time

from .presses import SoakError, soak


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__)
    parser.add_argument(
        "--presses", type=int, default=2000, metavar="N", help="how often to press (default: 2000)"
    )
    parser.add_argument(
        "--seed", type=int, default=7, metavar="S", help="what decides all faults (default: 7)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    started = time.monotonic()
    try:
        report = asyncio.run(soak(folder, arguments.presses, arguments.seed))
    except SoakError as error:
        sys.exit(f"script/soak failed; everything is in {folder}:\n{error}")
    print(f"rings sent      {report.sent}")
    print(f"received        {report.received}")
    print(f"duplicates      {report.duplicates}")
    print(f"lost            {report.lost}")
    print(f"mistimed        {report.mistimed}")
    for kind, count in sorted(report.faults.items()):
        print(f"  {kind:22} {count}")
    for line in report.broken:
        print(line)
    print(
        f"in {time.monotonic() - started:.0f} s: {'the promise was kept' if report.kept else f'BROKEN, see {folder}'}"
    )
    if arguments.json:
        arguments.json.write_text(report.to_json())
    if not report.kept:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
