"""What a serving process makes is its owner's alone, and what it finds is closed to everybody else."""

import os
import stat
import tempfile
from pathlib import Path

OTHERS = 0o007
EVERYBODYS = ("/", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (named so that they are left alone)


class TooOpen(Exception):
    """A folder or file that everybody may use cannot be closed; the message says which, and what to do."""


def close_to_others() -> None:
    """Let only the owner use what this process, and those it starts, will make. Each serving process begins so."""
    os.umask(0o077)


def make_private(folder: Path) -> None:
    """Make the folder where there is none, and take every right on it from those who are neither owner nor group.

    A group's rights stay: they are somebody's decision. Raises TooOpen where that cannot be, and for a folder that is
    everybody's by its nature (`/tmp`, and what looks like it); OSError where the folder cannot be made. A disk of our
    own that was mounted for us looks like it too, as file systems in memory are at first, and is closed.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    close(folder)


def close(path: Path) -> None:
    """Take the same rights on a file or folder that is there; one that is not is passed over."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    mode = status.st_mode
    if not mode & OTHERS:
        return
    mounted_for_us = path.is_mount() and status.st_uid == os.geteuid()
    sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
    if str(path.resolve()) in (*EVERYBODYS, tempfile.gettempdir()) or (sticky and not mounted_for_us):
        raise TooOpen(f"{path} is everybody's: name a folder of its own instead.")
    try:
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)
    except PermissionError:
        raise TooOpen(
            f"{path} is open to everybody and belongs to another user. Close it (`chmod o-rwx`), or name another."
        ) from None
