"""Where a publication wants its files: what can be known of each place before the journal is written.

Whatever cannot be is told in words that name the place, as long as nothing visible has changed.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from carrel.jobs.outcomes import ErrorType
from carrel.outputs.errors import InfrastructureFault, UserError
from carrel.outputs.journal import FILE_MODE, FOLDER_MODE, FileChange, Journal, lstat

_PROBE = ".carrel-probe"
_NAME_ERRORS = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}
_NAME_ERRORS |= {errno.EILSEQ, errno.EINVAL}
_RIGHTS_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ETXTBSY, errno.EXDEV}
_FS_IOC_GETFLAGS = 0x80086601
_IMMUTABLE_OR_APPEND = 0x10 | 0x20
"""Flags of linux/fs.h: a file with one of them can be neither replaced nor removed, by nobody."""


class PublishConflict(UserError):
    """A target cannot be: its name is too long, a file stands where a folder must be, or a folder where the file must.

    The text names the target.
    """


class StorageNotWritable(InfrastructureFault):
    """Files cannot be put where they belong: no right to write there, or the file system does not allow it."""

    kind = ErrorType.STORAGE_NOT_WRITABLE


def without_needless(changes: Sequence[FileChange]) -> list[FileChange]:
    """The changes without removals of what is also written, and without a removal's second mention.

    Raises PublishConflict where two files have one name, or one has the name of another's folder.
    """
    targets = [(change.root, change.path) for change in changes if change.staged]
    written = set(targets)
    if len(written) < len(targets):
        raise PublishConflict("The outputs cannot be stored: two of them would have the same name")
    removals = {(c.root, c.path): c for c in changes if not c.staged and (c.root, c.path) not in written}
    for root, path in sorted(written):
        if folder := next((str(p) for p in Path(path).parents if (root, str(p)) in written), None):
            raise PublishConflict(f"{path} cannot be stored: {folder} is to be a file and a folder")
    return [c for c in changes if c.staged or removals.get((c.root, c.path)) is c]


class Targets:
    """The places that the changes of one publication are of.

    `clear_empty`: a folder without files gives way to a file.
    """

    def __init__(self, journal: Journal, *, clear_empty: bool) -> None:
        self._journal = journal
        self._clear_empty = clear_empty
        self._new_folders: list[Path] = []

    def prepare(self, change: FileChange) -> bool:
        """Make the target's folder and look whether the change can be made; False when there is nothing to do.

        Raises PublishConflict, StorageNotWritable, and OSError for the disk's own faults.
        """
        target = self._journal.target(change)
        with self.in_words(target):
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
            obstacle = "a symbolic link that leads nowhere" if leads_nowhere else "a file"
            raise PublishConflict(f"{self._shown(target)} cannot be stored: {obstacle} stands where its folder must be")
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

    def remove_new_folders(self) -> None:
        """Take back the folders that `prepare` made, those that nobody else has put anything in since."""
        for folder in reversed(self._new_folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._new_folders = []

    def is_near(self, change: FileChange) -> bool:
        """Whether staged files can be renamed into the target's folder: it is on the file system of the stage.

        Raises StorageNotWritable, or OSError, when nothing can be written there.
        """
        folder = self._journal.target(change).parent
        stage = self._journal.folder(change.root)
        staged_probe, target_probe = stage / _PROBE, folder / _PROBE
        with self.in_words(folder):
            stage.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            staged_probe.touch(FILE_MODE)
            try:
                staged_probe.replace(target_probe)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                target_probe.touch(FILE_MODE)
                target_probe.unlink()
                return False
            target_probe.unlink()
            return True

    @contextlib.contextmanager
    def in_words(self, target: Path) -> Iterator[None]:
        """Raise what `refusal` makes of an OSError that concerns this target."""
        try:
            yield
        except OSError as error:
            raise self.refusal(error, target) from error

    def refusal(self, error: OSError, target: object) -> Exception:
        """What is to be raised for a target that cannot be written: in words where there are any."""
        reason = (error.strerror or type(error).__name__).lower()
        if error.errno in _NAME_ERRORS:
            return PublishConflict(f"{self._shown(target)} cannot be stored: {reason}")
        if error.errno in _RIGHTS_ERRORS:
            return StorageNotWritable(f"{self._shown(target)} cannot be written: {reason}")
        return error

    def _shown(self, path: object) -> str:
        """A path as messages name it: below its root."""
        text = str(path)
        root = next((f"{root}/" for root in self._journal.roots if text.startswith(f"{root}/")), "")
        return text.removeprefix(root)


def _check_replaceable(target: Path, present: os.stat_result) -> None:
    """Raise the OSError of a file that may not be replaced although its folder can be written to."""
    folder = target.parent.stat()
    owners = {present.st_uid, folder.st_uid, 0}
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
        raise PermissionError(errno.EACCES, "it belongs to somebody else, in a folder where only owners may", target)


def link_backup(target: Path, backup: Path) -> bool:
    """Link what is at `target` as `backup`; False when that cannot be done, but a rename can. Nothing there: True."""
    try:
        os.link(target, backup, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except FileExistsError:
        backup.unlink()
        return link_backup(target, backup)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            raise
        _check_flags(target)
        return False
    return True


def _check_flags(target: Path) -> None:
    """Raise the OSError of a file that its flags keep as it is; where they cannot be read, nothing is said."""
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
