"""Make a set of files visible together, or none of them, whatever happens in between.

Everything is first staged (`add_...`); `commit` looks whether each change can be made, makes all durable, writes a
journal that lists the changes, and makes them. A restart that finds no journal throws the stage away; with one it
finishes the changes, and takes all of them back where one cannot be made (recovery). A full disk can only be met
before the journal, when nothing visible has changed yet. What a journal says is never a reason not to start.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from carrel.outputs.journal import FOLDER_MODE, FileChange, Journal
from carrel.outputs.recovery import settle, take_back
from carrel.outputs.staging import Staging
from carrel.outputs.targets import Targets, link_backup, without_needless
from carrel.telemetry.faults import point


class Publication(Staging):
    """Files that become visible together. Each target lies below one of `roots`.

    `name` is unique among publications that may be under way at once. Used again after a crash, it starts anew, once
    what was committed under it is finished. `check` is called between blocks of long work; what it raises ends it.
    `clear_empty`: all below the roots is ours, so that a folder without files, as a killed publication leaves it, gives
    way to a file.
    """

    def __init__(
        self,
        name: str,
        roots: Sequence[Path],
        check: Callable[[], None] = lambda: None,
        *,
        clear_empty: bool = False,
    ) -> None:
        super().__init__(Journal(name, list(roots)), check)
        self._targets = Targets(self._journal, clear_empty=clear_empty)
        self.settle()

    def settle(self) -> bool:
        """After a failure: finish it if it was committed, else throw it away. Returns whether it was committed."""
        return settle(self._journal.name, self._journal.roots)

    def commit(self) -> None:
        """Make everything visible, or nothing: whatever it raises, all is as it was.

        Raises PublishConflict when a target cannot be, StorageNotWritable when it may not be written, and OSError for
        the disk's own faults. What a kill leaves of it is finished by `recover`.
        """
        try:
            self.changes = without_needless(self.changes)
            self.changes = [change for change in self.changes if self._targets.prepare(change)]
            self.changes = self._bring_near()
            self._back_up()
            point("publish.staged")
            self.sync()
            point("publish.synced")
            self._write_and_apply()
        except Exception:
            self._targets.remove_new_folders()
            raise

    def _bring_near(self) -> list[FileChange]:
        """Try each folder; where it lies on another file system, put the staged files beside their targets."""
        short_name = hashlib.sha256(self._journal.name.encode()).hexdigest()[:12]
        is_near: dict[Path, bool] = {}
        far: list[FileChange] = []
        changes = []
        for change in self.changes:
            folder = self._journal.target(change).parent
            if folder not in is_near:
                self.check()
                is_near[folder] = self._targets.is_near(change)
            if not is_near[folder]:
                change = replace(change, beside=f".carrel-{short_name}-{change.number:06d}")
                far.append(change)
            changes.append(change)
        if far:
            self._journal.home.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            self._journal.write_beside(far)
        for change in far:
            if change.staged:
                with self._targets.in_words(self._journal.target(change)):
                    self.copy_beside(change)
        return changes

    def _back_up(self) -> None:
        """Give what is replaced or removed a second name, and note by which inode number each file will be known."""
        for index, change in enumerate(self.changes):
            target, backup = self._journal.target(change), self._journal.backup(change)
            with self._targets.in_words(target):
                status = os.lstat(self._journal.source(change) if change.staged else target)
                inode, swap = (status.st_dev, status.st_ino), not link_backup(target, backup)
            self.changes[index] = replace(change, inode=inode, swap=swap)

    def _write_and_apply(self) -> None:
        try:
            self._journal.write(self.changes)
            point("publish.committed")
            self._journal.apply(self.changes)
        except OSError as error:
            take_back(self._journal, self.changes, error)
            raise self._targets.refusal(error, error.filename2 or error.filename) from error

    def finish(self) -> None:
        """After `commit`: make the changes durable and forget the journal. `recover` does it too."""
        self._journal.finish(self.changes)
