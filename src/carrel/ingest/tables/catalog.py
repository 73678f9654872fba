"""The catalog's entry for one dataset version: its schema now, and every change on the way, as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass

from carrel.ingest.tables.schema import Change, DatasetSchema


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """Append-only history beside the current schema."""

    schema: DatasetSchema
    changes: tuple[Change, ...] = ()

    def grown(self, schema: DatasetSchema, changes: Iterable[Change]) -> "CatalogEntry":
        """After a run."""
        raise NotImplementedError

    def to_json(self) -> bytes:
        """Deterministic: sorted keys, UTF-8."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, data: bytes) -> "CatalogEntry":
        """What `to_json` wrote."""
        raise NotImplementedError
