"""Put files into an attempt's folder so that nothing the job does can reach the originals."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from carrel.executors.base import WORKSPACE, Mount
from carrel.outputs.copies import clone, copy_contents, link_open_file
from carrel.units.beneath import open_beneath, parts_of

SMALL = 8 * 1024 * 1024
"""Files up to this size (bytes) are copied; larger ones are cloned or shown read-only."""
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
