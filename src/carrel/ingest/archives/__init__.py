"""From the bytes of an archive to checked entries, a record, and JSON values; each fault has a defined outcome."""

from carrel.ingest.archives.documents import FileRejected, Start, parse, parse_leniently, repeated_key
from carrel.ingest.archives.records import metadata_in, named_in, record_of
from carrel.ingest.archives.zips import Archive, ArchiveRejected, Entry, Limits, open_archive, too_large

__all__ = [
    "Archive",
    "ArchiveRejected",
    "Entry",
    "FileRejected",
    "Limits",
    "Start",
    "metadata_in",
    "named_in",
    "open_archive",
    "parse",
    "parse_leniently",
    "record_of",
    "repeated_key",
    "too_large",
]
