"""Reading a warehouse: its tables, and what quarantine holds."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carrel.ingest.store import (
    LEDGER,
    QUARANTINE,
    WarehouseFault,
    WarehouseStorage,
    active_files,
    open_dataset,
    open_storage,
    open_table,
    read_table,
    table_names,
    view_of,
)
from carrel.warehouse.names import quoted, sql_names
from carrel.warehouse.views import PROPERTY as VIEW_PROPERTY
from carrel.warehouse.views import TableView

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """A table as it is now. `size` in bytes. `bridge`: its name there, of a dataset with `naming: bridge`. `sql`: its
    name in SQL, where another table's differs in case only."""

    name: str
    version: int
    rows: int
    files: int
    size: int
    columns: int
    bridge: str | None = None
    sql: str | None = None


def views_of(tables: "Mapping[str, DeltaTable]", reserved: Collection[str] = ()) -> list[TableView]:
    """The views of these tables (by name). No view has the name of a table, a `reserved` one or that of an earlier
    view.

    WarehouseFault when what the table says of it is not what Carrel writes.
    """
    names = {name.casefold() for name in (*tables, *reserved)}
    views = []
    for name, table in sorted(tables.items()):
        view = _view(name, view_of(table))
        if view is not None and view.name.casefold() not in names:
            names.add(view.name.casefold())
            views.append(view)
    return views


def _view(table: str, text: str) -> TableView | None:
    import duckdb

    try:
        view = TableView.of_property(table, text)
        if view is None or len(duckdb.extract_statements(view.sql())) == 1:
            return view
    except (ValueError, duckdb.Error):
        pass
    raise WarehouseFault(
        f"the property {VIEW_PROPERTY} of table {table} is not what Carrel writes: somebody changed it"
    )


def list_tables(storage: WarehouseStorage) -> Iterator[TableInfo]:
    """Yield every data table that was committed, as it is now."""
    tables = _open_tables(storage)
    bridge_names = {view.table: view.name for view in views_of(tables, OURS)}
    aliases = {name: alias for name, alias in sql_names(tables).items() if alias != name}
    for name, table in tables.items():
        files = active_files(table)
        yield TableInfo(
            name=name,
            version=table.version(),
            rows=sum(file.rows for file in files),
            files=len(files),
            size=sum(file.size for file in files),
            columns=len(table.schema().fields),
            bridge=bridge_names.get(name),
            sql=aliases.get(name),
        )


OURS = ("ledger", "quarantine")
"""Names that no view has."""


def _open_tables(storage: WarehouseStorage) -> "dict[str, DeltaTable]":
    tables = {name: open_table(storage, name) for name in table_names(storage)}
    return {name: table for name, table in tables.items() if table is not None}


def query(warehouse: str, sql: str) -> Any:
    """A DuckDB relation over the tables as they are now, by name; `ledger` and `quarantine` are there too, and tables
    of datasets with `naming: bridge` also under the contract's names."""
    import duckdb

    storage = open_storage(warehouse)
    connection = duckdb.connect()
    tables = _open_tables(storage)
    aliases = sql_names(tables)
    for name in (*tables, LEDGER, QUARANTINE):
        dataset = open_dataset(storage, name, tables.get(name))
        if dataset is not None:
            connection.register(aliases.get(name, name.removeprefix("_")), dataset)
    for view in views_of(tables, OURS):
        # Where a run is just between a table's new columns and its view, the view is not there yet.
        with suppress(duckdb.BinderException):
            connection.execute(view.sql(aliases[view.table]))
    return connection.sql(sql)


def find_view(storage: WarehouseStorage, name: str) -> TableView | None:
    """The view of this name, whatever the case."""
    views = views_of(_open_tables(storage), OURS)
    return next((view for view in views if view.name.casefold() == name.casefold()), None)


def view_schema(storage: WarehouseStorage, view: TableView, version: int | None = None) -> "pa.Schema":
    """Its columns, now or at a `version` of its table. KeyError when the table had no view then, DeltaError when there
    is no such version."""
    import duckdb

    table = open_table(storage, view.table, version)
    assert table is not None
    views = views_of({view.table: table})
    if not views:
        raise KeyError(view.name)
    connection = duckdb.connect()
    connection.register(view.table, open_dataset(storage, view.table, table))
    connection.execute(views[0].sql())
    schema: pa.Schema = connection.table(quoted(views[0].name)).limit(0).to_arrow_table().schema
    return schema


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
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


def quarantine_rows(storage: WarehouseStorage, chosen: QuarantineFilter | None = None) -> list[dict[str, Any]]:
    """Lines of the quarantine (None: all), newest run last."""
    table = read_table(storage, QUARANTINE)
    rows = table.to_pylist() if table is not None else []
    return sorted(
        filter(chosen, rows) if chosen else rows,
        key=lambda row: (row["_run_id"], row["archive_uri"], row["source_file"] or ""),
    )


def rows_by_record(storage: WarehouseStorage, name: str) -> dict[str, int]:
    """Count the rows of one table by record id. Reads one column."""
    dataset = open_dataset(storage, name)
    if dataset is None:
        return {}
    counted = dataset.to_table(columns=["recordid"]).group_by("recordid").aggregate([([], "count_all")])
    return dict(zip(counted["recordid"].to_pylist(), counted["count_all"].to_pylist(), strict=True))
