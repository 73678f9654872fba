"""What became of each archive, so that each is taken exactly once."""

from carrel.ingest.store.ledger.dispositions import current, judged_after, judged_before, settle
from carrel.ingest.store.ledger.lines import (
    CURRENT,
    SCHEMA,
    Line,
    archive_key,
    from_arrow,
    in_order,
    key_of,
    metadata_hash,
    to_arrow,
    tombstone_line,
    tombstone_of,
)
from carrel.ingest.store.ledger.lookups import ROW_GROUP, Ledger
from carrel.ingest.store.ledger.skipped import skipped_files

__all__ = [
    "CURRENT",
    "ROW_GROUP",
    "SCHEMA",
    "Ledger",
    "Line",
    "archive_key",
    "current",
    "from_arrow",
    "in_order",
    "judged_after",
    "judged_before",
    "key_of",
    "metadata_hash",
    "settle",
    "skipped_files",
    "to_arrow",
    "tombstone_line",
    "tombstone_of",
]
