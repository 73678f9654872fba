"""Files written beside the visible ones, and the changes that will put them there.

Nothing that this module does can be seen below the roots, but for files beside targets on another file system.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from carrel.outputs.copies import copy_open_file, replace_by_link, sha256_of
from carrel.outputs.journal import FILE_MODE, FOLDER_MODE, FileChange, Journal
from carrel.units.files import fsync
from carrel.units.ignored import make_ignored

_SYNCERS = ThreadPoolExecutor(8, thread_name_prefix="fsync")
"""File systems with a journal commit many fsyncs at once for the price of one."""
_SYNCED_AT_ONCE = 64
"""Files of one publication that wait for the syncers at a time, so that those of others come in between."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A staged file. `size` in bytes, `mtime` in seconds since 1970, `sha256` in hexadecimal."""

    path: Path
    size: int
    mtime: float
    sha256: str


class Staging:
    """Files prepared for one publication. Each target lies below one of the journal's roots.

    `check` is called between blocks of long work; what it raises ends it.
    """

    def __init__(self, journal: Journal, check: Callable[[], None]) -> None:
        self.changes: list[FileChange] = []
        self._journal = journal
        self.check = check
        self._unsynced: list[Path] = []

    def new_file(self, target: Path) -> Path:
        """An empty staged file for `target`, to be written by the caller before the commit."""
        change = self._add_change(target, f"{len(self.changes):06d}")
        staged = self._journal.source(change)
        make_ignored(staged.parent, FOLDER_MODE)
        staged.touch(FILE_MODE)
        self._unsynced.append(staged)
        return staged

    def add_bytes(self, data: bytes, target: Path) -> None:
        """Stage a small file with these contents for `target`."""
        self.new_file(target).write_bytes(data)

    def add_file(self, source: int, target: Path, *, link: bool = False) -> StagedFile:
        """Stage the open file `source` for `target` and hash it: linked where allowed and possible, else copied.

        With `link` the staged file may be the very file that `source` is, so nobody may write to it any more.
        """
        staged = self.new_file(target)
        status = os.fstat(source)
        ours = os.geteuid() in (0, status.st_uid)
        if not (link and ours and replace_by_link(source, staged)):
            copy_open_file(source, staged, FILE_MODE, self.check)
        staged.chmod(FILE_MODE)
        return StagedFile(staged, status.st_size, status.st_mtime, sha256_of(staged, self.check))

    def add_copy(self, staged: Path, target: Path) -> None:
        """Stage a copy, sharing nothing, of a file that is staged already."""
        self._copy(staged, self.new_file(target))

    def add_link(self, staged: Path, target: Path) -> None:
        """Stage a file that is staged already for a second target."""
        second = self.new_file(target)
        self._unsynced.remove(second)
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            is_linked = replace_by_link(fd, second)
        finally:
            os.close(fd)
        if not is_linked:
            self._copy(staged, second)
            self._unsynced.append(second)

    def remove(self, target: Path) -> None:
        """Let `target` be removed, if it is there."""
        self._add_change(target, "")

    def _add_change(self, target: Path, staged: str) -> FileChange:
        roots = self._journal.roots
        root = next(number for number, root in enumerate(roots) if target.is_relative_to(root))
        path = str(target.relative_to(roots[root]))
        self.changes.append(FileChange(number=len(self.changes), root=root, path=path, staged=staged))
        return self.changes[-1]

    def copy_beside(self, change: FileChange) -> None:
        """Put the staged file of `change` beside its target, which is on another file system."""
        staged = self._journal.folder(change.root) / change.staged
        beside = self._journal.source(change)
        self._copy(staged, beside)
        if staged in self._unsynced:
            self._unsynced.remove(staged)
        self._unsynced.append(beside)

    def _copy(self, staged: Path, target: Path) -> None:
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            copy_open_file(fd, target, FILE_MODE, self.check)
        finally:
            os.close(fd)

    def sync(self) -> None:
        """Make what is staged so far durable: before a lock is taken, where there is much of it."""
        unsynced, self._unsynced = self._unsynced, []
        for start in range(0, len(unsynced), _SYNCED_AT_ONCE):
            self.check()
            list(_SYNCERS.map(fsync, unsynced[start : start + _SYNCED_AT_ONCE]))
