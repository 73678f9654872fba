"""From JSON values to typed Arrow tables, and their schemas as values; pure but for the bridge layout's writer."""

from carrel.ingest.tables.bridge import Bridge
from carrel.ingest.tables.bridge_layout import part_files, read_bridge
from carrel.ingest.tables.bridge_views import bridge_views
from carrel.ingest.tables.catalog import CatalogEntry
from carrel.ingest.tables.conform import Offender, conform, needs_rewrite, offenders, without
from carrel.ingest.tables.declared import declared_of, merged
from carrel.ingest.tables.flatten import Flat, Flattener, Rejection, flatten_stream
from carrel.ingest.tables.names import Field
from carrel.ingest.tables.parquet import write_options
from carrel.ingest.tables.raw_json import raw_json_key, raw_json_line
from carrel.ingest.tables.schema import (
    Change,
    ChangeKind,
    Column,
    DatasetSchema,
    Declared,
    Policy,
    TableSchema,
)
from carrel.ingest.tables.unify import unify

__all__ = [
    "Bridge",
    "CatalogEntry",
    "Change",
    "ChangeKind",
    "Column",
    "DatasetSchema",
    "Declared",
    "Field",
    "Flat",
    "Flattener",
    "Offender",
    "Policy",
    "Rejection",
    "TableSchema",
    "bridge_views",
    "conform",
    "declared_of",
    "flatten_stream",
    "merged",
    "needs_rewrite",
    "offenders",
    "part_files",
    "raw_json_key",
    "raw_json_line",
    "read_bridge",
    "unify",
    "without",
    "write_options",
]
