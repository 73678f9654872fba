"""Local folders for files on their way to S3: gone with their process, or swept when the next one starts."""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from carrel.units.locks import LockHeld, lock, locked

_LOCK = ".lock"


def scratch_folder(name: str) -> Path:
    """Make the folder of this name for this process, unless it has it."""
    folder = _of_process(os.getpid()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _of_process(pid: int) -> Path:
    """Locked as long as the process lives: whoever gets the lock may throw the folder away."""
    base = Path(tempfile.gettempdir()) / f"carrel-ingest-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        raise PermissionError(f"{base} is not this user's; remove it, or set TMPDIR to another place")
    base.chmod(0o700)
    _sweep(base)
    while True:
        mine = Path(tempfile.mkdtemp(prefix=f"{pid}-", dir=base))
        descriptor = lock(mine / _LOCK)  # open as long as this process lives
        if mine.exists():  # else swept before it was locked
            atexit.register(shutil.rmtree, mine, ignore_errors=True)
            return mine
        os.close(descriptor)


def _sweep(base: Path) -> None:
    """What killed processes left. A folder without a lock file is just being made."""
    for folder in base.iterdir():
        with suppress(OSError, LockHeld), locked(folder / _LOCK, timeout=0, create=False):
            shutil.rmtree(folder, ignore_errors=True)
