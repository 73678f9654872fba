"""Files below a folder, opened without trusting what lies there.

No symlink is ever followed and no path leaves the folder: every folder is opened by descriptor, component by component,
with O_NOFOLLOW (what openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS checks in the kernel).
"""

import os
import stat

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_beneath(root: os.PathLike[str], path: str) -> int:
    """A descriptor to read the regular file `path` below `root`, no component of which may be a symlink.

    Raises OSError (ELOOP or ENOTDIR for a symlink) and ValueError for a path that is not relative and plain, or is
    not of a regular file.
    """
    *folders, name = parts_of(path)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        opened = os.open(name, _FILE, dir_fd=fd)
    finally:
        os.close(fd)
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    raise ValueError(f"not a regular file: {printable(path)}")


def parts_of(path: str) -> list[str]:
    """Components of a relative path; ValueError when it is absolute, empty, or has empty, `.` or `..` components."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError("not a plain relative path")
    return parts


def printable(path: str) -> str:
    """`path` with what is not printable escaped, so that it can be shown on one line of a log."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in path
    )
