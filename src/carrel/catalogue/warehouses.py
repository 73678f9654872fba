"""What a Delta warehouse tells of itself: its tables under the names and with the types that SQL sees, and its views.

DuckDB is given each table empty and asked for the types, so that they are in the words of whoever queries it. What a
run of ingest under way has written is not seen yet, as jobs do not see it either.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrel.messages.catalogue import CatalogueColumn, CatalogueTable, DataSet, DataVersion, rounded_rows
from carrel.units.limits import MAX_CATALOGUE_VERSIONS
from carrel.units.parts import how_to_install
from carrel.warehouse.layout import table_folders
from carrel.warehouse.names import quoted, sql_names
from carrel.warehouse.versions import data_changes, pinned_versions, query_of, version_of
from carrel.warehouse.views import PROPERTY, TableView

if TYPE_CHECKING:
    import duckdb
    from deltalake import DeltaTable

HISTORY_LOOKED_AT = 200
"""Commits of a table among which versions of its data are looked for; compacting and cleaning make commits too."""


def tables_of_warehouse(root: Path, url: str = "") -> tuple[DataSet, ...]:
    """Return the tables and views of a warehouse; those of one dataset of ingest (`Motion_v1__samples`) together.

    `url`: its address, which may fix versions. Raises OSError and ValueError.
    """
    import duckdb

    folders = {path.name: path for path in table_folders(root)}
    if not folders:
        raise ValueError(f"{root} holds no Delta table")
    versions = pinned_versions(url, root)
    if versions is None:
        versions = pinned_versions(f"?{query_of(version_of(root))}", root) or {}
    names = sql_names(versions)
    grouped: dict[str, list[CatalogueTable]] = {}
    with duckdb.connect(config={"enable_external_access": "false"}) as database:
        for table in sorted(set(versions) & set(folders)):
            group = grouped.setdefault(table.partition("__")[0], [])
            group += _described(database, folders[table], versions[table], root, names[table], set(names.values()))
    return tuple(DataSet(name=name, tables=tuple(tables)) for name, tables in grouped.items())


def _described(
    database: duckdb.DuckDBPyConnection, folder: Path, version: int, root: Path, name: str, taken: set[str]
) -> Iterator[CatalogueTable]:
    """Yield a table, and its view where it has one of a name that no table has."""
    table = _opened(folder, version)
    comments = {field.name: field.metadata.get("comment", "") for field in table.schema().fields}
    database.register(name, table.to_pyarrow_dataset().schema.empty_table())
    history = _versions(folder, version, root)
    known: dict[str, Any] = {"versions": history, "changed": history[0].date if history else None, **_rows(table)}
    yield CatalogueTable(name=name, columns=_columns(database, name, comments), **known)
    view = TableView.of_property(folder.name, table.metadata().configuration.get(PROPERTY))
    if view is not None and view.name.casefold() not in {other.casefold() for other in taken}:
        database.execute(view.sql(name))
        description = f"The table {name} under the names of BridgeDownstream."
        yield CatalogueTable(
            name=view.name, description=description, columns=_columns(database, view.name, comments), **known
        )


def _opened(folder: Path, version: int | None) -> DeltaTable:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ModuleNotFoundError as error:
        raise ValueError(f"Delta tables cannot be read here: {how_to_install('ingest')}") from error
    try:
        return DeltaTable(str(folder), version=version)
    except DeltaError as error:
        raise ValueError(f"the table {folder.name} cannot be opened ({type(error).__name__})") from error


def _columns(database: duckdb.DuckDBPyConnection, name: str, comments: dict[str, Any]) -> tuple[CatalogueColumn, ...]:
    rows = database.execute(f"DESCRIBE {quoted(name)}").fetchall()
    return tuple(
        CatalogueColumn(name=column, type=kind, nullable=nullable == "YES", description=str(comments.get(column, "")))
        for column, kind, nullable, *_ in rows
    )


def _rows(table: DeltaTable) -> dict[str, Any]:
    """Count the rows by the log, where it tells those of each file."""
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True))
    if "num_records" not in actions.column_names:
        return {}
    counts: list[int | None] = actions.column("num_records").to_pylist()
    known = [count for count in counts if count is not None]
    return rounded_rows(sum(known)) if len(known) == len(counts) else {}


def _versions(folder: Path, version: int, root: Path) -> tuple[DataVersion, ...]:
    """Return the newest versions, up to this one, whose rows or columns are others than before; newest first."""
    versions: list[DataVersion] = []
    for commit in _opened(folder, None).history(HISTORY_LOOKED_AT):  # of an older version, it counts wrongly
        number = int(commit["version"])
        before = str(number - 1) if number else None
        if number <= version and data_changes(root, {folder.name: [before, str(number)]}):
            moment = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
            versions.append(DataVersion(version=str(number), date=f"{moment:%Y-%m-%dT%H:%M:%SZ}"))
    return tuple(versions[:MAX_CATALOGUE_VERSIONS])
