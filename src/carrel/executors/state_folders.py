"""The state folder of one process that a supervisor of ours runs: how it is made, read, waited for and forgotten.

`<state_dir>/<name>/` appears by one rename, when its lock is already held; the supervisor inherits the lock, and the
kernel lets go of it when the supervisor ends in whatever way. So "is it running" needs no pids, start times or boot
ids: lock held = running; not held and a whole `exit` record = ended; not held and none = lost.
The files are listed in `supervisor.py`.
"""

import contextlib
import errno
import fcntl
import json
import os
import py_compile
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carrel.executors import cgroups, supervisor
from carrel.executors.base import ExecutorError, RuntimeUnavailable
from carrel.executors.logs import marker
from carrel.units.files import write_atomically
from carrel.units.locks import is_locked, lock

START_SECONDS = 10.0
STOP_SECONDS = 10.0
SETTLE_SECONDS = 5.0
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """What a supervisor leaves. `failed`: bwrap could not set the sandbox up, the job's program never started."""

    exit_code: int
    failed: bool
    finished: datetime
    log_dropped: int
    oom_kills: int
    memory_peak: int
    cpu_microseconds: int
    pids_refused: int = 0
    """How often the limit on processes was met; a supervisor of an earlier version did not look."""


@dataclass(frozen=True, slots=True)
class SupervisedProcess:
    """One process, by its state folder. Nothing is kept in memory: every answer is read from there and the kernel."""

    folder: Path

    @property
    def exists(self) -> bool:
        """Whether there is a folder: the process was started, and not forgotten."""
        return self.folder.is_dir()

    def is_running(self) -> bool:
        """Whether its supervisor, and with it the process, lives: whether the lock is held."""
        return is_locked(self.folder / "lock")

    def await_release(self) -> None:
        """After the supervisor's end: a child that it was just making may hold the lock for a moment longer."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.002)

    def read_record(self) -> dict[str, Any]:
        """What the agent wrote at the start (see `create`); empty when it was never whole."""
        try:
            record: dict[str, Any] = json.loads((self.folder / "record.json").read_text())
            return record
        except (OSError, ValueError):
            return {}

    def read_start_time(self) -> datetime | None:
        """When the sandbox was started; None before that."""
        with contextlib.suppress(OSError, ValueError):
            return _parse_time((self.folder / "started").read_text())
        return None

    def read_exit(self) -> ExitRecord | None:
        """How it ended; None when it has not, or when no whole record was left."""
        try:
            lines = (self.folder / "exit").read_text().splitlines()
        except OSError:
            return None
        if not lines or lines[-1] != "end":
            return None
        values = dict(line.split(" ", 1) for line in lines[:-1])
        finished = _parse_time(values.pop("finished"))
        failed = bool(int(values.pop("failed")))
        return ExitRecord(finished=finished, failed=failed, **{key: int(value) for key, value in values.items()})

    def read_cgroups(self) -> dict[str, Path]:
        """Its control group: from each controller to its folder."""
        group: dict[str, str] = self.read_record().get("cgroups") or {}
        return {controller: Path(folder) for controller, folder in group.items()}

    def read_supervisor_pid(self) -> int:
        """True only while it runs; 0 before it has written it."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / "pid").read_text())
        return 0

    def open_supervisor(self) -> int | None:
        """A pidfd of the supervisor, which becomes readable at its end; None when it does not run. To be closed."""
        deadline = time.monotonic() + START_SECONDS
        while self.is_running():
            with contextlib.suppress(OSError, ValueError):
                fd = os.pidfd_open(self.read_supervisor_pid())
                if self.is_running():  # it held the lock after we had the descriptor: the pid was its own
                    return fd
                os.close(fd)
            if time.monotonic() > deadline:
                raise RuntimeUnavailable(f"The supervisor of {self.folder.name} holds its lock but left no pid.")
            time.sleep(0.002)  # only between its start and its first instructions
        return None

    def read_log(self) -> Iterator[bytes]:
        """The log in order, with a marker where the middle was dropped."""
        end = self.read_exit()
        yield from _read_pieces(self.folder / "log.head")
        if end and end.log_dropped:
            yield marker(end.log_dropped)
        for tail in sorted(self.folder.glob("log.tail.*"), key=lambda tail: int(tail.suffix[1:])):
            yield from _read_pieces(tail)

    def stop(self) -> None:
        """Have the supervisor kill all and record the end; kill the supervisor itself if it will not."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            fd = self.open_supervisor()
            if fd is None:
                return
            try:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, signal_number)
                if select.select([fd], [], [], STOP_SECONDS)[0]:
                    self.await_release()
            finally:
                os.close(fd)
        if self.is_running():
            raise RuntimeUnavailable(f"The supervisor of {self.folder.name} cannot be killed.")

    def remove(self) -> None:
        """Stop it and forget it: cgroups first, then the folder, by a rename so that it is never half there."""
        self.stop()
        try:
            cgroups.remove(cgroups.folders(self.read_cgroups()))
        except RuntimeError as error:
            raise ExecutorError(str(error)) from error
        trash = self.folder.with_name(f".old-{self.folder.name}-{os.getpid()}-{time.monotonic_ns()}")
        with contextlib.suppress(FileNotFoundError):
            self.folder.rename(trash)
            shutil.rmtree(trash)


def _parse_time(nanoseconds: str) -> datetime:
    return datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC)


def _read_pieces(path: Path) -> Iterator[bytes]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        while data := file.read(CHUNK):
            yield data


def create(state_dir: Path, name: str, record: Mapping[str, object]) -> int | None:
    """Make the folder of a process, locked; returns the lock's descriptor, or None when there is one already."""
    folder = state_dir / f".new-{name}-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    descriptor = lock(folder / "lock", mode=0o600)
    try:
        (folder / "record.json").write_text(json.dumps(record))
        (folder / "exit.new").write_bytes(b"\0" * supervisor.EXIT_RECORD_BYTES)
        folder.rename(state_dir / name)
    except OSError as error:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        if (state_dir / name).is_dir():
            return None
        raise error
    return descriptor


def compile_supervisor(state_dir: Path) -> Path:
    """The supervisor's program as byte code of this interpreter: half the start-up time of its text.

    On a full disk its text, so that an agent starts all the same.
    """
    target = state_dir / ".supervisor.pyc"
    try:
        py_compile.compile(supervisor.__file__, cfile=str(target), doraise=True)  # replaces it by a rename
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return Path(supervisor.__file__)
    return target


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> None:
    """See to it that the file says `text`; nothing is written where it does already."""
    if path.exists() and path.read_text() == text:
        return
    write_atomically(path, text.encode(), synced="no", mode=mode)


@dataclass(frozen=True, slots=True)
class MemoryFiles:
    """What goes to the sandbox as files that are on no disk.

    `options`: bwrap's, which hold secrets; `seccomp`: the filter; `command`: the shell script that becomes the job.
    """

    options: Sequence[str]
    command: bytes
    seccomp: bytes = b""

    def contents(self) -> tuple[bytes, ...]:
        """In the order of the supervisor's descriptors."""
        return b"".join(os.fsencode(word) + b"\0" for word in self.options), self.seccomp, self.command


def spawn(program: Path, folder: Path, lock_fd: int, files: MemoryFiles, arguments: Sequence[str]) -> None:
    """Start the supervisor, which takes the lock over.

    `arguments`: the supervisor's own settings, then the sandbox's program (see `supervisor.main`).
    """
    targets = (supervisor.LOCK_FD, supervisor.ARGS_FD, supervisor.SECCOMP_FD, supervisor.COMMAND_FD)
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDONLY if fd == 0 else os.O_WRONLY, 0) for fd in (0, 1, 2)]
    with contextlib.ExitStack() as stack:
        # Not 3 to 6 themselves, which are the targets: a descriptor must not be overwritten before it is copied.
        sources = [fcntl.fcntl(lock_fd, fcntl.F_DUPFD_CLOEXEC, 10), *map(_open_memory_file, files.contents())]
        for fd in sources:
            stack.callback(os.close, fd)
        copies = [(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in zip(sources, targets, strict=True)]
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-E", str(program), str(folder), *arguments],
                {},
                file_actions=[*null, *copies],
                setsid=True,
                setsigdef=[signal.SIGTERM],
            )
        except OSError as error:
            raise RuntimeUnavailable(f"A supervisor could not be started: {error.strerror}.") from error
        if os.waitpid(pid, 0)[1] != 0:
            raise RuntimeUnavailable("A supervisor ended before it had taken over; the machine may be out of memory.")


def _open_memory_file(content: bytes) -> int:
    memory = os.memfd_create("carrel")
    try:
        os.write(memory, content)
        os.lseek(memory, 0, os.SEEK_SET)
        return fcntl.fcntl(memory, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(memory)


def collect(state_dir: Path) -> None:
    """Remove what killed agents left half made or half removed."""
    for folder in (*state_dir.glob(".new-*"), *state_dir.glob(".old-*")):
        if not SupervisedProcess(folder).is_running():
            shutil.rmtree(folder, ignore_errors=True)


def names(state_dir: Path) -> list[str]:
    """Of all processes that have a state folder there."""
    return sorted(entry.name for entry in state_dir.iterdir() if entry.is_dir() and not entry.name.startswith("."))
