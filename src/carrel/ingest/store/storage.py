"""What a warehouse needs of the place where it lives, each operation atomic; and a local folder as such a place."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from carrel.units.files import fsync, replacing, write_atomically
from carrel.warehouse.layout import run_key

if TYPE_CHECKING:
    from pyarrow import fs

_COPY_BYTES = 1 << 20


class WarehouseStorage(Protocol):
    """Keys are `/`-separated paths below the warehouse. What writes is all or nothing."""

    url: str
    lease: Any
    """The `lock.Lease` of the coordinator that works through this, where a hold may be lost; None elsewhere."""

    def read(self, key: str) -> bytes | None:
        """The bytes of `key`; None when there is none."""

    def write(self, key: str, data: bytes) -> None:
        """Make or replace `key`; on return it is durable."""

    def create(self, key: str, data: bytes) -> bool:
        """Make `key`, unless there is one; False then. Of many who try, one succeeds."""

    def exchange(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Make `key` hold `new` if it holds `old` (None: if there is none); False otherwise. Only for the coordinator,
        of whom there may be two by mistake on S3: then one of them succeeds."""

    def put_file(self, path: Path, key: str) -> None:
        """Give a file of `scratch()` to the warehouse as `key`; durable on return, and gone from `path`."""

    def scratch(self, name: str) -> Path:
        """An existing local folder for files to be put, on the warehouse's own file system if that is local."""

    def open(self, key: str) -> IO[bytes]:
        """Open `key` for reading; the reader can seek."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key below `prefix` (a folder, ending in `/`), or beginning with it."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below `prefix` (a folder, ending in `/`)."""

    def delete(self, key: str) -> None:
        """Away with `key`, and with all below it, if it is there."""

    def copy(self, key: str, target: str) -> None:
        """`target` becomes a copy of `key`, however large; durable on return."""

    def uri(self, key: str) -> str:
        """What delta-rs opens `key` by, with `delta_options`."""

    def delta_options(self) -> dict[str, str] | None:
        """What delta-rs needs to know besides; None: nothing."""

    def arrow(self, key: str) -> "fs.FileSystem":
        """The folder `key` as a file system of Arrow's own.

        deltalake's is Python code. A thread of Arrow that lets go of its buffers while the process ends aborts it, and
        a run that had nothing to do ends soon enough after reading a table for that.
        """

    def keeps_old(self) -> bool | None:
        """Whether what is deleted or replaced can still be read as an old version; None: it could not be asked."""


class LocalStorage:
    """A folder of a local (POSIX) file system."""

    lease = None
    """The kernel's lock on a local disk is never lost."""

    def __init__(self, root: Path):
        self.root = root
        self.url = str(root)

    def keeps_old(self) -> bool | None:
        return False

    def read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, synced="folder")

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(path, data, synced="folder", exclusive=True)
        except FileExistsError:
            return False
        return True

    def exchange(self, key: str, old: bytes | None, new: bytes) -> bool:
        if self.read(key) != old:
            return False
        self.write(key, new)
        return True

    def put_file(self, path: Path, key: str) -> None:
        fsync(path)
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        fsync(target.parent)

    def scratch(self, name: str) -> Path:
        folder = self._path(run_key(name, "scratch"))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def open(self, key: str) -> IO[bytes]:
        return self._path(key).open("rb")

    def keys(self, prefix: str) -> Iterator[str]:
        parent, _, start = prefix.rpartition("/")
        folder = self._path(parent)
        if not folder.is_dir():
            return
        # A folder of all runs has many entries, of which few are looked for.
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(start))
        for path in map(folder.joinpath, names):
            files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
            yield from (str(file.relative_to(self.root)) for file in files)

    def folders(self, prefix: str) -> list[str]:
        base = self._path(prefix)
        return sorted(entry.name for entry in base.iterdir() if entry.is_dir()) if base.is_dir() else []

    def delete(self, key: str) -> None:
        path = self._path(key)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def copy(self, key: str, target: str) -> None:
        path = self._path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, synced="folder") as stream, self.open(key) as source:
            shutil.copyfileobj(source, stream, _COPY_BYTES)

    def uri(self, key: str) -> str:
        return self._path(key).as_uri()

    def delta_options(self) -> None:
        return None

    def arrow(self, key: str) -> "fs.FileSystem":
        from pyarrow import fs

        return fs.SubTreeFileSystem(str(self._path(key)), fs.LocalFileSystem())

    def _path(self, key: str) -> Path:
        return self.root / key
