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
from carrel.ingest.desktop import is_apple_double, is_beside_files
from carrel.ingest.sources.base import ArchiveChanged, OpenedArchive, PersistentSource
from carrel.ingest.values import ArchiveRef
from carrel.units.limits import MAX_METADATA_BYTES

IN_MEMORY = 32_000_000
"""Archives up to so many bytes are read into memory at once."""
SETTLED = 60.0
"""Seconds after which a file that does not end as a zip does is taken to be cut off, not being written."""
_END_OF_ZIP = b"PK\x05\x06"
_TAIL = 65_557


class FolderSource(PersistentSource):
    """Every *.zip under a folder (hidden ones aside), or every file that a glob (`**` for folders) finds but *.json."""

    def __init__(self, pattern: str | Path):
        self.pattern = str(pattern)

    def list(self) -> Iterator[ArchiveRef]:
        """In the order of their paths. A file that is still being written is left for the next time."""
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
        small = path.stat().st_size <= IN_MEMORY
        data = _bytes_of(path) if small else path
        metadata = _sidecar(path)
        _check(path, ref)
        yield OpenedArchive(data, metadata)
        if not small:
            _check(path, ref)

    def _paths(self) -> Sequence[Path]:
        folder = Path(self.pattern)
        if folder.is_dir():
            found = list(_zips(folder))
        elif glob.has_magic(self.pattern) or folder.exists():
            found = [Path(each) for each in glob.glob(self.pattern, recursive=True)]  # noqa: PTH207  (it may be absolute)
            found = [each for each in found if each.suffix.lower() != ".json" and not _is_beside(each)]
        else:
            raise SourceFault(f"there is no folder or file {self.pattern}; look whether its name is right")
        return sorted(each for each in found if _is_file(each))


def _zips(folder: Path) -> Iterator[Path]:
    """Every *.zip below, links followed, each folder once. A folder that cannot be read is never skipped in silence."""
    seen = set()
    for place, folders, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(
            each for each in folders if not _is_hidden(each) and os.path.realpath(f"{place}/{each}") not in seen
        )
        yield from (Path(place, each) for each in files if each.lower().endswith(".zip") and not each.startswith("."))


def _is_hidden(folder: str) -> bool:
    return folder.startswith(".") or folder == "__MACOSX"


def _is_beside(path: Path) -> bool:
    return is_beside_files(str(path)) or is_apple_double(path.name)


def _unreadable(error: OSError) -> None:
    raise SourceFault(f"{error.filename} cannot be read: {error.strerror}; its archives cannot be listed") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise SourceFault(f"{path} cannot be read: {error.strerror}; its archives cannot be listed") from None


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
    beside = path.with_suffix(".json") if path.suffix.lower() == ".zip" else path.with_name(path.name + ".json")
    shouted = beside.with_suffix(".JSON")
    return beside if beside.exists() or not shouted.exists() else shouted


def _etag(path: Path) -> str | None:
    """Size and time of last change, of the sidecar too; None when the file is gone."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    try:
        sidecar = _sidecar_path(path).stat()
    except FileNotFoundError:
        return f"{about.st_size:x}-{about.st_mtime_ns:x}"
    return f"{about.st_size:x}-{about.st_mtime_ns:x}-{sidecar.st_size:x}-{sidecar.st_mtime_ns:x}"


def _check(path: Path, ref: ArchiveRef) -> None:
    if _etag(path) != ref.etag:
        raise ArchiveChanged(f"{path} changed since it was listed")


def _is_being_written(path: Path) -> bool:
    """Changed a moment ago, and not yet a whole zip."""
    try:
        return time.time() - path.stat().st_mtime < SETTLED and not _ends_as_a_zip(path)
    except FileNotFoundError:
        return True
    except OSError:  # who opens it will say so
        return False


def _ends_as_a_zip(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        return _END_OF_ZIP in file.read()


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
