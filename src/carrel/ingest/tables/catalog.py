"""The catalog's entry for one dataset version: its schema now, and every change on the way, as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

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

    def with_changes(
        self, schema: DatasetSchema, changes: Iterable[TableChange], naming: str | None = None
    ) -> "CatalogEntry":
        """The entry after a run. `naming`: None leaves it."""
        return CatalogEntry(schema, (*self.changes, *changes), self.partition_by, naming or self.naming)

    def to_json(self) -> bytes:
        """Deterministic: sorted keys, UTF-8."""
        value = {
            "format": FORMAT,
            "dataset": self.schema.dataset,
            "tables": {
                name: {"is_child": table.is_child, "columns": [column_to_json(column) for column in table.columns]}
                for name, table in self.schema.tables.items()
            },
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
        tables = {
            name: TableSchema(name, tuple(map(column_from_json, table["columns"])), table["is_child"])
            for name, table in value["tables"].items()
        }
        changes = [
            TableChange(**{**change, "what": ChangeKind(change["what"]), "path": tuple(change["path"])})
            for change in value["changes"]
        ]
        return cls(
            DatasetSchema(value["dataset"], tables),
            tuple(changes),
            tuple(value.get("partition_by", ())),
            value.get("naming", "carrel"),
        )
