"""Copies of open files: cloned or linked where the file system can, else copied inside the kernel; and their hashes."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

_READ_BLOCK = 1024 * 1024
_COPY_BLOCK = 64 * 1024 * 1024
_FICLONE = 0x40049409
"""ioctl of linux/fs.h: share the blocks of one file with another, copy on write."""
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}


def clone(source: int, target: int) -> bool:
    """Give `target` the contents of `source` without copying them; False where the file system cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT_CLONE:
            return False
        raise
    return True


def link_open_file(source: int, target: Path) -> None:
    """Give an open file a second name; raises OSError where that cannot be (another file system, not allowed).

    A folder's descriptor makes Python call linkat, which can follow the link in /proc; the path being absolute, it
    means nothing else.
    """
    os.link(f"/proc/self/fd/{source}", target, src_dir_fd=source, follow_symlinks=True)


def copy_contents(source: int, target: int, check: Callable[[], None] = lambda: None) -> None:
    """Copy all of one open file to another, inside the kernel; raises OSError (ENOSPC when the disk is full).

    Holes stay holes: they take no room. `check` is called between blocks.
    """
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    for start, end in _data_of(source, size):
        os.lseek(target, start, os.SEEK_SET)
        while start < end and (sent := os.sendfile(target, source, start, min(_COPY_BLOCK, end - start))):
            start += sent
            check()


def _data_of(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges of a file that are no holes; all of it where the file system cannot tell."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = min(size, os.lseek(fd, start, os.SEEK_HOLE))
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole up to the end
                yield end, size
            return
        yield start, end


def copy_open_file(source: int, target: Path, mode: int, check: Callable[[], None] = lambda: None) -> None:
    """Write all of an open file to `target`, which gets `mode` where it is new; cloned where the file system can."""
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        if not clone(source, fd):
            copy_contents(source, fd, check)
    finally:
        os.close(fd)


def replace_by_link(source: int, target: Path) -> bool:
    """Replace `target` by a hard link to the open file; False where that cannot be, when `target` is gone."""
    target.unlink(missing_ok=True)
    try:
        link_open_file(source, target)
    except OSError:
        return False
    return True


def sha256_of(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """Hexadecimal SHA-256 of a file's contents, read in blocks; `check` is called between them."""
    digest = hashlib.sha256()
    block = bytearray(_READ_BLOCK)
    view = memoryview(block)
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(block):
            digest.update(view[:size])
            check()
    return digest.hexdigest()
