"""The columns that every row has: who and what it is about, and where it comes from."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from carrel.ingest.tables.schema import reserved_type
from carrel.ingest.values import Lineage


def file_key(lineage: Lineage) -> str:
    """The key of a file's rows: 32 hexadecimal digits."""
    text = f"{lineage.record.record_id}\0{lineage.source_file}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _uploaded(lineage: Lineage) -> datetime:
    return lineage.record.uploaded_on.astimezone(UTC)


_OF: Mapping[str, Callable[[Lineage], Any]] = {
    "recordid": lambda lineage: lineage.record.record_id,
    "assessmentid": lambda lineage: lineage.record.assessment_id,
    "assessmentrevision": lambda lineage: lineage.record.assessment_revision,
    "healthcode": lambda lineage: lineage.record.healthcode,
    "uploadedon": _uploaded,
    "exportedon": lambda lineage: lineage.record.exported_on,
    "year": lambda lineage: _uploaded(lineage).year,
    "month": lambda lineage: _uploaded(lineage).month,
    "day": lambda lineage: _uploaded(lineage).day,
    "_source_file": lambda lineage: lineage.source_file,
    "_archive_uri": lambda lineage: lineage.archive_uri,
    "_archive_etag": lambda lineage: lineage.archive_etag,
    "_schema_id": lambda lineage: lineage.schema_id,
    "_run_id": lambda lineage: lineage.run_id,
}


class FileColumns:
    """Values of these columns, one per file, spread over rows on demand."""

    def __init__(self, files: Sequence[Lineage]):
        self.arrays = {name: pa.array(map(of, files), reserved_type(name)) for name, of in _OF.items()}
        self.is_one = len(files) == 1

    def of(self, files: pa.Array) -> dict[str, pa.Array]:
        """For rows whose files have these numbers."""
        if self.is_one:
            return {name: pa.repeat(values[0], len(files)) for name, values in self.arrays.items()}
        return {name: values.take(files) for name, values in self.arrays.items()}
