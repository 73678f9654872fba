"""Reading a warehouse: its tables, and what quarantine holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from carrel.ingest.commit import (
    LEDGER,
    QUARANTINE,
    Storage,
    active_files,
    dataset_of,
    existing,
    open_storage,
    table_names,
    whole,
)


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table as it is now. `size` in bytes."""

    name: str
    version: int
    rows: int
    files: int
    size: int
    columns: int


def tables(storage: Storage) -> Iterator[TableInfo]:
    """Every data table that was committed."""
    for name in table_names(storage):
        table = existing(storage, name)
        if table is not None:
            files = active_files(table)
            rows, size = sum(file.rows for file in files), sum(file.size for file in files)
            yield TableInfo(name, table.version(), rows, len(files), size, len(table.schema().fields))


def query(warehouse: str, sql: str) -> Any:
    """A DuckDB relation over the tables as they are now, by name; `ledger` and `quarantine` are there too."""
    import duckdb

    storage = open_storage(warehouse)
    connection = duckdb.connect()
    for name in [*table_names(storage), LEDGER, QUARANTINE]:
        dataset = dataset_of(storage, name)
        if dataset is not None:
            connection.register(name.removeprefix("_"), dataset)
    return connection.sql(sql)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which quarantine lines are meant; every condition given must hold."""

    ids: tuple[str, ...] = ()
    record: str | None = None
    stage: str | None = None
    keyword: str | None = None
    schema_id: str | None = None

    def __call__(self, row: dict[str, Any]) -> bool:
        pairs = (
            (self.record, row["recordid"]),
            (self.stage, row["stage"]),
            (self.keyword, row["keyword"]),
            (self.schema_id, row["schema_id"]),
        )
        return (not self.ids or row["id"] in self.ids) and all(want is None or want == have for want, have in pairs)


def quarantine(storage: Storage, wanted: Filter | None = None) -> list[dict[str, Any]]:
    """Lines of the quarantine, newest run last."""
    held = whole(storage, QUARANTINE)
    rows = held.to_pylist() if held is not None else []
    meant = [row for row in rows if wanted is None or wanted(row)]
    return sorted(meant, key=lambda row: (row["_run_id"], row["archive_uri"], row["source_file"] or ""))


def rows_by_record(storage: Storage, name: str) -> dict[str, int]:
    """record id -> rows of one table; reads one column."""
    dataset = dataset_of(storage, name)
    if dataset is None:
        return {}
    counted = dataset.to_table(columns=["recordid"]).group_by("recordid").aggregate([([], "count_all")])
    return dict(zip(counted["recordid"].to_pylist(), counted["count_all"].to_pylist(), strict=True))
