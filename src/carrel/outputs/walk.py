"""List what a job left in its folder, trusting none of it: no symlink is ever followed (`units.beneath`)."""

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from carrel.units.beneath import DIRECTORY, printable
from carrel.units.limits import (
    MAX_JOB_ENTRIES,
    MAX_LISTED,
    MAX_OUTPUT_NAME_BYTES,
    MAX_OUTPUT_PATH_BYTES,
    MAX_WALK_DEPTH,
    MAX_WALK_ENTRIES,
)

_CHECK_EVERY = 1000
_BLOCK = 512
"""Bytes that `st_blocks` counts in."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One regular file: `path` relative with forward slashes, `size` in bytes, times in ns since 1970."""

    path: str
    size: int
    mtime_ns: int
    _: KW_ONLY
    inode: tuple[int, int] = (0, 0)
    """Device and inode number."""
    links: int = 1
    allocated: int = 0
    """Bytes that it takes on disk."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that can never be an output, and why, in words for the log. `path` is printable."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}  - {self.reason}"


@dataclass(frozen=True, slots=True)
class Listing:
    """All that is in a folder; both sorted by path. `cut`: there is more, which was not looked at."""

    files: tuple[FileEntry, ...]
    refused: tuple[Refusal, ...] = ()
    cut: bool = False


_Item = TypeVar("_Item", FileEntry, Refusal)


def walk(root: Path, leave_out: Callable[[str], bool] = lambda path: False) -> Listing:
    """List the regular files below `root`; refuse symlinks, sockets, devices, pipes, foreign hard links and odd names.

    `leave_out(path)` of a file or folder: it is not looked at and not listed. Raises OSError when `root` is no folder.
    """
    return _listing(root, _Walk(leave_out, MAX_WALK_ENTRIES))


def walk_job(root: Path, leave_out: Callable[[str], bool], check: Callable[[], None] = lambda: None) -> Listing:
    """`walk` of what a job left in its folder, which is ours by now.

    Refused are also names and paths that are too long for the stores. What the job's user, who is ours too, may not
    read is made readable. `check` is called from time to time.
    """
    return _listing(root, _Walk(leave_out, MAX_JOB_ENTRIES, of_job=True, check=check))


def _listing(root: Path, walking: "_Walk") -> Listing:
    fd = os.open(root, DIRECTORY)
    try:
        entries = list(walking.below(fd, "", 1))
    finally:
        os.close(fd)
    files = [entry for entry in entries if isinstance(entry, FileEntry)]
    refused = [entry for entry in entries if isinstance(entry, Refusal)]
    if walking.cut:
        refused.append(Refusal("", f"more than {walking.limit} files: the rest was not looked at"))
    # A file with more links than were found in the folder is shared with a place outside of it.
    names = Counter(file.inode for file in files)
    own = [file for file in files if file.links <= names[file.inode]]
    refused += [
        Refusal(file.path, "it is a hard link to a file outside of the job's folder")
        for file in files
        if file.links > names[file.inode]
    ]
    refusals = _by_path(refused)
    if len(refusals) > MAX_LISTED:
        refusals = (*refusals[:MAX_LISTED], Refusal("...", f"and {len(refusals) - MAX_LISTED} more"))
    return Listing(_by_path(own), refusals, walking.cut)


def _by_path(items: list[_Item]) -> tuple[_Item, ...]:
    return tuple(sorted(items, key=lambda item: item.path))


@dataclass(slots=True)
class _Walk:
    """One walk, and how much it has seen: `limit` is of files and folders together."""

    leave_out: Callable[[str], bool]
    limit: int
    _: KW_ONLY
    of_job: bool = False
    check: Callable[[], None] = lambda: None
    seen: int = 0
    cut: bool = False

    def below(self, fd: int, prefix: str, depth: int) -> Iterator[FileEntry | Refusal]:
        with os.scandir(fd) as entries:
            # Of a folder that is over the limit by itself, as many as it takes to see that.
            names = sorted(entry.name for entry in islice(entries, self.limit - self.seen + 1))
        for name in names:
            path = prefix + name
            if self.leave_out(path):
                continue
            self.seen += 1
            if self.seen > self.limit:
                self.cut = True
                return
            if self.seen % _CHECK_EVERY == 0:
                self.check()
            if not _plain_name(name):
                yield Refusal(printable(path), "its name holds control characters or is not UTF-8")
            else:
                yield from self._visit(fd, name, path, depth)

    def _visit(self, fd: int, name: str, path: str, depth: int) -> Iterator[FileEntry | Refusal]:
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        kind = stat.S_IFMT(status.st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            yield Refusal(path, f"it is {_KINDS.get(kind, 'not a regular file')}")
        elif self.of_job and (reason := _unfit(name, path, kind)):
            yield Refusal(path, reason)
        elif kind == stat.S_IFDIR:
            yield from self._descend(fd, name, path, depth)
        elif self.of_job and not _is_readable(fd, name, status):
            yield Refusal(path, "it cannot be read (Permission denied)")
        else:
            yield FileEntry(
                path=path,
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
                inode=(status.st_dev, status.st_ino),
                links=status.st_nlink,
                allocated=status.st_blocks * _BLOCK,
            )

    def _descend(self, fd: int, name: str, path: str, depth: int) -> Iterator[FileEntry | Refusal]:
        if depth >= MAX_WALK_DEPTH:
            yield Refusal(path, f"its folders are nested deeper than {MAX_WALK_DEPTH}")
            return
        try:
            child = self._open(fd, name)
        except OSError as error:
            yield Refusal(path, f"the folder cannot be read ({error.strerror})")
            return
        try:
            yield from self.below(child, path + "/", depth + 1)
        finally:
            os.close(child)

    def _open(self, fd: int, name: str) -> int:
        try:
            return self._open_readable(fd, name)
        except PermissionError:
            if not self.of_job:
                raise
        _grant(fd, name, stat.S_IRWXU)
        return self._open_readable(fd, name)

    def _open_readable(self, fd: int, name: str) -> int:
        child = os.open(name, DIRECTORY, dir_fd=fd)
        try:
            os.stat(".", dir_fd=child)  # one that may be read and not entered has names only
        except OSError:
            os.close(child)
            raise
        return child


def _unfit(name: str, path: str, kind: int) -> str:
    """Why what a job made cannot be stored under its name, if it cannot."""
    if kind == stat.S_IFREG and len(name.encode()) > MAX_OUTPUT_NAME_BYTES:
        return f"its name is longer than {MAX_OUTPUT_NAME_BYTES} bytes"
    if len(path.encode()) > MAX_OUTPUT_PATH_BYTES:
        return f"its path is longer than {MAX_OUTPUT_PATH_BYTES} bytes"
    return ""


def _is_readable(fd: int, name: str, status: os.stat_result) -> bool:
    """Whether a file can be read; the job's user being ours, it is made so where it is not."""
    if os.geteuid() == status.st_uid:
        if status.st_mode & stat.S_IRUSR:
            return True
        with contextlib.suppress(OSError):
            _grant(fd, name, stat.S_IRUSR)
    return os.access(name, os.R_OK, dir_fd=fd, effective_ids=True, follow_symlinks=False)


def _grant(fd: int, name: str, mode: int) -> None:
    """Give the owner these rights to what has this name, if that is no symlink. Raises OSError."""
    path = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        status = os.fstat(path)
        if not stat.S_ISLNK(status.st_mode):
            Path(f"/proc/self/fd/{path}").chmod(stat.S_IMODE(status.st_mode) | mode)
    finally:
        os.close(path)


_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def _plain_name(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable()
