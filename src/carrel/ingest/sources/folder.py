"""Archives in a folder, or by a glob; the record's metadata in a sidecar `<stem>.json`, or inside the archive.

Suffixes count in any case: cameras, Windows and old tools write `.ZIP`.
"""

import glob
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from carrel.ingest.access_faults import SourceFault
from carrel.ingest.archives.faults import ArchiveRejected
from carrel.ingest.archives.records import metadata_in
from carrel.ingest.desktop import FOLDER, is_left_by_desktop
from carrel.ingest.sources.base import IN_MEMORY, ArchiveChanged, OpenedArchive, PersistentSource
from carrel.ingest.values import ArchiveRef
from carrel.units.limits import MAX_METADATA_BYTES

SETTLED = 60.0
"""Seconds after which a file that does not end as a zip does is taken to be cut off, not being written."""
_END_OF_ZIP = b"PK\x05\x06"
_TAIL = 65_557


class FolderSource(PersistentSource):
    """Every *.zip under a folder (hidden ones aside), or every file that a glob (`**` for folders) finds but *.json."""

    def __init__(self, pattern: str | Path):
        self.pattern = str(pattern)

    def list(self) -> Iterator[ArchiveRef]:
        """Every archive, in the order of their paths. A file that is still being written is left for the next time."""
        for path in self._paths():
            etag = _etag(path)
            if etag is not None and not _is_being_written(path):
                yield ArchiveRef(path.absolute().as_uri(), etag, path.stat().st_size)

    def is_there(self) -> bool:
        """Whether there is such a folder or file, or the glob finds one."""
        return Path(self.pattern).exists() or any(glob.iglob(self.pattern, recursive=True))  # noqa: PTH207  (it may be absolute)

    @contextmanager
    def open(self, ref: ArchiveRef) -> Iterator[OpenedArchive]:
        """ArchiveChanged is raised at the end, too, when the file changed while it was read: drop what it gave."""
        path = path_of(ref.uri)
        _check(path, ref)
        is_small = path.stat().st_size <= IN_MEMORY
        data = _bytes_of(path) if is_small else path
        metadata = _sidecar(path)
        _check(path, ref)
        yield OpenedArchive(data, metadata)
        if not is_small:
            _check(path, ref)

    def _paths(self) -> Sequence[Path]:
        folder = Path(self.pattern)
        if folder.is_dir():
            return sorted(path for path in _zips(folder) if _is_file(path))
        if not (glob.has_magic(self.pattern) or folder.exists()):
            raise SourceFault(f"there is no folder or file {self.pattern}; look whether its name is right")
        paths = map(Path, glob.glob(self.pattern, recursive=True))  # noqa: PTH207  (it may be absolute)
        return sorted(
            path
            for path in paths
            if path.suffix.lower() != ".json" and not is_left_by_desktop(str(path)) and _is_file(path)
        )


def _zips(folder: Path) -> Iterator[Path]:
    """Every *.zip below, links followed, each folder once. A folder that cannot be read is never skipped in silence."""

    def refuse(error: OSError) -> None:
        raise _cannot_be_listed(error.filename, error) from None

    seen = set()
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = sorted(
            name
            for name in folders
            if not (name.startswith(".") or name == FOLDER) and os.path.realpath(f"{parent}/{name}") not in seen
        )
        for name in files:
            if name.lower().endswith(".zip") and not name.startswith("."):
                yield Path(parent, name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _cannot_be_listed(path, error) from None


def _cannot_be_listed(path: object, error: OSError) -> SourceFault:
    return SourceFault(f"{path} cannot be read: {error.strerror}; its archives cannot be listed")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArchiveChanged(f"{path.as_uri()} went since it was listed") from None
    except OSError as error:
        raise SourceFault(f"{path} cannot be read: {error.strerror}") from None


def path_of(uri: str) -> Path:
    """The path of a file: URI."""
    from urllib.parse import unquote_to_bytes, urlsplit

    return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))


def _sidecar_path(path: Path) -> Path:
    sidecar = path.with_suffix(".json") if path.suffix.lower() == ".zip" else path.with_name(path.name + ".json")
    upper = sidecar.with_suffix(".JSON")
    return sidecar if sidecar.exists() or not upper.exists() else upper


def _etag(path: Path) -> str | None:
    """Size and time of last change, of the sidecar too; None when the file is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    try:
        sidecar = _sidecar_path(path).stat()
    except FileNotFoundError:
        return f"{status.st_size:x}-{status.st_mtime_ns:x}"
    return f"{status.st_size:x}-{status.st_mtime_ns:x}-{sidecar.st_size:x}-{sidecar.st_mtime_ns:x}"


def _check(path: Path, ref: ArchiveRef) -> None:
    if _etag(path) != ref.etag:
        raise ArchiveChanged(f"{path} changed since it was listed")


def _is_being_written(path: Path) -> bool:
    """Whether the file changed a moment ago, and does not yet end as a zip does."""
    try:
        if time.time() - path.stat().st_mtime >= SETTLED:
            return False
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            return _END_OF_ZIP not in file.read()
    except FileNotFoundError:
        return True
    except OSError:  # who opens it will say so
        return False


def _sidecar(path: Path) -> Mapping[str, Any] | None:
    sidecar = _sidecar_path(path)
    try:
        if sidecar.stat().st_size > MAX_METADATA_BYTES:
            raise ArchiveRejected("metadata", "sidecar", f"it is longer than {MAX_METADATA_BYTES:,} bytes")
        return metadata_in(sidecar.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceFault(f"{sidecar} cannot be read: {error.strerror}") from None
    except ArchiveRejected as rejected:
        message = f"the metadata file beside the archive: {rejected.fault.message}"
        raise ArchiveRejected("metadata", "sidecar", message) from None
