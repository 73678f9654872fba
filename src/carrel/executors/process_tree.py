"""What a tree of processes uses, from /proc: where there is no cgroup to ask. Format: proc(5)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from carrel.executors.base import Usage

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
FIRST = 3  # the fields of `stat` after the name in brackets begin with the third
UTIME, CSTIME, RSS = 14 - FIRST, 17 - FIRST, 24 - FIRST


def descendants(pid: int) -> Iterator[int]:
    """All processes below `pid`, not itself."""
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield int(child)
                yield from descendants(int(child))


def usage_below(pid: int) -> Usage | None:
    """CPU time of the processes below `pid` and of those children that they have waited for, and their memory now."""
    cpu, memory, measured = 0, 0, False
    for child in descendants(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].split()
            cpu += sum(int(field) for field in fields[UTIME : CSTIME + 1])
            memory += int(fields[RSS]) * PAGE
            measured = True
    return Usage(cpu / TICKS, memory) if measured else None
