"""What a serving process makes is its owner's alone, and what it finds is closed to everybody else."""

import os
import stat
from pathlib import Path

OTHERS = 0o007


class TooOpen(Exception):
    """A folder or file that everybody may use cannot be closed; the message says which, and what to do."""


def close_to_others() -> None:
    """Let only the owner use what this process, and those it starts, will make. Each serving process begins so."""
    os.umask(0o077)


def make_private(folder: Path) -> None:
    """Make the folder where there is none, and take every right on it from those who are neither owner nor group.

    A group's rights stay: they are somebody's decision. Raises TooOpen where that cannot be, and for a folder that is
    everybody's by its nature (`/tmp`); OSError where the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    close(folder)


def close(path: Path) -> None:
    """The same for a file or folder that is there; one that is not is passed over."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not mode & OTHERS:
        return
    if (stat.S_ISDIR(mode) and mode & stat.S_ISVTX) or path.resolve() == Path("/"):
        raise TooOpen(f"{path} is everybody's: name a folder of its own instead.")
    try:
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)
    except PermissionError:
        raise TooOpen(
            f"{path} is open to everybody and belongs to another user. Close it (`chmod o-rwx`), or name another."
        ) from None
