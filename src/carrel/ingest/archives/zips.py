"""Opening archives from strangers: what a zip may do to us, and what becomes of each attempt.

| attempt | outcome |
|---|---|
| not a zip, cut off, too many entries | the archive is rejected (`zip`, `too_many_entries`) |
| encrypted entries | the archive is rejected (`encrypted`) |
| an entry or the whole that unpacks to far more than it should | the archive is rejected (`bomb`) |
| two entries of one path | that path is rejected (`duplicate_name`) |
| a path that is absolute, leaves the archive, or holds NUL or backslashes | that entry is rejected (`path`) |
| a wrong checksum, a method we do not know, an entry cut off | that entry is rejected (`crc`, `method`, `zip`) |
| folders | looked into; a file keeps its whole path as `source_file` |

Nothing is ever unpacked to disk by the names in the archive.
"""

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from carrel.ingest.archives.faults import ArchiveRejected, FileRejected
from carrel.ingest.values import Fault

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OverflowError, ValueError)


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes. `ratio` counts only from `ratio_from` on: small files of blanks are no bombs."""

    entries: int = 1_000
    entry_bytes: int = 4_000_000_000
    total_bytes: int = 8_000_000_000
    ratio: float = 200.0
    ratio_from: int = 10_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive. `path` as in the zip, `name` its last part, sizes in bytes."""

    path: str
    size: int
    packed_size: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(slots=True)
class Archive:
    """An opened archive. `rejected`: path -> why that entry cannot be taken."""

    entries: tuple[Entry, ...]
    rejected: Mapping[str, Fault]
    _zip: zipfile.ZipFile = field(repr=False)

    def read(self, entry: Entry) -> bytes:
        """The whole entry; FileRejected when it is damaged."""
        with self.stream(entry) as stream:
            try:
                return stream.read()
            except _BROKEN as error:
                raise _damaged(error) from None

    @contextmanager
    def stream(self, entry: Entry) -> Iterator[IO[bytes]]:
        """The entry as a stream, checked to its last byte against checksum and announced size by whoever reads it."""
        try:
            with self._zip.open(entry.path) as stream:
                yield stream
        except _BROKEN as error:
            raise _damaged(error) from None


@contextmanager
def open_archive(data: bytes | Path, limits: Limits | None = None) -> Iterator[Archive]:
    """The archive in `data` (its bytes, or a file of them); raises ArchiveRejected."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        opened = zipfile.ZipFile(source)
    except _BROKEN:
        raise ArchiveRejected("archive", "zip", "this is not a zip archive, or it was cut off") from None
    with opened:
        yield _checked(opened, limits or Limits())


def _checked(opened: zipfile.ZipFile, limits: Limits) -> Archive:
    infos = [info for info in opened.infolist() if not info.is_dir()]
    if len(infos) > limits.entries:
        raise ArchiveRejected(
            "archive", "too_many_entries", f"{len(infos)} entries, at most {limits.entries} are taken"
        )
    if any(info.flag_bits & _ENCRYPTED for info in infos):
        raise ArchiveRejected("archive", "encrypted", "the archive is encrypted; export it without a password")
    _refuse_bombs(infos, limits)
    rejected = dict(_bad_entries(infos))
    entries = [
        Entry(info.filename, info.file_size, info.compress_size) for info in infos if info.filename not in rejected
    ]
    return Archive(tuple(entries), rejected, opened)


def _refuse_bombs(infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    """By the announced sizes: zipfile gives no more than was announced, and says so when there is more."""
    total = sum(info.file_size for info in infos)
    largest = max((info.file_size for info in infos), default=0)
    packed = sum(info.compress_size for info in infos)
    if largest > limits.entry_bytes or total > limits.total_bytes:
        raise ArchiveRejected("archive", "bomb", f"the archive would unpack to {total} bytes")
    if total > limits.ratio_from and total > limits.ratio * max(packed, 1):
        raise ArchiveRejected("archive", "bomb", f"the archive would unpack {packed} bytes to {total}")


def _bad_entries(infos: list[zipfile.ZipInfo]) -> Iterator[tuple[str, Fault]]:
    times = Counter(info.filename for info in infos)
    for info in infos:
        if times[info.filename] > 1:
            yield info.filename, Fault("archive", "duplicate_name", "two entries of the archive have this path")
        elif not _is_safe(info):
            yield info.filename, Fault("archive", "path", "the path is absolute, leaves the archive, or is malformed")
        elif info.compress_type not in _METHODS:
            yield info.filename, Fault("archive", "method", f"packed by method {info.compress_type}, which is not read")


def _is_safe(info: zipfile.ZipInfo) -> bool:
    # zipfile cuts a name at a NUL and keeps the original: a name that shows less than it holds is a trick.
    path = PurePosixPath(info.filename)
    whole = info.orig_filename
    return not (path.is_absolute() or ".." in path.parts or "\\" in whole or "\0" in whole or whole[1:2] == ":")


def _damaged(error: BaseException) -> FileRejected:
    if "CRC" in str(error):
        return FileRejected("archive", "crc", "the file's bytes do not fit its checksum")
    return FileRejected("archive", "zip", "the file cannot be unpacked: it is damaged or cut off")
