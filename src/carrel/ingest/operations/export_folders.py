"""Where an export goes: a folder, or a prefix of a bucket, that looks finished only when it is.

While an export is written, `_unfinished/` stands in the folder; on a local disk everything lies below it until the end.
At the end `_SUCCESS` is written, as Spark does. What a killed export left is thrown away by the next one to the folder.
"""

from pathlib import Path
from urllib.parse import urlsplit

from carrel.ingest.store import LocalStorage, open_storage
from carrel.telemetry import faults
from carrel.units.ignored import NAME as GITIGNORE
from carrel.units.ignored import ignore_all

SUCCESS = "_SUCCESS"
_UNFINISHED = "_unfinished"
_STARTED = f"{_UNFINISHED}/_STARTED"
_OURS = (_UNFINISHED, "parquet", "raw_json", "_runs", GITIGNORE)
_SCRATCH = "export"


class NotExported(Exception):
    """Nothing that looks like an export was made; why, and what to do."""


class FolderInUse(NotExported):
    """The folder holds something already: rows withdrawn since would stay in what an earlier export left there."""


class ExportFolder:
    """The folder of one export: `begin` it, `put` files, `finish` it."""

    def __init__(self, url: str, warehouse: str):
        self.url = url
        self.warehouse = warehouse
        self.storage = open_storage(url)
        self.start = f"{_UNFINISHED}/" if isinstance(self.storage, LocalStorage) else ""

    def begin(self) -> None:
        """Raises FolderInUse unless the folder is new, empty, or what a killed export of this warehouse left."""
        if isinstance(self.storage, LocalStorage) and self.storage.root.is_file():
            raise FolderInUse(f"{self.url} is a file: export to a folder.")
        started = self.storage.read(_STARTED)
        if started is not None and started.decode() == self.warehouse:
            for name in _OURS:
                self.storage.delete(name)
        if any(True for _ in self.storage.keys("")) or self.storage.folders(""):
            raise FolderInUse(
                f"{self.url} is not empty. Records withdrawn since an earlier export would stay in it: "
                "delete it first, or export to a new folder."
            )
        self.storage.write(_STARTED, self.warehouse.encode())
        if isinstance(self.storage, LocalStorage):
            ignore_all(self.storage.root)

    @property
    def scratch(self) -> Path:
        """A local folder for files that are to be put."""
        return self.storage.scratch(_SCRATCH)

    def put(self, path: Path, key: str) -> None:
        """Move the file `path`, which is in `scratch`, into the export."""
        self.storage.put_file(path, f"{self.start}{key}")
        faults.point("ingest.export_put")

    def finish(self) -> None:
        """Show what was put, and say that the export is whole."""
        faults.point("ingest.export_finishing")
        if isinstance(self.storage, LocalStorage):
            for name in self.storage.folders(self.start):
                (self.storage.root / self.start / name).replace(self.storage.root / name)
                faults.point("ingest.export_shown")
        self.storage.write(SUCCESS, b"")
        for name in ("_runs", _UNFINISHED):
            self.storage.delete(name)


def address_of(folder: str) -> str:
    """A folder's absolute path, or the URL as it is: the same place has the same address."""
    return folder if urlsplit(folder).scheme else str(Path(folder).absolute())
