"""Local folders for files on their way to S3: gone with their process, or swept when the next one starts."""

import atexit
import fcntl
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

_LOCK = ".lock"


def scratch_folder(name: str) -> Path:
    """An existing folder of this process."""
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
        lock = os.open(mine / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)  # open as long as this process lives
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mine.exists():  # else swept before it was locked
            atexit.register(shutil.rmtree, mine, ignore_errors=True)
            return mine
        os.close(lock)


def _sweep(base: Path) -> None:
    """What killed processes left. A folder without a lock file is just being made."""
    for folder in base.iterdir():
        try:
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
