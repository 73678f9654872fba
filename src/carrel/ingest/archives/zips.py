"""Opening archives from strangers: what a zip may do to us, and what becomes of each attempt.

| attempt | outcome |
|---|---|
| not a zip, cut off, too many entries | the archive is rejected (`zip`, `too_many_entries`) |
| a name that is not in the encoding that it claims | the archive is rejected (`path`) |
| encrypted entries | the archive is rejected (`encrypted`) |
| an entry or the whole that unpacks to far more than it should | the archive is rejected (`bomb`) |
| entries that share bytes | the archive is rejected (`overlap`) |
| two entries of one path | that path is rejected (`duplicate_name`) |
| a path that is empty or absolute, leaves the archive, is too long, or holds backslashes or control characters | that
  entry is rejected (`path`) |
| a wrong checksum, a method we do not know, an entry cut off | that entry is rejected (`crc`, `method`, `zip`) |
| folders | looked into; a file keeps its whole path as `source_file` |
| everything in one folder | that folder is the archive's root, where its metadata.json is looked for |
| what a desktop leaves (`__MACOSX/`, `.DS_Store`, `._x`) | named as `beside`, and never read |
| an archive in the archive | a file that no mapping knows, never opened |

Nothing is ever unpacked to disk by the names in the archive.
"""

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path, PurePosixPath
from typing import IO

from carrel.ingest.archives.faults import ArchiveRejected, FileRejected
from carrel.ingest.desktop import is_left_by_desktop
from carrel.ingest.values import Fault
from carrel.units import limits as bounds

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_SHOWN = 200
"""Letters of a path that is refused for its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Sizes in bytes. `ratio` counts only from `ratio_from` on: small files of blanks are no bombs."""

    entries: int = bounds.MAX_ARCHIVE_ENTRIES
    directory_bytes: int = bounds.MAX_ARCHIVE_DIRECTORY_BYTES
    path_bytes: int = bounds.MAX_ENTRY_PATH_BYTES
    entry_bytes: int = bounds.MAX_ENTRY_BYTES
    total_bytes: int = bounds.MAX_UNPACKED_BYTES
    ratio: float = bounds.MAX_UNPACKED_RATIO
    ratio_from: int = 10_000_000


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One file of an archive. `path` as in the zip, `name` its last part, sizes in bytes."""

    path: str
    size: int
    packed_size: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(slots=True)
class Archive:
    """An opened archive. `rejected`: path -> why that entry cannot be taken; `beside`: paths of what a desktop left;
    `root`: the folder that everything else is in, ending in `/`, or nothing."""

    entries: tuple[ArchiveEntry, ...]
    rejected: Mapping[str, Fault]
    _zip: zipfile.ZipFile = field(repr=False)
    beside: tuple[str, ...] = ()
    root: str = ""

    @property
    def metadata(self) -> ArchiveEntry | None:
        """The file metadata.json at the archive's root."""
        return next((entry for entry in self.entries if entry.path == f"{self.root}metadata.json"), None)

    def read(self, entry: ArchiveEntry, most: int = bounds.MAX_JSON_WHOLE_BYTES) -> bytes:
        """The whole entry; FileRejected when it is damaged, or larger than `most` bytes."""
        if entry.size > most:
            raise FileRejected("archive", "too_large", f"the file has {entry.size:,} bytes; at most {most:,} are read")
        with self.stream(entry) as stream:
            try:
                return stream.read()
            except _BROKEN as error:
                raise _damaged(error) from None

    @contextmanager
    def stream(self, entry: ArchiveEntry) -> Iterator[IO[bytes]]:
        """The entry as a stream, checked to its last byte against checksum and announced size by whoever reads it."""
        try:
            with self._zip.open(entry.path) as stream:
                yield stream
        except _BROKEN as error:
            raise _damaged(error) from None


@contextmanager
def open_archive(data: bytes | Path, limits: ArchiveLimits | None = None) -> Iterator[Archive]:
    """The archive in `data` (its bytes, or a file of them); raises ArchiveRejected."""
    limits = limits or ArchiveLimits()
    with _Source(io.BytesIO(data) if isinstance(data, bytes) else io.FileIO(data)) as source:
        size = source.seek(0, os.SEEK_END)
        if size > bounds.MAX_ARCHIVE_BYTES:
            raise too_large(size)
        with _open_zip(source, limits) as opened:
            yield _check(opened, limits, size)


def too_large(size: int) -> ArchiveRejected:
    """Why an archive of so many bytes is not opened."""
    return ArchiveRejected(
        "archive", "too_large", f"the archive has {size:,} bytes; at most {bounds.MAX_ARCHIVE_BYTES:,} are taken"
    )


class _Source(io.BufferedReader):
    """The bytes of an archive. While its directory is read, no more is read at once than `most`: zipfile makes an
    object of every entry that the directory has before it says how many those are."""

    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is not None and size is not None and size > self.most:
            raise _DirectoryTooLong
        return super().read(size)


class _DirectoryTooLong(Exception):
    pass


def _open_zip(source: _Source, limits: ArchiveLimits) -> zipfile.ZipFile:
    source.most = limits.directory_bytes
    try:
        opened = zipfile.ZipFile(source)
    except _DirectoryTooLong:
        message = f"its directory has more than {limits.directory_bytes:,} bytes; {limits.entries:,} entries are taken"
        raise ArchiveRejected("archive", "too_many_entries", message) from None
    except UnicodeDecodeError:
        message = "the name of a file in the archive is not UTF-8, which it says it is"
        raise ArchiveRejected("archive", "path", message) from None
    except _BROKEN:
        raise ArchiveRejected("archive", "zip", "this is not a zip archive, or it was cut off") from None
    source.most = None
    return opened


def _check(opened: zipfile.ZipFile, limits: ArchiveLimits, size: int) -> Archive:
    """The archive with what can be taken of it; raises ArchiveRejected when that is nothing."""
    # ZipInfo.is_dir cannot take an empty name.
    infos = [info for info in opened.infolist() if not info.filename.endswith("/")]
    if len(infos) > limits.entries:
        raise ArchiveRejected(
            "archive", "too_many_entries", f"{len(infos)} entries, at most {limits.entries} are taken"
        )
    if any(info.flag_bits & _ENCRYPTED for info in infos):
        raise ArchiveRejected("archive", "encrypted", "the archive is encrypted; export it without a password")
    _refuse_bombs(infos, limits, size)
    beside = {info.filename for info in infos if is_left_by_desktop(info.filename)}
    infos = [info for info in infos if info.filename not in beside]
    counts = Counter(info.filename for info in infos)
    faults = {info.filename: _fault_of(info, counts, limits) for info in infos}
    entries = [
        ArchiveEntry(info.filename, info.file_size, info.compress_size)
        for info in infos
        if faults[info.filename] is None
    ]
    rejected = {_printable(path, limits): fault for path, fault in faults.items() if fault}
    desktop_paths = tuple(sorted(_printable(path, limits) for path in beside))
    # The folder that all entries are in; of several inside one another, the innermost.
    folders = [entry.path.split("/")[:-1] for entry in entries]
    common = takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    return Archive(tuple(entries), rejected, opened, desktop_paths, root="".join(f"{names[0]}/" for names in common))


def _printable(path: str, limits: ArchiveLimits) -> str:
    """The path as the ledger and quarantine name it: without what would steer a terminal. One that is too long is cut,
    and ends in a digest."""
    data = path.encode("utf-8", "surrogatepass")
    is_long = len(data) > limits.path_bytes
    shown = f"{path[:_SHOWN]}...{hashlib.sha256(data).hexdigest()[:16]}" if is_long else path
    return "".join(letter if letter.isprintable() else f"%{ord(letter):02X}" for letter in shown)


def _refuse_bombs(infos: list[zipfile.ZipInfo], limits: ArchiveLimits, size: int) -> None:
    """Raise ArchiveRejected for what unpacks to far too much, by the announced sizes: zipfile gives no more than was
    announced, and says so when there is more. Entries that share their packed bytes unpack to more than any ratio of
    theirs shows, as Fifield's bombs do.
    """
    total = sum(info.file_size for info in infos)
    largest = max((info.file_size for info in infos), default=0)
    packed = min(size, sum(info.compress_size for info in infos))
    if largest > limits.entry_bytes or total > limits.total_bytes:
        raise ArchiveRejected("archive", "bomb", f"the archive would unpack to {total} bytes")
    if total > limits.ratio_from and total > limits.ratio * max(packed, 1):
        raise ArchiveRejected("archive", "bomb", f"the archive would unpack {packed} bytes to {total}")
    spans = sorted((info.header_offset, info.header_offset + info.compress_size) for info in infos)
    if any(after[0] < before[1] for before, after in pairwise(spans)):
        raise ArchiveRejected("archive", "overlap", "entries of the archive lie on the same bytes")


def _fault_of(info: zipfile.ZipInfo, counts: Mapping[str, int], limits: ArchiveLimits) -> Fault | None:
    if len(info.filename.encode("utf-8", "surrogatepass")) > limits.path_bytes:
        return Fault("archive", "path", f"the path is longer than {limits.path_bytes:,} bytes")
    if counts[info.filename] > 1:
        return Fault("archive", "duplicate_name", "two entries of the archive have this path")
    if not _is_safe(info):
        return Fault("archive", "path", "the path is empty, absolute, leaves the archive, or is malformed")
    if info.compress_type not in _METHODS:
        return Fault("archive", "method", f"packed by method {info.compress_type}, which is not read")
    return None


def _is_safe(info: zipfile.ZipInfo) -> bool:
    # zipfile cuts a name at a NUL and keeps the original: a name that shows less than it holds is a trick.
    path = PurePosixPath(info.filename)
    whole = info.orig_filename
    is_text = all(character >= " " and character != "\x7f" for character in whole)
    is_tricky = path.is_absolute() or ".." in path.parts or "\\" in whole or whole[1:2] == ":"
    return bool(path.name) and is_text and not is_tricky


def _damaged(error: BaseException) -> FileRejected:
    if "CRC" in str(error):
        return FileRejected("archive", "crc", "the file's bytes do not fit its checksum")
    return FileRejected("archive", "zip", "the file cannot be unpacked: it is damaged or cut off")
