"""Notes for the log about how a process ended: why its program could not be started, what memory had to do with it.

They may name files of the study and so stay on the secure side; what leaves are the fixed words of `jobs.exits`.
"""

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from carrel.agent.executors.base import WORKSPACE, Inspection
from carrel.agent.walk import open_beneath
from carrel.jobs.exits import NOT_EXECUTABLE, NOT_FOUND

FIRST_LINE_BYTES = 256
"""As much of a script's first line as the kernel reads."""
ELF = b"\x7fELF"
ELF_MACHINE = slice(18, 20)
RUNNERS = {".py": "python", ".r": "Rscript", ".sh": "sh", ".jl": "julia"}


def notes_on(seen: Inspection, workspace: Path, args: Sequence[str]) -> tuple[str, ...]:
    """The executor's notes, and ours. `args` is the job's command, `workspace` its folder as the job left it."""
    start = why_not_started(seen.exit_code, workspace, args)
    return (*seen.notes, *_of_memory(seen), *([f"Start: {start}"] if start else []))


def _of_memory(seen: Inspection) -> Iterator[str]:
    if seen.oom_killed and seen.exit_code == 0:
        yield (
            "Memory: a process of this job was killed because its memory was used up, though the job itself ended "
            "well. Its outputs may lack that process's part; ask for more memory, or start fewer processes."
        )


def why_not_started(exit_code: int | None, workspace: Path, args: Sequence[str]) -> str:
    """What is wrong with a program that is a file of the study, and the next step; "" of any other."""
    if exit_code not in (NOT_EXECUTABLE, NOT_FOUND) or not args or "/" not in args[0]:
        return ""
    path = args[0].removeprefix(f"{WORKSPACE}/") if args[0].startswith("/") else os.path.normpath(args[0])
    if path.startswith(("/", "..")):
        return ""
    reason: str | None = None
    try:
        fd = open_beneath(workspace, path)
    except PermissionError:
        reason = "may not be read: its rights do not allow it. Commit it as executable (chmod 755)."
    except ValueError:
        reason = "is no file that can be run."
    except OSError:  # it is not there, which the log says
        return ""
    else:
        with os.fdopen(fd, "rb") as file:
            reason = _reason(path, os.fstat(fd).st_mode, file.read(FIRST_LINE_BYTES))
    return f"{args[0]} {reason}" if reason else ""


def _reason(path: str, mode: int, head: bytes) -> str | None:
    if not mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
        runner = RUNNERS.get(PurePosixPath(path).suffix.lower())
        instead = f"write `{runner} {shlex.quote(path)}` in `run`, or " if runner else ""
        return f"is not executable: {instead}make it so (chmod +x; git update-index --chmod=+x) and commit that."
    if head.startswith(ELF):
        with Path("/proc/self/exe").open("rb") as own:
            ours = own.read(ELF_MACHINE.stop)[ELF_MACHINE]
        return None if head[ELF_MACHINE] == ours else "is a program for another kind of processor."
    first, _, _ = head.partition(b"\n")
    if not first.startswith(b"#!"):
        return None
    if first.endswith(b"\r"):
        return (
            "was saved with Windows line ends, so that its first line asks for a program whose name ends in a carriage "
            "return. Save it with Unix line ends (LF)."
        )
    return f"asks in its first line for {first[2:].decode(errors='replace').strip()!r}, which could not be started."
