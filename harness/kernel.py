"""What the kernel says of a process."""

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def open_files(pid: int) -> int:
    """Return how many files, sockets included, a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def waited_ns(thread: int) -> int:
    """Return how long a thread of this process was ready and the machine ran others (Linux: sched-stats.rst)."""
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[1])
