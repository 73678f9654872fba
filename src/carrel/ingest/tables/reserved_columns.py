"""The columns that every row has: who and what it is about, and where it comes from."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.tables.schema import reserved_type
from carrel.ingest.values import Lineage


def file_key(lineage: Lineage) -> str:
    """The key of a file's rows: 32 hexadecimal digits."""
    text = f"{lineage.record.record_id}\0{lineage.source_file}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _uploaded_on(lineage: Lineage) -> datetime:
    return lineage.record.uploaded_on.astimezone(UTC)


_OF: Mapping[str, Callable[[Lineage], Any]] = {
    "recordid": lambda lineage: lineage.record.record_id,
    "assessmentid": lambda lineage: lineage.record.assessment_id,
    "assessmentrevision": lambda lineage: lineage.record.assessment_revision,
    "healthcode": lambda lineage: lineage.record.healthcode,
    "uploadedon": _uploaded_on,
    "exportedon": lambda lineage: lineage.record.exported_on,
    "year": lambda lineage: _uploaded_on(lineage).year,
    "month": lambda lineage: _uploaded_on(lineage).month,
    "day": lambda lineage: _uploaded_on(lineage).day,
    "_source_file": lambda lineage: lineage.source_file,
    "_archive_uri": lambda lineage: lineage.archive_uri,
    "_archive_etag": lambda lineage: lineage.archive_etag,
    "_schema_id": lambda lineage: lineage.schema_id,
    "_run_id": lambda lineage: lineage.run_id,
}


PER_FILE = frozenset(name for name in _OF if pa.types.is_string(reserved_type(name)))
"""Texts that are the same in all rows of a file: in memory they are dictionaries, and are written as such."""
_ENCODED = pa.dictionary(pa.int32(), pa.string())


def with_dictionaries(schema: pa.Schema) -> pa.Schema:
    """The schema of a table with its `PER_FILE` columns as dictionaries; of one that is no table of rows, itself."""
    if "_row_key" not in schema.names:
        return schema
    return pa.schema([field.with_type(_ENCODED) if field.name in PER_FILE else field for field in schema])


class FileColumns:
    """Values of these columns, one per file, spread over rows on demand. `first`: the number of the first file."""

    def __init__(self, files: Sequence[Lineage], first: int = 0):
        self.arrays = {name: pa.array(map(of, files), reserved_type(name)) for name, of in _OF.items()}
        self.texts = {name: self.arrays.pop(name).dictionary_encode() for name in PER_FILE}
        self.first = first
        self.is_one = len(files) == 1

    def of(self, files: pa.Array) -> dict[str, pa.Array]:
        """The columns of rows whose files have these numbers."""
        positions = pc.subtract(files, self.first)
        columns = {name: self._spread(values, positions) for name, values in self.arrays.items()}
        return columns | {
            name: pa.DictionaryArray.from_arrays(self._spread(texts.indices, positions), texts.dictionary)
            for name, texts in self.texts.items()
        }

    def _spread(self, values: pa.Array, positions: pa.Array) -> pa.Array:
        return pa.repeat(values[0], len(positions)) if self.is_one else values.take(positions)
