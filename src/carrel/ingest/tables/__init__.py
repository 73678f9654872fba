"""From JSON values to typed Arrow tables, and their schemas as values; pure but for the bridge layout's writer."""

from carrel.ingest.tables.bridge import Bridge
from carrel.ingest.tables.bridge_layout import part_files, read_bridge
from carrel.ingest.tables.bridge_views import bridge_views
from carrel.ingest.tables.catalog import CatalogEntry
from carrel.ingest.tables.conformance import (
    NonconformingFile,
    conform,
    needs_rewrite,
    nonconforming_files,
    without_files,
)
from carrel.ingest.tables.declared_kinds import declared_kinds, merge_declared
from carrel.ingest.tables.flattener import FlatTables, Flattener, Rejection, flatten_stream
from carrel.ingest.tables.names import Field
from carrel.ingest.tables.parquet import write_options
from carrel.ingest.tables.raw_json import raw_json_key, raw_json_line
from carrel.ingest.tables.schema import (
    ChangeKind,
    Column,
    DatasetSchema,
    Declared,
    TableChange,
    TableSchema,
)
from carrel.ingest.tables.unification import unify
from carrel.ingest.values import Policy

__all__ = [
    "Bridge",
    "CatalogEntry",
    "ChangeKind",
    "Column",
    "DatasetSchema",
    "Declared",
    "Field",
    "FlatTables",
    "Flattener",
    "NonconformingFile",
    "Policy",
    "Rejection",
    "TableChange",
    "TableSchema",
    "bridge_views",
    "conform",
    "declared_kinds",
    "flatten_stream",
    "merge_declared",
    "needs_rewrite",
    "nonconforming_files",
    "part_files",
    "raw_json_key",
    "raw_json_line",
    "read_bridge",
    "unify",
    "without_files",
    "write_options",
]
