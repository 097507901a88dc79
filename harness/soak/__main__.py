"""Put to the test for long what is promised: no press is lost, nobody else gets in, no kill leaves half a person."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
import shutil
import statistics
import sys
import tempfile
import time

from .attacks import CASES, AttackError, Report as AttackReport, attack
from .ledger import Report
from .people import ENGINES, PeopleError, Report as PeopleReport, soak_people
from .presses import SoakError, soak

type AnyReport = Report | AttackReport | PeopleReport


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__)
    parser.add_argument(
        "--presses", type=int, default=2000, metavar="N", help="how often to press (default: 2000)"
    )
    parser.add_argument(
        "--seed", type=int, default=7, metavar="S", help="what decides all faults (default: 7)"
    )
    parser.add_argument(
        "--attacks", action="store_true", help="instead of faults, try what strangers may try"
    )
    parser.add_argument(
        "--cases", type=int, default=CASES, metavar="N", help=f"of fuzzing, with --attacks (default: {CASES})"
    )
    parser.add_argument(
        "--people",
        type=int,
        metavar="N",
        help="instead, kill Home Assistant N times while persons are added, named, corrected and removed",
    )
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="with --people")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    started = time.monotonic()
    report: AnyReport
    try:
        if arguments.people:
            report = asyncio.run(soak_people(folder, arguments.people, arguments.seed, arguments.engine))
        elif arguments.attacks:
            report = asyncio.run(attack(folder, arguments.cases, arguments.seed))
        else:
            report = asyncio.run(soak(folder, arguments.presses, arguments.seed))
    except (SoakError, AttackError, PeopleError) as error:
        sys.exit(f"script/soak failed; everything is in {folder}:\n{error}")
    for line in _lines(report):
        print(line)
    verdict = "the promise was kept" if report.kept else f"BROKEN, see {folder}"
    print(f"in {time.monotonic() - started:.0f} s: {verdict}")
    if arguments.json:
        arguments.json.write_text(report.to_json())
    if not report.kept:
        sys.exit(1)
    shutil.rmtree(folder)


def _lines(report: AnyReport) -> Iterator[str]:
    if isinstance(report, Report):
        yield f"rings sent      {report.sent}"
        yield f"received        {report.received}"
        yield f"duplicates      {report.duplicates}"
        yield f"lost            {report.lost}"
        yield f"mistimed        {report.mistimed}"
        yield from (f"  {kind:22} {count}" for kind, count in sorted(report.faults.items()))
    elif isinstance(report, PeopleReport):
        yield f"kills           {report.kills}, of which {report.afterwards} when the change had been told"
        yield from (f"  during {kind:15} {count}" for kind, count in sorted(report.during.items()))
    else:
        yield f"tried           {report.tried}"
        yield f"accepted        {report.accepted}"
        yield f"crashes         {report.crashes}"
        yield f"rings           {report.presses}, of which {report.unheard} were not heard"
        yield f"longest stall   {report.longest_stall_ms:.0f} ms of the bridge itself"
        yield f"heard           {_late(report.heard_ms)}; before the attacks {_late(report.calm_ms)}"
        yield f"bridge's memory {report.memory_mb:.0f} MB after all attacks"
        yield from (f"  {name:22} {tally.refused} of {tally.tried}" for name, tally in report.attacks.items())
    yield from report.broken[:BROKEN_SHOWN]


def _late(after_ms: Sequence[float]) -> str:
    return (
        f"{statistics.median(after_ms):.0f} ms after the press in the middle, {max(after_ms):.0f} ms at most"
    )


BROKEN_SHOWN = 30

if __name__ == "__main__":
    main()
