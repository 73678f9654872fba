"""Notes for the log about how a process ended: why its program could not be started, what memory had to do with it.

They may name files of the study and so stay on the secure side; what leaves are the fixed words of `jobs.exits`.
"""

import os
import shlex
import stat
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from carrel.executors.base import WORKSPACE, Inspection
from carrel.jobs.exits import NOT_EXECUTABLE, NOT_FOUND
from carrel.units.beneath import open_beneath

FIRST_LINE_BYTES = 256
"""The kernel reads as much of a script's first line."""
SHELL_ERROR = 2
"""A shell's exit code for text that it does not understand, such as a program of another kind."""
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
ELF = b"\x7fELF"
ELF_MACHINE = slice(18, 20)
SHELLS = ("sh", "bash", "dash", "/bin/sh", "/bin/bash")
WINDOWS = (
    "was saved with Windows line ends, so that programs are looked for whose names end in a carriage return. "
    "Save it with Unix line ends (LF)."
)
BYTE_ORDER_MARK = "begins with a byte order mark, so that its first line is not seen. Save it as UTF-8 without one."
RUNNERS = {".py": "python", ".r": "Rscript", ".sh": "sh", ".jl": "julia"}


def notes_on(inspection: Inspection, workspace: Path, args: Sequence[str]) -> tuple[str, ...]:
    """The executor's notes, and ours. `args` is the job's command, `workspace` its folder as the job left it."""
    notes = [*inspection.notes]
    if inspection.oom_killed and inspection.exit_code == 0:
        notes.append(
            "Memory: a process of this job was killed because its memory was used up, though the job itself ended "
            "well. Its outputs may lack that process's part; ask for more memory, or start fewer processes."
        )
    if start := why_not_started(inspection.exit_code, workspace, args):
        notes.append(f"Start: {start}")
    return tuple(notes)


def why_not_started(exit_code: int | None, workspace: Path, args: Sequence[str]) -> str:
    """What is wrong with the file of the study that was to run, and the next step; "" when nothing is known to be."""
    if exit_code not in (SHELL_ERROR, NOT_EXECUTABLE, NOT_FOUND) or not args:
        return ""
    if args[0] in SHELLS and len(args) > 1:
        reason = _look_at(workspace, args[1], lambda mode, head: _reason_of_text(head))
        return f"{args[1]} {reason}" if reason else ""
    if "/" not in args[0]:
        return ""
    reason = _look_at(workspace, args[0], lambda mode, head: _reason(args[0], exit_code, mode, head))
    return f"{args[0]} {reason}" if reason else ""


def _look_at(workspace: Path, script: str, reason_in: Callable[[int, bytes], str | None]) -> str | None:
    """What `reason_in` says of the file's mode and its first bytes; None of a file that is not the study's."""
    path = script.removeprefix(f"{WORKSPACE}/") if script.startswith("/") else os.path.normpath(script)
    if path.startswith(("/", "..")):
        return None
    try:
        fd = open_beneath(workspace, path)
    except PermissionError:
        return "may not be read: its rights do not allow it. Commit it as executable (chmod 755)."
    except ValueError:
        return "is no file that can be run."
    except OSError:  # it is not there, which the log says
        return None
    with os.fdopen(fd, "rb") as file:
        return reason_in(os.fstat(fd).st_mode, file.read(FIRST_LINE_BYTES))


def _reason_of_text(head: bytes) -> str | None:
    """What is wrong with a script that a shell was given to run; None when nothing in its first line is."""
    first, end, _ = head.partition(b"\n")
    if end and first.endswith(b"\r"):
        return WINDOWS
    return BYTE_ORDER_MARK if head.startswith(BYTE_ORDER_MARKS) else None


def _reason(script: str, exit_code: int, mode: int, head: bytes) -> str | None:
    """What is wrong with the file, by its mode and its first bytes; None when they say nothing against it."""
    path = os.path.relpath(script, WORKSPACE) if script.startswith("/") else os.path.normpath(script)
    runner = RUNNERS.get(PurePosixPath(path).suffix.lower())
    by_hand = f"write `{runner} {shlex.quote(path)}` in `run`" if runner else ""
    first = head.partition(b"\n")[0]
    if not mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
        instead = f"{by_hand}, or " if by_hand else ""
        return f"is not executable: {instead}make it so (chmod +x; git update-index --chmod=+x) and commit that."
    if head.startswith(ELF):
        return _reason_of_program(exit_code, head)
    if head.startswith(BYTE_ORDER_MARKS):
        return BYTE_ORDER_MARK
    if b"\0" in head:
        return "is neither a script nor a program that this machine can run."
    if not first.startswith(b"#!"):
        if runner is None or runner == "sh":
            return None  # a shell takes it for a script of its own, which is as it should be of a shell's
        return f"does not name its program in its first line, so that a shell ran it: {by_hand}."
    if first.endswith(b"\r"):
        return WINDOWS
    if exit_code == SHELL_ERROR:
        return None
    return f"asks in its first line for {first[2:].decode(errors='replace').strip()!r}, which could not be started."


def _reason_of_program(exit_code: int, head: bytes) -> str | None:
    with Path("/proc/self/exe").open("rb") as own:
        ours = own.read(ELF_MACHINE.stop)[ELF_MACHINE]
    if head[ELF_MACHINE] != ours:
        return "is a program for another kind of processor."
    if exit_code == NOT_EXECUTABLE:
        return "is a program that this machine cannot run: cut short, or made for another system."
    return "is a program whose loader or libraries are not there." if exit_code == NOT_FOUND else None
