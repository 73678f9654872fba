"""Runs a program and watches it: seconds, processor seconds and memory of it and of everything it started."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_EVERY = 0.5
"""Seconds. Adding up a process's memory holds it up: twenty times a second, this took a fifth of a processor."""
ROOT = Path(__file__).parents[2]


class Failed(Exception):
    """The program did not end well."""


@dataclass(frozen=True)
class Watched:
    """`wall` and `cpu` in seconds, `peak` in bytes: the most that all its processes together had at one moment, memory
    that they share counted once."""

    wall: float
    cpu: float
    peak: int
    output: str


def watched(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> Watched:
    """Run `command` from the root of the repository to its end; Failed unless it ends with 0."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        watch = _Watch(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.stop()
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise Failed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{errors.read()[-3_000:]}")
        waited_for = usage.ru_utime + usage.ru_stime
        if watch.alone:
            return Watched(wall, waited_for, max(watch.peak, usage.ru_maxrss * 1024), output.read())
        return Watched(wall, max(waited_for, watch.cpu), watch.peak, output.read())


class _Watch:
    """Looks at a session's processes until told to stop."""

    def __init__(self, session: int):
        self.session = session
        self.peak = 0
        self.alone = True
        self.seconds: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    @property
    def cpu(self) -> float:
        """Processor seconds of all, when each was last seen; the kernel's own sum leaves out who was not waited for."""
        return sum(self.seconds.values())

    def _look_on(self) -> None:
        while not self._done.wait(_EVERY):
            names = (each.name for each in Path("/proc").iterdir())
            pids = [pid for pid in map(int, filter(str.isdigit, names)) if self._is_ours(pid)]
            self.alone = self.alone and len(pids) <= 1
            self.peak = max(self.peak, sum(map(_memory, pids)))
            self.seconds |= {pid: seconds for pid in pids if (seconds := _seconds(pid))}

    def _is_ours(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.session
        except ProcessLookupError:
            return False


def _seconds(pid: int) -> float:
    """Its own processor seconds (proc(5)), not those of its children: they are looked at themselves."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> int:
    """Its proportional share of memory, in bytes: pages shared by n processes count 1/n in each."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def fresh(folder: Path) -> Path:
    """The folder's name, with nothing there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
