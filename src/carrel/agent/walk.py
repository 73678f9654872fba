"""List and open what a job left in its folder, trusting none of it.

No symlink is ever followed and no path leaves the folder: every folder is opened by descriptor, component by component,
with O_NOFOLLOW (what openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS checks in the kernel).
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from carrel.units.limits import MAX_WALK_DEPTH, MAX_WALK_ENTRIES

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One regular file: `path` relative with forward slashes, `size` in bytes, times in ns since 1970."""

    path: str
    size: int
    mtime_ns: int
    inode: tuple[int, int] = (0, 0)
    """Device and inode number."""
    links: int = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that can never be an output, and why, in words for the log. `path` is printable."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All that is in a folder; both sorted by path."""

    files: tuple[FileEntry, ...]
    refused: tuple[Refusal, ...] = ()


def walk(root: Path, leave_out: Callable[[str], bool] = lambda path: False) -> Listing:
    """List the regular files below `root`; refuse symlinks, sockets, devices, pipes, foreign hard links and odd names.

    `leave_out(path)` of a file or folder: it is not looked at and not listed. Raises OSError when `root` is no folder.
    """
    files: list[FileEntry] = []
    refused: list[Refusal] = []
    fd = os.open(root, _DIRECTORY)
    try:
        for found in _walk(fd, "", 1, leave_out):
            if isinstance(found, FileEntry):
                files.append(found)
            else:
                refused.append(found)
            if len(files) + len(refused) >= MAX_WALK_ENTRIES:
                refused.append(Refusal("", f"more than {MAX_WALK_ENTRIES} files: the rest was not looked at"))
                break
    finally:
        os.close(fd)
    own, foreign = _split_links(files)
    return Listing(_by_path(own), _by_path(refused + foreign))


_Found = TypeVar("_Found", FileEntry, Refusal)


def _by_path(items: list[_Found]) -> tuple[_Found, ...]:
    return tuple(sorted(items, key=lambda item: item.path))


def _walk(fd: int, prefix: str, depth: int, leave_out: Callable[[str], bool]) -> Iterator[FileEntry | Refusal]:
    with os.scandir(fd) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = prefix + name
        if leave_out(path):
            continue
        if not _plain_name(name):
            yield Refusal(printable(path), "its name holds control characters or is not UTF-8")
            continue
        yield from _visit(fd, name, path, depth, leave_out)


def _visit(
    fd: int, name: str, path: str, depth: int, leave_out: Callable[[str], bool]
) -> Iterator[FileEntry | Refusal]:
    try:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode):
        yield FileEntry(path, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino), found.st_nlink)
    elif not stat.S_ISDIR(found.st_mode):
        yield Refusal(path, f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'not a regular file')}")
    elif depth >= MAX_WALK_DEPTH:
        yield Refusal(path, f"its folders are nested deeper than {MAX_WALK_DEPTH}")
    else:
        yield from _descend(fd, name, path, depth, leave_out)


def _descend(
    fd: int, name: str, path: str, depth: int, leave_out: Callable[[str], bool]
) -> Iterator[FileEntry | Refusal]:
    try:
        child = os.open(name, _DIRECTORY, dir_fd=fd)
    except OSError as error:
        yield Refusal(path, f"the folder cannot be read ({error.strerror})")
        return
    try:
        yield from _walk(child, path + "/", depth + 1, leave_out)
    finally:
        os.close(child)


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


def printable(path: str) -> str:
    """`path` with what is not printable escaped, so that it can be shown on one line of a log."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in path
    )


def _split_links(files: list[FileEntry]) -> tuple[list[FileEntry], list[Refusal]]:
    """A file with more links than were found in the folder is shared with a place outside of it."""
    found = Counter(file.inode for file in files)
    own = [file for file in files if file.links <= found[file.inode]]
    foreign = [file for file in files if file.links > found[file.inode]]
    return own, [Refusal(file.path, "it is a hard link to a file outside of the job's folder") for file in foreign]


def open_beneath(root: Path, path: str) -> int:
    """A descriptor to read the regular file `path` below `root`, no component of which may be a symlink.

    Raises OSError (ELOOP or ENOTDIR for a symlink) and ValueError for a path that is not relative and plain, or is
    not of a regular file.
    """
    *folders, name = parts_of(path)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        return _open_regular(name, fd, path)
    finally:
        os.close(fd)


def parts_of(path: str) -> list[str]:
    """Components of a relative path; ValueError when it is absolute, empty, or has empty, `.` or `..` components."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError("not a plain relative path")
    return parts


def _open_regular(name: str, dir_fd: int, path: str) -> int:
    fd = os.open(name, _FILE, dir_fd=dir_fd)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise ValueError(f"not a regular file: {printable(path)}")
