"""The catalog's entry for one dataset version: its schema now, and every change on the way, as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from carrel.ingest.tables.schema import (
    ChangeKind,
    DatasetSchema,
    TableChange,
    TableSchema,
    column_from_json,
    column_to_json,
)

FORMAT = 1
"""Raised when the JSON changes in a way that an older Carrel would misread."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """Append-only history beside the current schema. `partition_by`: as its tables were made, for good.
    `naming`: as the last run had it ("bridge": the tables have views)."""

    schema: DatasetSchema
    changes: tuple[TableChange, ...] = ()
    partition_by: tuple[str, ...] = ()
    naming: str = "carrel"

    def grown(self, schema: DatasetSchema, changes: Iterable[TableChange], naming: str | None = None) -> "CatalogEntry":
        """After a run. `naming`: None leaves it."""
        return CatalogEntry(schema, (*self.changes, *changes), self.partition_by, naming or self.naming)

    def to_json(self) -> bytes:
        """Deterministic: sorted keys, UTF-8."""
        value = {
            "format": FORMAT,
            "dataset": self.schema.dataset,
            "tables": {name: _table_to_json(table) for name, table in self.schema.tables.items()},
            "changes": [asdict(change) for change in self.changes],
            "partition_by": list(self.partition_by),
            "naming": self.naming,
        }
        return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "CatalogEntry":
        """What `to_json` wrote; a ValueError when a later Carrel wrote it."""
        value = json.loads(data)
        if value["format"] != FORMAT:
            raise ValueError(f"the catalog is of format {value['format']}, this Carrel reads {FORMAT}; upgrade Carrel")
        tables = {name: _table_from_json(name, each) for name, each in value["tables"].items()}
        schema = DatasetSchema(value["dataset"], tables)
        by, naming = tuple(value.get("partition_by", ())), value.get("naming", "carrel")
        return cls(schema, tuple(map(_change, value["changes"])), by, naming)


def _table_to_json(table: TableSchema) -> dict[str, Any]:
    return {"is_child": table.is_child, "columns": [column_to_json(column) for column in table.columns]}


def _table_from_json(name: str, value: Mapping[str, Any]) -> TableSchema:
    return TableSchema(name, tuple(map(column_from_json, value["columns"])), value["is_child"])


def _change(value: Mapping[str, Any]) -> TableChange:
    return TableChange(**{**value, "what": ChangeKind(value["what"]), "path": tuple(value["path"])})
