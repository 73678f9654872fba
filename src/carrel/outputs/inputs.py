"""Put files into an attempt's folder so that nothing the job does can reach the originals."""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from carrel.executors.base import WORKSPACE, Mount
from carrel.outputs.walk import open_beneath, parts_of

SMALL = 8 * 1024 * 1024
"""Files up to this size (bytes) are copied; larger ones are cloned or shown read-only."""

_BLOCK = 64 * 1024 * 1024

_FICLONE = 0x40049409
"""ioctl of linux/fs.h: share the blocks of one file with another, copy on write."""
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOENT}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def place_file(
    source_root: Path,
    path: str,
    workspace: Path,
    pins: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Mount | None:
    """Put `source_root/path` at `workspace/path`: a clone where the file system can, else a copy when it is small.

    A large file that cannot be cloned is not copied: the Mount to show it read-only at /workspace/<path> is returned,
    of a hard link kept in the folder `pins` (a replaced original does not change under the job). It is copied all the
    same where there can be no hard link (the store is on another file system), and with `pins` None. `check` is called
    between blocks of a copy. Raises OSError (FileNotFoundError when there is no such file) and ValueError when it is no
    regular file.
    """
    source = open_beneath(source_root, path)
    try:
        target = _create(workspace, path)
        try:
            if clone(source, target):
                return None
            large = os.fstat(source).st_size > SMALL
            pin = _pin(source, pins, path) if pins is not None and large else None
            if pin is None:
                copy_contents(source, target, check)
                return None
            os.fchmod(target, 0o444)
        finally:
            os.close(target)
        return Mount(pin, f"{WORKSPACE}/{path}")
    finally:
        os.close(source)


def place_outputs(source_root: Path, paths: Iterable[str], workspace: Path, pins: Path | None = None) -> list[Mount]:
    """`place_file` for several; the mounts of those not copied."""
    return [mount for path in paths if (mount := place_file(source_root, path, workspace, pins))]


def _create(workspace: Path, path: str) -> int:
    """A new empty file below `workspace`, in place of what was there; no symlink of the study's code is followed."""
    *folders, name = parts_of(path)
    fd = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            fd = _enter(fd, folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=fd)
        return os.open(name, _NEW, 0o644, dir_fd=fd)
    finally:
        os.close(fd)


def _enter(fd: int, folder: str) -> int:
    """Open `folder` below `fd`, made if need be, and close `fd`."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o755, dir_fd=fd)
    inner = os.open(folder, _FOLDER, dir_fd=fd)
    os.close(fd)
    return inner


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
        while start < end and (sent := os.sendfile(target, source, start, min(_BLOCK, end - start))):
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


def _pin(source: int, pins: Path, path: str) -> Path | None:
    """A name of our own for the file's present contents; None where there can be none.

    The original's own path is no way out: whatever is there when the job's process starts would be shown.
    """
    pins.mkdir(parents=True, exist_ok=True)
    pin = pins / hashlib.sha256(path.encode()).hexdigest()[:32]
    pin.unlink(missing_ok=True)
    try:
        link_open_file(source, pin)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return None
        raise
    return pin
