"""Make a set of files visible together, or none of them, whatever happens in between.

Everything is first written beside its destination (`add_...`) and fsynced; then a journal that lists every move is
written (`commit`); then the moves are made. A restart that finds no journal throws the stage away; with one it
finishes the moves. A full disk can only be met before the journal, when nothing visible has changed yet.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from carrel.agent.errors import UserError
from carrel.agent.inputs import clone, copy_contents, link_open_file
from carrel.telemetry.faults import point

STAGING = ".staging"
JOURNAL = "journal.json"
FILE_MODE = 0o640
_SYNCERS = ThreadPoolExecutor(8, thread_name_prefix="fsync")
"""File systems with a journal commit many fsyncs at once for the price of one."""


class PublishConflict(UserError):
    """A target cannot be written: a file stands where a folder must be, or a folder where the file must be."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A staged file. `size` in bytes, `mtime` in seconds since 1970, `sha256` in hexadecimal."""

    path: Path
    size: int
    mtime: float
    sha256: str


class Stage:
    """Files prepared for one publication. Each target lies below one of `roots`, and is staged on its file system.

    `name` is unique among publications that may be under way at once. Used again after a crash, it starts anew, once
    what was committed under it is finished.
    """

    def __init__(self, name: str, roots: Sequence[Path]) -> None:
        self.name = name
        self.roots = list(roots)
        self._operations: list[dict[str, object]] = []
        self._unsynced: list[Path] = []
        settle(name, self.roots)

    def new_file(self, target: Path) -> Path:
        """An empty staged file for `target`, to be written by the caller before `commit`."""
        root = self._root_of(target)
        folder = self.roots[root] / STAGING / self.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        staged = folder / f"{len(self._operations):06d}"
        staged.touch(FILE_MODE)
        self._unsynced.append(staged)
        self._operations.append({"root": root, "move": staged.name, "to": str(target.relative_to(self.roots[root]))})
        return staged

    def add_bytes(self, data: bytes, target: Path) -> None:
        """Stage a small file with these contents for `target`."""
        self.new_file(target).write_bytes(data)

    def add_file(self, source: int, target: Path, *, link: bool = False) -> Staged:
        """Stage the open file `source` for `target` and hash it: linked where allowed and possible, else copied.

        With `link` the staged file may be the very file that `source` is, so nobody may write to it any more.
        """
        staged = self.new_file(target)
        if not (link and _link(source, staged)):
            _copy(source, staged)
        staged.chmod(FILE_MODE)
        found = os.fstat(source)
        return Staged(staged, found.st_size, found.st_mtime, sha256_of(staged))

    def add_copy(self, staged: Path, target: Path) -> None:
        """Stage a copy, sharing nothing, of a file that is staged already."""
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _copy(fd, self.new_file(target))
        finally:
            os.close(fd)

    def settle(self) -> bool:
        """After a failure: finish it if it was committed, else throw it away. Returns whether it was committed."""
        return settle(self.name, self.roots)

    def add_link(self, staged: Path, target: Path) -> None:
        """Stage a file that is staged already for a second target."""
        copy = self.new_file(target)
        self._unsynced.remove(copy)
        fd = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _link(fd, copy):
                _copy(fd, copy)
                self._unsynced.append(copy)
        finally:
            os.close(fd)

    def remove(self, target: Path) -> None:
        """`target` is to be gone, if it is there."""
        root = self._root_of(target)
        self._operations.append({"root": root, "remove": str(target.relative_to(self.roots[root]))})

    def _root_of(self, target: Path) -> int:
        return next(number for number, root in enumerate(self.roots) if target.is_relative_to(root))

    def commit(self) -> None:
        """Make everything visible. Raises before anything visible has changed, or not at all but for a broken disk.

        PublishConflict when a target cannot be. What a kill leaves of it is finished by `recover`.
        """
        for operation in self._operations:
            self._make_room(operation)
        point("publish.staged")
        list(_SYNCERS.map(_fsync, self._unsynced))
        point("publish.synced")
        write_journal(self.name, self.roots[0], self._operations)
        point("publish.committed")
        apply(self.name, self.roots, self._operations)

    def _make_room(self, operation: dict[str, object]) -> None:
        if "move" not in operation:
            return
        target = self.roots[_int(operation["root"])] / str(operation["to"])
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        except (FileExistsError, NotADirectoryError):
            raise PublishConflict(f"{target.name} cannot be stored: a file stands where its folder must be") from None
        if target.is_dir() and not target.is_symlink():
            raise PublishConflict(f"{target.name} cannot be stored: a folder of that name is there")

    def finish(self) -> None:
        """After `commit`: make the moves durable and forget the journal. `recover` does it too."""
        finish(self.name, self.roots, self._operations)


def _int(value: object) -> int:
    return int(str(value))


def _link(source: int, target: Path) -> bool:
    """Replace `target` by a hard link to the open file; False where that cannot be."""
    target.unlink(missing_ok=True)
    try:
        link_open_file(source, target)
    except OSError:
        return False
    return True


def _copy(source: int, target: Path) -> None:
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        if not clone(source, fd):
            copy_contents(source, fd)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's contents."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` as a whole, durably: a reader, or a restart, sees the old contents or the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    _fsync(path.parent)


def write_journal(name: str, root: Path, operations: list[dict[str, object]]) -> None:
    """The commit: from here on a restart finishes the moves."""
    folder = root / STAGING / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    record = {"committed_ns": time.time_ns(), "operations": operations}
    write_atomically(folder / JOURNAL, json.dumps(record).encode())


def apply(name: str, roots: Sequence[Path], operations: list[dict[str, object]]) -> None:
    """Make the moves of a journal; those made already are passed over, so that it can be repeated."""
    for operation in operations:
        root = roots[_int(operation["root"])]
        if "remove" in operation:
            (root / str(operation["remove"])).unlink(missing_ok=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                (root / STAGING / name / str(operation["move"])).replace(root / str(operation["to"]))
        point("publish.moved")


def finish(name: str, roots: Sequence[Path], operations: list[dict[str, object]]) -> None:
    folders = {(roots[_int(op["root"])] / str(op.get("to") or op["remove"])).parent for op in operations}
    for folder in sorted(folders):
        with contextlib.suppress(FileNotFoundError):
            _fsync(folder)
    point("publish.durable")
    discard(name, roots)


def discard(name: str, roots: Sequence[Path]) -> None:
    """Throw a stage away, its journal first."""
    (roots[0] / STAGING / name / JOURNAL).unlink(missing_ok=True)
    for root in roots:
        shutil.rmtree(root / STAGING / name, ignore_errors=True)


def settle(name: str, roots: Sequence[Path]) -> bool:
    """Finish one publication if it was committed, else throw it away. Returns whether it was committed."""
    journal = _read_journal(roots[0] / STAGING / name)
    if journal is None:
        discard(name, roots)
        return False
    apply(name, roots, journal[2])
    finish(name, roots, journal[2])
    return True


def recover(roots: Sequence[Path]) -> list[str]:
    """Finish or throw away what killed processes left below `roots`; the names of the publications finished.

    To be called while nobody publishes: in the order of their commits, so that the last one wins again.
    """
    journals = sorted(filter(None, map(_read_journal, _stage_folders(roots[:1]))))
    for _, name, _ in journals:
        settle(name, roots)
    for folder in _stage_folders(roots):
        discard(folder.name, roots)
    return [name for _, name, _ in journals]


def _stage_folders(roots: Sequence[Path]) -> list[Path]:
    return [folder for root in roots if (root / STAGING).is_dir() for folder in sorted((root / STAGING).iterdir())]


def _read_journal(folder: Path) -> tuple[int, str, list[dict[str, object]]] | None:
    try:
        record = json.loads((folder / JOURNAL).read_bytes())
    except FileNotFoundError:
        return None
    return record["committed_ns"], folder.name, record["operations"]
