"""Small disks of their own, to be filled up, made read-only, or given room again. By root, or by sudo as in CI."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.docker import missing


def _run(*words: str) -> bool:
    before = [] if os.geteuid() == 0 else ["sudo", "-n"]
    try:
        return subprocess.run([*before, *words], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Disk:
    """What is mounted at `path`."""

    def __init__(self, path: Path):
        self.path = path

    def change(self, *options: str) -> None:
        """Mount it anew with these: `size=900k`, `ro`."""
        words = ["mount", "-o", ",".join(["remount", *options]), str(self.path)]
        assert _run(*words), f"{' '.join(words)} failed"


@contextmanager
def small_disk(path: Path, size: str, mode: str = "700") -> Iterator[Disk]:
    """A disk of `size` (as 600k) at `path`, for the time of the block. It is ours; `mode`: who else may use it."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode={mode},uid={os.getuid()},gid={os.getgid()}"
    if not _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)):
        missing("the right to mount a file system (root with CAP_SYS_ADMIN, or sudo)")
    try:
        yield Disk(path)
    finally:
        assert _run("umount", "--lazy", str(path))
