"""The journal of one publication: what it changes, on disk, so that a restart can finish it or take it back.

    STAGING/<name>/journal.json   committed: to be finished. Written last, once all that it names is durable
    STAGING/<name>/undo.json      the same journal, renamed: it could not be finished, and is being taken back
    STAGING/<name>/pending        until every change was made; without it, what is missing was changed by others since
    STAGING/<name>/beside.json    files that stand beside their targets, because those are on another file system
    STAGING/<name>/000012         a staged file, `old-000012` what it replaces

The changes are renames and can be repeated. Inode numbers tell what this publication put somewhere from what a later
one did, so that neither finishing nor undoing it late ever touches the work of others. Nothing here trusts a journal:
whatever is in it, reading it raises `JournalDamaged` and nothing else.
"""

import contextlib
import errno
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carrel.telemetry.faults import point
from carrel.units.files import fsync, write_atomically
from carrel.units.limits import MAX_JOURNAL_BYTES

logger = logging.getLogger(__name__)
STAGING = ".staging"
JOURNAL, UNDO, PENDING, BESIDE = "journal.json", "undo.json", "pending", "beside.json"
ASIDE = ".aside-"
FOLDER_MODE, FILE_MODE = 0o750, 0o640
Inode = tuple[int, int]
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}


class JournalDamaged(Exception):
    """A journal that says nothing one could do; the text is for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One change: a staged file goes to `path` below root number `root`, or, `staged` being empty, the file there goes.

    `number` is its place in the journal; `inode` of the staged file, or of the file that goes (None in journals of old
    versions). `beside`: the staged file has this name beside its target. `swap`: what it replaces could not be linked,
    and is moved out of the way first.
    """

    number: int
    root: int
    path: str
    staged: str = ""
    beside: str = ""
    inode: Inode | None = None
    swap: bool = False

    def as_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"root": self.root}
        fields |= {"move": self.staged, "to": self.path} if self.staged else {"remove": self.path}
        fields |= {"beside": self.beside} if self.beside else {}
        fields |= {"swap": True} if self.swap else {}
        return fields | ({"inode": list(self.inode)} if self.inode else {})


def change_of(number: int, record: object, roots: int) -> FileChange:
    """Read one entry of a journal of `roots` roots; raises JournalDamaged."""
    if not isinstance(record, dict):
        raise JournalDamaged("an entry is no object")
    root, staged, beside = record.get("root"), record.get("move", ""), record.get("beside", "")
    path = record.get("to") if staged else record.get("remove")
    if isinstance(root, bool) or not isinstance(root, int) or not 0 <= root < roots:
        raise JournalDamaged("an entry is below no root that is known")
    is_path = isinstance(path, str) and all(map(_is_name, path.split("/")))
    if not (_is_name(staged) or staged == "") or not (_is_name(beside) or beside == "") or not is_path:
        raise JournalDamaged("an entry names no file")
    inode = record.get("inode")
    pair = isinstance(inode, list) and len(inode) == 2 and all(isinstance(part, int) for part in inode)
    if inode is not None and not pair:
        raise JournalDamaged("an entry has no inode number where one should be")
    return FileChange(
        number=number,
        root=root,
        path=str(path),
        staged=staged,
        beside=beside,
        inode=(inode[0], inode[1]) if inode else None,
        swap=record.get("swap") is True,
    )


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or value in ("", ".", "..") or {"/", "\0"} & set(value):
        return False
    try:
        return bool(value.encode())
    except UnicodeEncodeError:
        return False


def inode_of(path: Path) -> Inode | None:
    """Device and inode number of what is at `path`, no symlink followed; None when nothing can be there."""
    status = lstat(path)
    return (status.st_dev, status.st_ino) if status else None


def lstat(path: Path) -> os.stat_result | None:
    """What is at `path`; None when there is nothing, or can be nothing. Raises OSError when nobody can tell."""
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


@dataclass(frozen=True, slots=True)
class CommittedChanges:
    """What a journal says. `committed_ns` since 1970; `is_undoing`: they could not be finished, and are taken back."""

    committed_ns: int
    changes: list[FileChange]
    is_undoing: bool


@dataclass(frozen=True, slots=True)
class Journal:
    """One publication on disk. `roots`: the folders below which its targets lie; the first holds the journal."""

    name: str
    roots: Sequence[Path]

    @property
    def home(self) -> Path:
        return self.folder(0)

    def folder(self, root: int) -> Path:
        """Where files for targets below this root are staged."""
        return self.roots[root] / STAGING / self.name

    def target(self, change: FileChange) -> Path:
        return self.roots[change.root] / change.path

    def source(self, change: FileChange) -> Path:
        if change.beside:
            return self.target(change).with_name(change.beside)
        return self.folder(change.root) / change.staged

    def backup(self, change: FileChange) -> Path:
        """Where what `change` replaces or removes is kept until all is durable."""
        if change.beside:
            return self.target(change).with_name(f"{change.beside}.old")
        return self.folder(change.root) / f"old-{change.number:06d}"

    # Writing and reading

    def write(self, changes: Iterable[FileChange]) -> None:
        """The commit: from here on a restart finishes the changes."""
        self.home.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        record = {"committed_ns": time.time_ns(), "operations": [change.as_json() for change in changes]}
        data = json.dumps(record, ensure_ascii=False).encode()
        if len(data) > MAX_JOURNAL_BYTES:
            raise OSError(errno.EFBIG, "too much to publish at once", str(self.home))
        (self.home / PENDING).touch()
        write_atomically(self.home / JOURNAL, data, synced="folder")

    def write_beside(self, changes: Iterable[FileChange]) -> None:
        """Note the names that are about to be used beside targets, so that a restart finds and removes the files."""
        notes = [change.as_json() for change in changes]
        write_atomically(self.home / BESIDE, json.dumps(notes).encode(), synced="folder")

    def read(self) -> CommittedChanges | None:
        """What was committed; None where there is no journal. Raises JournalDamaged, whatever is wrong with it."""
        for name in (JOURNAL, UNDO):
            record = _read_json(self.home / name)
            if record is None:
                continue
            if not isinstance(record, dict) or not isinstance(record.get("operations"), list):
                raise JournalDamaged("it holds no list of operations")
            moment = record.get("committed_ns")
            if isinstance(moment, bool) or not isinstance(moment, int):
                raise JournalDamaged("it does not say when it was committed")
            changes = [change_of(*entry, len(self.roots)) for entry in enumerate(record["operations"])]
            return CommittedChanges(moment, changes, is_undoing=name == UNDO)
        return None

    # Doing and undoing

    def apply(self, changes: Iterable[FileChange]) -> None:
        """Make the changes; those made already are passed over. Raises OSError at the first that cannot be."""
        complete = self.is_complete()
        for change in changes:
            if change.staged:
                self._move(change, complete)
            else:
                self._remove(change)
            point("publish.moved")
        (self.home / PENDING).unlink(missing_ok=True)

    def is_complete(self) -> bool:
        """Whether every change of its journal was made once; where nobody can tell, it was not."""
        try:
            return lstat(self.home / PENDING) is None
        except OSError:
            return False

    def _move(self, change: FileChange, complete: bool) -> None:
        source, target = self.source(change), self.target(change)
        if lstat(source) is None:
            is_moved = change.inode is None or inode_of(target) == change.inode
            if not (complete or is_moved):
                raise FileNotFoundError(errno.ENOENT, "the staged file is gone", str(source))
            return
        if change.swap and lstat(target) is not None:
            target.replace(self.backup(change))
        source.replace(target)

    def _remove(self, change: FileChange) -> None:
        target, backup = self.target(change), self.backup(change)
        present = lstat(target)
        if present is None or stat.S_ISDIR(present.st_mode):
            return
        if change.inode not in (None, (present.st_dev, present.st_ino)):
            return
        if lstat(backup) is not None or change.inode is None:
            target.unlink()
        else:
            target.replace(backup)

    def undo(self, changes: Sequence[FileChange]) -> None:
        """Put everything back as it was before the commit; can be repeated. Raises OSError when it cannot be."""
        with contextlib.suppress(FileNotFoundError):
            (self.home / JOURNAL).replace(self.home / UNDO)
        point("publish.undoing")
        for change in reversed(changes):
            target, backup = self.target(change), self.backup(change)
            present = inode_of(target)
            if present is None:
                if lstat(backup) is not None:
                    backup.replace(target)
            elif change.staged and change.inode == present:
                if lstat(backup) is not None:
                    backup.replace(target)
                else:
                    target.unlink()
            point("publish.undone")

    # Ending

    def finish(self, changes: Iterable[FileChange]) -> None:
        """Make the changes durable and forget the journal. On a disk that cannot, the journal stays for a restart."""
        for folder in sorted({self.target(change).parent for change in changes}):
            try:
                fsync(folder)
            except OSError as error:
                if error.errno not in _NOT_THERE | {errno.EACCES}:
                    logger.error("%s: %s cannot be made durable: %s", self.name, folder, error.strerror)
                    return
        point("publish.durable")
        self.discard()

    def discard(self) -> None:
        """Throw the stage away, its journal first. What cannot be removed stays, and is tried again at a restart."""
        for name in (JOURNAL, UNDO):
            with contextlib.suppress(OSError):
                (self.home / name).unlink()
        for path in self._files_beside():
            with contextlib.suppress(OSError):
                path.unlink()
        for root in range(len(self.roots)):
            shutil.rmtree(self.folder(root), ignore_errors=True)

    def _files_beside(self) -> list[Path]:
        try:
            notes = _read_json(self.home / BESIDE)
            changes = [change_of(*entry, len(self.roots)) for entry in enumerate(notes or [])]
        except (JournalDamaged, TypeError):
            return []
        return [path for change in changes for path in (self.source(change), self.backup(change)) if change.beside]

    def set_aside(self) -> Path | None:
        """Keep the stage for a person to look at, where no restart finds it; where it is now, None if it stayed."""
        name = f"{ASIDE}{self.name}-{time.time_ns()}"
        moved = None
        for root in range(len(self.roots)):
            folder = self.folder(root)
            with contextlib.suppress(OSError):
                moved = folder.rename(folder.with_name(name))
        return moved


def _read_json(path: Path) -> Any:
    """The contents of a file of ours; None when there is none. Raises JournalDamaged."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise JournalDamaged("it is no file")
            data = stream.read(MAX_JOURNAL_BYTES + 1)
        if len(data) > MAX_JOURNAL_BYTES:
            raise JournalDamaged("it is too large")
        value = json.loads(data)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JournalDamaged(f"it cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise JournalDamaged("it is no JSON") from None
    if value is None:
        raise JournalDamaged("it holds nothing")
    return value
