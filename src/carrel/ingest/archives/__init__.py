"""From the bytes of an archive to checked entries, a record, and JSON values; each fault has a defined outcome."""

from carrel.ingest.archives.documents import FileRejected, Position, parse, parse_leniently, repeated_key
from carrel.ingest.archives.records import id_in, metadata_in, record_of
from carrel.ingest.archives.zips import Archive, ArchiveEntry, ArchiveLimits, ArchiveRejected, open_archive, too_large

__all__ = [
    "Archive",
    "ArchiveEntry",
    "ArchiveLimits",
    "ArchiveRejected",
    "FileRejected",
    "Position",
    "id_in",
    "metadata_in",
    "open_archive",
    "parse",
    "parse_leniently",
    "record_of",
    "repeated_key",
    "too_large",
]
