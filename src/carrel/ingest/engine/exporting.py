"""The tables under BridgeDownstream's names, as plain Parquet folders."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from carrel.ingest import catalog
from carrel.ingest.commit import open_storage
from carrel.ingest.engine.warehouses import dataset_tables
from carrel.ingest.tables import bridge_tables, conform, write_bridge
from carrel.ingest.tables.bridge import Dates


class FolderInUse(Exception):
    """The folder holds something already: rows withdrawn since would stay in what an earlier export left there."""


def _refuse_earlier_export(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FolderInUse(
            f"{folder} is not empty. Records withdrawn since an earlier export would stay in it: "
            "delete it first, or export to a new folder."
        )


def export_bridge(
    warehouse: str, folder: Path, datasets: Sequence[str] | None = None, dates: Dates = "plain"
) -> Iterator[tuple[str, int]]:
    """(dataset, files) as each is written. A dataset's tables are in memory while it is.

    Raises FolderInUse unless `folder` is new or empty.
    """
    _refuse_earlier_export(folder)
    storage = open_storage(warehouse)
    for dataset, entry in catalog.load_all(storage, datasets).items():
        found = dataset_tables(storage, sorted(entry.schema.tables))
        conformed = {
            name: conform(table, entry.schema.tables[name], entry.schema.tables[name]) for name, table in found.items()
        }
        yield dataset, write_bridge(str(folder), bridge_tables(entry.schema, conformed, dates), "export")
