"""How the native tables are written to Parquet: small and fast, with encodings that every reader has."""

from typing import Any

import pyarrow as pa

_KEYS = ("_row_key", "_parent_key")
_NO_STATISTICS = frozenset((*_KEYS, "_nulls", "_source_file", "_archive_uri", "_archive_etag", "_schema_id", "_run_id"))


def write_options(schema: pa.Schema) -> dict[str, Any]:
    """Arguments for `pyarrow.parquet.write_table` and `ParquetWriter` for a table of this schema.

    Keys share their beginnings, so they are written as differences; floats hardly repeat, so they get no dictionary;
    nobody looks for the minimum of a lineage column. No encoding that Spark 3 cannot read.
    """
    keys = {name: "DELTA_BYTE_ARRAY" for name in _KEYS if name in schema.names}
    deltas = {"_index": "DELTA_BINARY_PACKED"} if "_index" in schema.names else {}
    encoded = keys | deltas
    plain = {field.name for field in schema if pa.types.is_floating(field.type)} | encoded.keys()
    return {
        "compression": "zstd",
        "use_dictionary": [_leaf(field) for field in schema if field.name not in plain],
        "column_encoding": encoded,
        "write_statistics": [_leaf(field) for field in schema if field.name not in _NO_STATISTICS],
    }


def _leaf(field: pa.Field) -> str:
    """The Parquet path of a column: that of a list is its element's."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)
