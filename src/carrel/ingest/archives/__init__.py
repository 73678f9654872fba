"""From the bytes of an archive to checked entries, a record, and JSON values; each fault has a defined outcome."""

from carrel.ingest.archives.documents import FileRejected, parse
from carrel.ingest.archives.records import record_of
from carrel.ingest.archives.zips import Archive, ArchiveRejected, Entry, Limits, open_archive, too_large

__all__ = [
    "Archive",
    "ArchiveRejected",
    "Entry",
    "FileRejected",
    "Limits",
    "open_archive",
    "parse",
    "record_of",
    "too_large",
]
