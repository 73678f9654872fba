"""Delta warehouses: `delta:///srv/warehouse`, a folder with a Delta table in each of `tables/<name>/`.

One Delta table alone, and a folder of them, are warehouses too. A query sees one fixed version of each table, under the
table's name: those that `?versions=Motion_v1=4,Weather_v1=2` names (`?version=4` for one table alone), and no other
tables; without them, the newest. DuckDB is given the rows, never a path: it reads columns and row groups that the query
needs from the files of that version, and can itself reach no file at all.

A table that has a view (`carrel.warehouse.views`) can be named by the view's name too: it is a view of that version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from carrel.sqlrunner.duckdb_files import file_of, hardened_configuration, lock_settings, select
from carrel.sqlrunner.engines import Rows
from carrel.sqlrunner.errors import DatabaseFault, QueryError, SqlrunnerError, Transient
from carrel.sqlrunner.lexer import statements
from carrel.units.parts import how_to_install
from carrel.warehouse.layout import table_folders
from carrel.warehouse.names import sql_names
from carrel.warehouse.versions import commit_of, pinned_versions
from carrel.warehouse.views import PROPERTY as VIEW_PROPERTY
from carrel.warehouse.views import TableView, may_be_view_of

if TYPE_CHECKING:
    from deltalake import DeltaTable

_SCAN_ROWS = 32_768
_FEATURES = {"timestampNtz"}
_ASK = "ask whoever runs this backend"


@dataclass(frozen=True)
class Warehouse:
    """Tables by name: where each is, and the version to read (None: the newest)."""

    folders: Mapping[str, Path]
    versions: Mapping[str, int | None]

    @cached_property
    def sql_names(self) -> dict[str, str]:
        """The name of each table in SQL."""
        return sql_names(self.versions)

    def named_in(self, names: set[str]) -> list[str]:
        """List the tables that these names mean."""
        folded = {name.casefold() for name in names}
        return [table for table, name in self.sql_names.items() if name.casefold() in folded]


@dataclass(frozen=True)
class Opened:
    """One table at one version."""

    name: str
    folder: Path
    dataset: ds.FileSystemDataset

    def check_kept(self) -> None:
        """Raise `Transient` when a file of this version has been cleaned away."""
        if not all((self.folder / path).is_file() for path in self.dataset.files):
            raise _cleaned(self.name)


class Frugal(ds.Dataset):
    """A dataset that reads little ahead, so that memory depends on row groups and not on the table."""

    def __init__(self, inner: ds.Dataset) -> None:
        self.inner = inner

    @property
    def schema(self) -> pa.Schema:
        return self.inner.schema

    def scanner(self, **how: Any) -> ds.Scanner:
        options = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        ahead = {"batch_readahead": 2, "fragment_readahead": 1, "fragment_scan_options": options}
        return self.inner.scanner(**{**how, "batch_size": _SCAN_ROWS, **ahead})


@contextmanager
def open_rows(url: str, sql: str, scratch: Path) -> Iterator[Rows]:
    """Open the rows of one SELECT on the tables of a warehouse."""
    warehouse = warehouse_of(url)
    connection = lock_settings(duckdb.connect(config=hardened_configuration(scratch)))
    try:
        # Whatever in the query may be a table's name, as whatever it stands there: no others are opened.
        names = {token.name.casefold() for statement in statements(sql) for token in statement}
        views = _views(warehouse, names)
        needed = dict.fromkeys([*warehouse.named_in(names), *(view.table for view in views)])
        tables = [open_table(warehouse, name) for name in needed]
        for table in tables:
            connection.register(warehouse.sql_names[table.name], Frugal(table.dataset))
        for view in views:
            _create(connection, view, warehouse.sql_names[view.table])
        rows = _select(connection, sql, warehouse)
        yield Rows(rows.schema, _watched(rows.batches, tables))
    finally:
        connection.close()


def warehouse_of(url: str) -> Warehouse:
    """Find what the address means; `DatabaseFault` when there is no warehouse, or not the tables it names."""
    root = file_of(url)
    folders = {path.name: path for path in table_folders(root)}
    if not folders and not root.is_dir():
        raise DatabaseFault(f"The warehouse of this backend is not there: {_ASK}.", str(root))
    try:
        pinned = pinned_versions(url, root)
    except ValueError as error:
        raise DatabaseFault(f"The versions in DATABASE_URL are no numbers: {_ASK}.", str(error)) from error
    versions = dict.fromkeys(folders) if pinned is None else pinned
    if missing := sorted(set(versions) - set(folders)):
        raise DatabaseFault(f"The warehouse has no table {missing[0]}, which this job was to read: {_ASK}.")
    return Warehouse(folders, versions)


def _views(warehouse: Warehouse, names: set[str]) -> list[TableView]:
    """Find the views of these names; a table's name is no view's, and of two alike the first table's is taken.

    Only tables are opened whose views may be meant.
    """
    free = names - {name.casefold() for name in warehouse.sql_names.values()}
    views: dict[str, TableView] = {}
    for table in sorted(warehouse.versions):
        view = _view(warehouse, table) if any(may_be_view_of(table, name) for name in free) else None
        if view is not None and view.name.casefold() in free:
            views.setdefault(view.name.casefold(), view)
    return list(views.values())


def _view(warehouse: Warehouse, name: str) -> TableView | None:
    table = _delta_table(warehouse.folders[name], name, warehouse.versions[name])
    try:
        return TableView.of_property(name, table.metadata().configuration.get(VIEW_PROPERTY))
    except ValueError as error:
        raise DatabaseFault(f"The other name of table {name} cannot be read: {_ASK}.", str(error)) from error


def _create(connection: duckdb.DuckDBPyConnection, view: TableView, table: str) -> None:
    try:
        connection.execute(view.sql(table))
    except duckdb.BinderException as error:
        raise Transient(
            f"The columns of {view.table} are being changed just now: try again later.", str(error)
        ) from error
    except duckdb.Error as error:
        raise DatabaseFault(
            f"{view.name}, another name of {view.table}, cannot be read: {_ASK}.", str(error)
        ) from error


def _select(connection: duckdb.DuckDBPyConnection, sql: str, warehouse: Warehouse) -> Rows:
    try:
        return select(connection, sql)
    except QueryError as error:
        if "Table with name" not in str(error):
            raise
        there = ", ".join(sorted(warehouse.sql_names.values())) or "none"
        raise QueryError(f"{error}\nThe tables there are: {there}.", error.detail) from error


def open_table(warehouse: Warehouse, name: str) -> Opened:
    """Open one table at its version; `Transient` when that is gone, `DatabaseFault` when it cannot be read."""
    folder = warehouse.folders[name]
    table = _delta_table(folder, name, warehouse.versions[name])
    _check_features(table, name)
    opened = Opened(name, folder, _dataset(table, folder, name))
    opened.check_kept()
    return opened


def _delta_table(folder: Path, name: str, version: int | None) -> DeltaTable:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ModuleNotFoundError as error:
        message = f"This installation cannot read Delta tables. To read them, {how_to_install('ingest')}."
        raise DatabaseFault(message, str(error)) from error
    except ImportError as error:
        message = "What reads Delta tables is there but cannot be loaded: has this action too little memory?"
        raise DatabaseFault(message, str(error)) from error
    try:
        return DeltaTable(str(folder), version=version)
    except (DeltaError, OSError, ValueError) as error:
        if version is not None and not commit_of(folder, version).exists():
            raise _cleaned(name) from error
        raise DatabaseFault(f"The table {name} cannot be opened: {_ASK}.", str(error)) from error


def _cleaned(name: str) -> Transient:
    return Transient(
        f"The version of table {name} that this job was to read is no longer kept: it was cleaned away, as after a "
        "withdrawal. Run the action again: it then reads the tables as they are now."
    )


def _check_features(table: DeltaTable, name: str) -> None:
    """Reading on without knowing a feature gives wrong rows: deleted ones come back, columns change places."""
    protocol = table.protocol()
    unknown = sorted(set(protocol.reader_features or ()) - _FEATURES)
    if not unknown and protocol.min_reader_version == 2:
        mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
        unknown = [] if mapping == "none" else ["columnMapping"]
    if unknown:
        raise DatabaseFault(
            f"The table {name} uses {', '.join(unknown)}, which sqlrunner cannot read: have it written without "
            f"(for deletionVectors, by a rewrite of the table), or {_ASK}."
        )


def _dataset(table: DeltaTable, folder: Path, name: str) -> ds.FileSystemDataset:
    """Open the version's files with its schema: what a file lacks is missing, partition values come from the log."""
    from deltalake.exceptions import DeltaError

    files = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
    try:
        dataset = table.to_pyarrow_dataset(filesystem=files)
    except (DeltaError, pa.ArrowException, ValueError) as error:
        raise DatabaseFault(f"The table {name} cannot be read: {_ASK}.", str(error)) from error
    if any("://" in path or ".." in Path(path).parts or Path(path).is_absolute() for path in dataset.files):
        raise DatabaseFault(f"The table {name} consists of files elsewhere, which is not supported: {_ASK}.")
    return _without_statistics(dataset, table.metadata().partition_columns)


def _without_statistics(dataset: ds.FileSystemDataset, partitions: list[str]) -> ds.FileSystemDataset:
    """Return the same files, of which nothing is promised but their partition values.

    deltalake also promises what the log's statistics say, and says `x >= null` where they say nothing of x: Arrow then
    takes rows that fit for rows that do not. The files' own statistics are enough to skip what no row of fits.
    """
    fragments = []
    for fragment in dataset.get_fragments():
        values = ds.get_partition_keys(fragment.partition_expression)
        equals = (
            ds.field(name).is_null() if values.get(name) is None else ds.field(name) == values[name]
            for name in partitions
        )
        promised = reduce(and_, equals, ds.scalar(True))
        fragments.append(dataset.format.make_fragment(fragment.path, dataset.filesystem, promised))
    return ds.FileSystemDataset(fragments, dataset.schema, dataset.format, dataset.filesystem)


def _watched(batches: Iterator[pa.RecordBatch], tables: list[Opened]) -> Iterator[pa.RecordBatch]:
    """Pass the batches on; an error that comes of files cleaned away meanwhile says so."""
    try:
        yield from batches
    except SqlrunnerError:
        for table in tables:
            table.check_kept()
        raise
