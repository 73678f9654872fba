"""Make a set of files visible together, or none of them, whatever happens in between.

Everything is first written to a stage (`add_...`); `commit` looks whether each change can be made, makes all durable,
writes a journal that lists the changes, and makes them. A restart that finds no journal throws the stage away; with one
it finishes the changes, and takes all of them back where one cannot be made. A full disk can only be met before the
journal, when nothing visible has changed yet. What a journal says is never a reason not to start.
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from carrel.jobs.outcomes import ErrorType
from carrel.outputs.errors import InfrastructureFault, UserError
from carrel.outputs.inputs import clone, copy_contents, link_open_file
from carrel.outputs.journal import (
    ASIDE,
    FOLDER_MODE,
    JOURNAL,
    STAGING,
    FileChange,
    Journal,
    JournalDamaged,
    fsync,
    lstat,
)
from carrel.telemetry.faults import point
from carrel.units.ignored import make_ignored

__all__ = [
    "JOURNAL",
    "STAGING",
    "Publication",
    "PublishConflict",
    "StagedFile",
    "StorageNotWritable",
    "recover",
    "settle",
]

logger = logging.getLogger(__name__)
FILE_MODE = 0o640
BLOCK = 1024 * 1024
_SYNCERS = ThreadPoolExecutor(8, thread_name_prefix="fsync")
"""File systems with a journal commit many fsyncs at once for the price of one."""
_SYNCED_AT_ONCE = 64
"""Files of one publication that wait for the syncers at a time, so that those of others come in between."""
_PROBE = ".carrel-probe"
_NAME_ERRORS = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}
_NAME_ERRORS |= {errno.EILSEQ, errno.EINVAL}
_RIGHTS_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ETXTBSY, errno.EXDEV}
_FS_IOC_GETFLAGS = 0x80086601
_IMMUTABLE_OR_APPEND = 0x10 | 0x20
"""Of linux/fs.h: a file with one of these flags can be neither replaced nor removed, by nobody."""


class PublishConflict(UserError):
    """A target cannot be: its name is too long, a file stands where a folder must be, or a folder where the file must.

    The text names the target.
    """


class StorageNotWritable(InfrastructureFault):
    """Files cannot be put where they belong: no right to write there, or the file system does not allow it."""

    kind = ErrorType.STORAGE_NOT_WRITABLE


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A staged file. `size` in bytes, `mtime` in seconds since 1970, `sha256` in hexadecimal."""

    path: Path
    size: int
    mtime: float
    sha256: str


class Publication:
    """Files prepared for one publication. Each target lies below one of `roots`.

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
        self.name = name
        self.roots = list(roots)
        self._check = check
        self._clear_empty = clear_empty
        self._publication = Journal(name, self.roots)
        self._changes: list[FileChange] = []
        self._unsynced: list[Path] = []
        self._new_folders: list[Path] = []
        settle(name, self.roots)

    def new_file(self, target: Path) -> Path:
        """An empty staged file for `target`, to be written by the caller before `commit`."""
        change = self._add(target, f"{len(self._changes):06d}")
        staged = self._publication.source(change)
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
        found = os.fstat(source)
        ours = os.geteuid() in (0, found.st_uid)
        if not (link and ours and _link(source, staged)):
            _copy(source, staged, self._check)
        staged.chmod(FILE_MODE)
        return StagedFile(staged, found.st_size, found.st_mtime, sha256_of(staged, self._check))

    def add_copy(self, staged: Path, target: Path) -> None:
        """Stage a copy, sharing nothing, of a file that is staged already."""
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _copy(fd, self.new_file(target), self._check)
        finally:
            os.close(fd)

    def add_link(self, staged: Path, target: Path) -> None:
        """Stage a file that is staged already for a second target."""
        copy = self.new_file(target)
        self._unsynced.remove(copy)
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _link(fd, copy):
                _copy(fd, copy, self._check)
                self._unsynced.append(copy)
        finally:
            os.close(fd)

    def remove(self, target: Path) -> None:
        """`target` is to be gone, if it is there."""
        self._add(target, "")

    def _add(self, target: Path, staged: str) -> FileChange:
        root = next(number for number, root in enumerate(self.roots) if target.is_relative_to(root))
        path = str(target.relative_to(self.roots[root]))
        self._changes.append(FileChange(number=len(self._changes), root=root, path=path, staged=staged))
        return self._changes[-1]

    def settle(self) -> bool:
        """After a failure: finish it if it was committed, else throw it away. Returns whether it was committed."""
        return settle(self.name, self.roots)

    def sync(self) -> None:
        """Make what is staged so far durable: before a lock is taken, where there is much of it."""
        unsynced, self._unsynced = self._unsynced, []
        for start in range(0, len(unsynced), _SYNCED_AT_ONCE):
            self._check()
            list(_SYNCERS.map(fsync, unsynced[start : start + _SYNCED_AT_ONCE]))

    def commit(self) -> None:
        """Make everything visible, or nothing: whatever it raises, all is as it was.

        Raises PublishConflict when a target cannot be, StorageNotWritable when it may not be written, and OSError for
        the disk's own faults. What a kill leaves of it is finished by `recover`.
        """
        try:
            self._check_targets()
            self._changes = [change for change in self._changes if self._prepare(change)]
            self._changes = self._bring_near()
            self._keep_replaced()
            point("publish.staged")
            self.sync()
            point("publish.synced")
            self._write_and_apply()
        except Exception:
            self._drop_new_folders()
            raise

    def _write_and_apply(self) -> None:
        try:
            self._publication.write(self._changes)
            point("publish.committed")
            self._publication.apply(self._changes)
        except OSError as error:
            _take_back(self._publication, self._changes, error)
            raise _refusal(error, self._shown(error.filename2 or error.filename)) from error

    def finish(self) -> None:
        """After `commit`: make the changes durable and forget the journal. `recover` does it too."""
        self._publication.finish(self._changes)

    # What can be known before the journal is written

    def _check_targets(self) -> None:
        """No two files of one name, none of the name of another's folder, and nothing both made and removed."""
        targets = [(change.root, change.path) for change in self._changes if change.staged]
        made = set(targets)
        if len(made) < len(targets):
            raise PublishConflict("The outputs cannot be stored: two of them would have the same name")
        removals = {(c.root, c.path): c for c in self._changes if not c.staged and (c.root, c.path) not in made}
        self._changes = [c for c in self._changes if c.staged or removals.get((c.root, c.path)) is c]
        for root, path in sorted(made):
            if folder := next((str(p) for p in Path(path).parents if (root, str(p)) in made), None):
                raise PublishConflict(f"{path} cannot be stored: {folder} is to be a file and a folder")

    def _prepare(self, change: FileChange) -> bool:
        """Make the target's folder and look whether the change can be made; False when there is nothing to do."""
        target = self._publication.target(change)
        with self._in_words(target):
            if not change.staged:
                present = lstat(target)
                if present is None or stat.S_ISDIR(present.st_mode):
                    return False  # what cannot be there is gone
                _check_replaceable(target, present)
                return True
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.lstat(target)  # a path that is too long, before any folder is made for it
            self._make_folder(target)
            try:
                present = os.lstat(target)
            except FileNotFoundError:
                return True
            if stat.S_ISDIR(present.st_mode):
                self._remove_empty(target)
            else:
                _check_replaceable(target, present)
            return True

    def _make_folder(self, target: Path) -> None:
        missing = []
        folder = target.parent
        while lstat(folder) is None:
            missing.append(folder)
            folder = folder.parent
        if not folder.is_dir():
            leads_nowhere = folder.is_symlink() and not folder.exists()
            there = "a symbolic link that leads nowhere" if leads_nowhere else "a file"
            raise PublishConflict(f"{self._shown(target)} cannot be stored: {there} stands where its folder must be")
        for new in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another publication's
                new.mkdir(FOLDER_MODE)
                self._new_folders.append(new)

    def _remove_empty(self, target: Path) -> None:
        try:
            if not self._clear_empty:
                raise IsADirectoryError
            for folder, _, _ in os.walk(target, topdown=False):
                Path(folder).rmdir()
        except OSError:
            raise PublishConflict(f"{self._shown(target)} cannot be stored: a folder of that name is there") from None

    def _bring_near(self) -> list[FileChange]:
        """Try each folder; where it lies on another file system, put the staged files beside their targets."""
        near: dict[Path, bool] = {}
        far: list[FileChange] = []
        changes = []
        for change in self._changes:
            target = self._publication.target(change)
            if target.parent not in near:
                self._check()
                with self._in_words(target.parent):
                    near[target.parent] = self._is_near(change, target.parent)
            if not near[target.parent]:
                change = replace(change, beside=f".carrel-{_short(self.name)}-{change.number:06d}")
                far.append(change)
            changes.append(change)
        if far:
            self._publication.home.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            self._publication.write_beside(far)
        for change in far:
            if change.staged:
                with self._in_words(self._publication.target(change)):
                    self._copy_beside(change)
        return changes

    def _is_near(self, change: FileChange, folder: Path) -> bool:
        """Whether staged files can be renamed into `folder`; raises OSError when nothing can be written there."""
        stage = self._publication.folder(change.root)
        stage.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        here, there = stage / _PROBE, folder / _PROBE
        here.touch(FILE_MODE)
        try:
            here.replace(there)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            there.touch(FILE_MODE)
            there.unlink()
            return False
        there.unlink()
        return True

    def _copy_beside(self, change: FileChange) -> None:
        staged = self._publication.folder(change.root) / change.staged
        beside = self._publication.source(change)
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _copy(fd, beside, self._check)
        finally:
            os.close(fd)
        if staged in self._unsynced:
            self._unsynced.remove(staged)
        self._unsynced.append(beside)

    def _keep_replaced(self) -> None:
        """Give what is replaced or removed a second name, and note by which inode number each file will be known."""
        for index, change in enumerate(self._changes):
            target, backup = self._publication.target(change), self._publication.backup(change)
            with self._in_words(target):
                inode = _inode(os.lstat(self._publication.source(change) if change.staged else target))
                self._changes[index] = replace(change, inode=inode, swap=not _keep(target, backup))

    @contextlib.contextmanager
    def _in_words(self, target: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _refusal(error, self._shown(target)) from error

    def _shown(self, path: object) -> str:
        """A path as messages name it: below its root."""
        text = str(path)
        root = next((f"{root}/" for root in self.roots if text.startswith(f"{root}/")), "")
        return text.removeprefix(root)

    def _drop_new_folders(self) -> None:
        for folder in reversed(self._new_folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._new_folders = []


def _inode(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _check_replaceable(target: Path, present: os.stat_result) -> None:
    """Raise the OSError of a file that may not be replaced although its folder can be written to."""
    folder = target.parent.stat()
    owners = {present.st_uid, folder.st_uid, 0}
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
        raise PermissionError(errno.EACCES, "it belongs to somebody else, in a folder where only owners may", target)


def _keep(target: Path, backup: Path) -> bool:
    """Link what is at `target` as `backup`; False when that cannot be done, but a rename can. Nothing there: True."""
    try:
        os.link(target, backup, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except FileExistsError:
        backup.unlink()
        return _keep(target, backup)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            raise
        _check_flags(target)
        return False
    return True


def _check_flags(target: Path) -> None:
    try:
        fd = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        flags = struct.unpack("l", fcntl.ioctl(fd, _FS_IOC_GETFLAGS, struct.pack("l", 0)))[0]
    except OSError:
        return
    finally:
        os.close(fd)
    if flags & _IMMUTABLE_OR_APPEND:
        raise PermissionError(errno.EPERM, "it is marked as one that never changes", target)


def _refusal(error: OSError, shown: str) -> Exception:
    """What is to be raised for a target that cannot be written: in words where there are any."""
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno in _NAME_ERRORS:
        return PublishConflict(f"{shown} cannot be stored: {reason}")
    if error.errno in _RIGHTS_ERRORS:
        return StorageNotWritable(f"{shown} cannot be written: {reason}")
    return error


def _link(source: int, target: Path) -> bool:
    """Replace `target` by a hard link to the open file; False where that cannot be."""
    target.unlink(missing_ok=True)
    try:
        link_open_file(source, target)
    except OSError:
        return False
    return True


def _copy(source: int, target: Path, check: Callable[[], None]) -> None:
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        if not clone(source, fd):
            copy_contents(source, fd, check)
    finally:
        os.close(fd)


def sha256_of(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """Hexadecimal SHA-256 of a file's contents, read in blocks; `check` is called between them."""
    digest = hashlib.sha256()
    block = bytearray(BLOCK)
    view = memoryview(block)
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(block):
            digest.update(view[:size])
            check()
    return digest.hexdigest()


# Settling what was left


def settle(name: str, roots: Sequence[Path]) -> bool:
    """Finish one publication if it was committed, else throw it away; whether its changes are made now.

    Never raises for what is in a journal, or for what cannot be done about it: then all is taken back, and where not
    even that can be done, the stage is set aside for a person to look at.
    """
    publication = Journal(name, roots)
    try:
        journal = publication.read()
    except JournalDamaged as damage:
        _set_aside(publication, f"its journal is damaged ({damage})")
        return False
    if journal is None:
        publication.discard()
        return False
    _, changes, undoing = journal
    return _finish_or_undo(publication, changes, undoing)


def _finish_or_undo(publication: Journal, changes: list[FileChange], undoing: bool) -> bool:
    complete = publication.is_complete()
    if not undoing:
        try:
            publication.apply(changes)
            publication.finish(changes)
            return True
        except OSError as error:
            if complete:  # others may have built on it since
                _set_aside(publication, f"it was published, and not all of it is on disk ({error})")
                return True
            logger.error("%s: its publication cannot be finished, and is taken back: %s", publication.name, error)
    try:
        publication.undo(changes)
        publication.discard()
    except OSError as error:
        _set_aside(publication, f"it can neither be finished nor taken back ({error})")
    return False


def _take_back(publication: Journal, changes: list[FileChange], cause: OSError) -> None:
    """After a change that could not be made. What cannot be taken back now is tried again at the next start."""
    logger.error("%s: could not be published, and is taken back: %s", publication.name, cause)
    try:
        publication.undo(changes)
    except OSError as error:
        logger.error("%s: cannot be taken back now: %s", publication.name, error)
        return
    publication.discard()


def _set_aside(publication: Journal, why: str) -> None:
    moved = publication.set_aside()
    logger.error("%s: %s; its stage is kept in %s", publication.name, why, moved or publication.home)


def recover(roots: Sequence[Path]) -> list[str]:
    """Finish, take back or throw away what killed processes left below `roots`; the names of those finished.

    To be called while nobody publishes: in the order of their commits, so that the last one wins again. Never raises
    for what it finds: one bad publication is that one's fault.
    """
    names = sorted({folder.name for root in roots for folder in stage_folders(root)})
    finished = []
    for name in sorted(names, key=lambda name: _committed_at(name, roots)):
        try:
            if settle(name, roots):
                finished.append(name)
        except Exception:
            logger.exception("%s: what was left of its publication cannot be looked at", name)
    return finished


def _committed_at(name: str, roots: Sequence[Path]) -> int:
    """Nanoseconds since 1970; 0 where there is no journal that says it."""
    with contextlib.suppress(JournalDamaged, OSError):
        journal = Journal(name, roots).read()
        return journal[0] if journal else 0
    return 0


def stage_folders(root: Path) -> list[Path]:
    """The stages below `root`; what is no folder, or was set aside, is none."""
    try:
        with os.scandir(root / STAGING) as entries:
            return [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except OSError:
        return []


def set_aside_folders(root: Path) -> list[Path]:
    """Stages that could neither be finished nor taken back."""
    return [path for path in (root / STAGING).glob(f"{ASIDE}*") if path.is_dir()]
