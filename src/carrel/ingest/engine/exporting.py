"""The tables under BridgeDownstream's names, as plain Parquet folders."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from carrel.ingest import catalog
from carrel.ingest.commit import open_storage
from carrel.ingest.engine.warehouses import dataset_tables
from carrel.ingest.tables import bridge_tables, conform, write_bridge
from carrel.ingest.tables.bridge import Dates


def export_bridge(
    warehouse: str, folder: Path, datasets: Sequence[str] | None = None, dates: Dates = "plain"
) -> Iterator[tuple[str, int]]:
    """(dataset, files) as each is written. A dataset's tables are in memory while it is."""
    storage = open_storage(warehouse)
    for dataset, entry in catalog.load_all(storage, datasets).items():
        found = dataset_tables(storage, sorted(entry.schema.tables))
        conformed = {
            name: conform(table, entry.schema.tables[name], entry.schema.tables[name]) for name, table in found.items()
        }
        yield dataset, write_bridge(str(folder), bridge_tables(entry.schema, conformed, dates), "export")
