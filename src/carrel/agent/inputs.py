"""Put files into an attempt's folder so that nothing the job does can reach the originals."""

from collections.abc import Callable, Iterable
from pathlib import Path

from carrel.agent.executors.base import Mount

SMALL = 8 * 1024 * 1024
"""Files up to this size (bytes) are copied; larger ones are cloned or shown read-only."""


def place_file(source_root: Path, path: str, workspace: Path, pins: Path | None = None) -> Mount | None:
    """Put `source_root/path` at `workspace/path`: a clone where the file system can, else a copy when it is small.

    A large file that cannot be cloned is not copied: the Mount to show it read-only at /workspace/<path> is returned,
    of a hard link kept in the folder `pins` (a replaced original does not change under the job). With `pins` None it
    is copied. Raises FileNotFoundError when there is no such regular file, OSError otherwise.
    """
    raise NotImplementedError


def copy_tree(source_root: Path, workspace: Path, leave_out: Callable[[str], bool]) -> list[str]:
    """Copy regular files below `source_root` (a researcher's own folder) but those `leave_out(path)` names.

    Symlinks are followed only when they end inside `source_root`. Returns the paths left out for being links outside.
    """
    raise NotImplementedError


def place_outputs(source_root: Path, paths: Iterable[str], workspace: Path, pins: Path | None = None) -> list[Mount]:
    """`place_file` for several; the mounts of those not copied."""
    return [mount for path in paths if (mount := place_file(source_root, path, workspace, pins))]
