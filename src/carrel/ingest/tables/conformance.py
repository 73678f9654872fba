"""Bringing a table that was written under one schema into another: renaming, widening, filling, moving to variants."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.json_pointers import pointer_of
from carrel.ingest.tables import kinds
from carrel.ingest.tables.kinds import STRING
from carrel.ingest.tables.names import Field
from carrel.ingest.tables.reserved_columns import with_dictionaries
from carrel.ingest.tables.schema import Column, TableSchema


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class NonconformingFile:
    """A file whose rows do not fit a schema under the policies quarantine and freeze."""

    recordid: str
    source_file: str
    archive_uri: str
    archive_etag: str
    pointer: str
    keyword: str = "kind"
    """What it does not fit: the kind of a column, or the number of columns or tables (`too_many_columns`,
    `too_many_tables`)."""

    @property
    def file(self) -> tuple[str, ...]:
        """What tells files apart: two exports of a record may have one of the same name."""
        return self.recordid, self.source_file, self.archive_uri, self.archive_etag


def needs_rewrite(written: TableSchema, target: TableSchema) -> bool:
    """Whether a file written under `written` reads wrongly under `target`: a shared column has another name or type.

    Columns that only `target` has are no reason: readers fill them with nulls.
    """
    targets = target.by_field
    return any(
        column.field not in targets
        or (column.name, column.kind) != (targets[column.field].name, targets[column.field].kind)
        for column in written.columns
    )


def conform(table: pa.Table, written: TableSchema, target: TableSchema) -> pa.Table:
    """`table` (written under `written`) as `target` has it; works for parts of this run and for committed tables alike.

    Values that do not fit a column of `target` go to its variant column where `target` has one, else become text.
    Columns that `target` does not have are left out. A ValueError when values would be lost; `nonconforming_files`
    says whose.
    """
    schema = (
        with_dictionaries(target.to_arrow())
        if pa.types.is_dictionary(table.field("recordid").type)
        else target.to_arrow()
    )
    cells = _Cells(table, written)
    data = {column.name: cells.conform(column, target) for column in target.columns}
    columns = [data[name] if name in data else table.column(name) for name in schema.names]
    return pa.table(columns, schema=schema)


class _Cells:
    """The cells of a table, for columns of another schema."""

    def __init__(self, table: pa.Table, written: TableSchema):
        self.table = table
        self.written = written.by_field

    def conform(self, column: Column, target: TableSchema) -> pa.ChunkedArray:
        if column.field.role == "variant":
            return self._variant(column, target)
        source = self.written.get(column.field)
        if source is None:
            return self._nulls(column)
        cells = self.table.column(source.name)
        has_variant = Field(column.field.path, "variant") in target.by_field
        if not _misfits(source, column) or (column.kind == STRING and not has_variant):
            return convert(cells, source.kind, column.kind)
        if not has_variant and _misfitting(cells, source.kind, column.kind).null_count < len(cells):
            raise ValueError(
                f"{target.name}.{column.name} has no place for some values; drop the `nonconforming_files` first"
            )
        # Some cells fit although their column's kind does not: integers in a column that also held longer ones.
        integers = [_as_int(value, source.kind, column.kind) for value in cells.to_pylist()]
        values = [None if number is None else kinds.cast(number, column.kind) for number in integers]
        return pa.chunked_array([pa.array(values, kinds.ARROW[column.kind])])

    def _variant(self, column: Column, target: TableSchema) -> pa.ChunkedArray:
        """What is there already, and what moves there because the column's kind is another now."""
        field = Field(column.field.path)
        variant, source = self.written.get(column.field), self.written.get(field)
        target_column = target.by_field.get(field)
        cells = self.table.column(variant.name) if variant else self._nulls(column)
        if source and target_column and _misfits(source, target_column):
            moved = _misfitting(self.table.column(source.name), source.kind, target_column.kind)
            return pc.coalesce(cells, _to_text(moved, kinds.json_text))
        return cells

    def _nulls(self, column: Column) -> pa.ChunkedArray:
        return pa.chunked_array([pa.nulls(self.table.num_rows, kinds.ARROW[column.kind])])


def _misfits(written: Column, target: Column) -> bool:
    """Whether there may be cells that do not fit."""
    has_long = written.kind == kinds.INT and kinds.LONG in written.kinds
    return not kinds.fits(kinds.LONG if has_long else written.kind, target.kind)


def _misfitting(cells: pa.ChunkedArray, before: str, after: str) -> pa.ChunkedArray:
    """The cells that do not fit, the others null."""
    values = [None if _as_int(value, before, after) is not None else value for value in cells.to_pylist()]
    return pa.chunked_array([pa.array(values, cells.type)])


def _as_int(value: Decimal | int | None, before: str, after: str) -> int | None:
    if before not in (kinds.DECIMAL, kinds.INT) or after not in (kinds.INT, kinds.FLOAT) or value is None:
        return None
    number = int(value)
    return number if kinds.fits(kinds.kind_of(number), after) else None


def convert(cells: pa.ChunkedArray, before: str, after: str) -> pa.ChunkedArray:
    """Cells of kind `before` as kind `after`, which `before` joins into."""
    if before == after:
        return cells
    if after == STRING and before in (kinds.FLOAT, kinds.DECIMAL):
        return _to_text(cells, kinds.text_of)
    return pc.cast(cells, kinds.ARROW[after], safe=False)


def _to_text(cells: pa.ChunkedArray, text: Callable[[object], str]) -> pa.ChunkedArray:
    values = [None if value is None else text(value) for value in cells.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])


def nonconforming_files(table: pa.Table, written: TableSchema, target: TableSchema) -> tuple[NonconformingFile, ...]:
    """Files with values that `target` has no place for (policies quarantine, freeze); drop them from every table.

    Each file once, with the first place that does not fit.
    """
    files: dict[tuple[str, ...], NonconformingFile] = {}
    for column in written.columns:
        for file in _files_with(table, column, nonconforming_cells(table, column, target)):
            files.setdefault(file.file, file)
    return tuple(sorted(files.values()))


def nonconforming_cells(table: pa.Table, column: Column, target: TableSchema) -> pa.ChunkedArray | None:
    """The column's cells (others null) that have no place in `target`; None when all have.

    A variant column holds only such.
    """
    cells, target_column = table.column(column.name), target.by_field.get(column.field)
    if target_column is None or column.field.role == "variant":
        return cells
    return _misfitting(cells, column.kind, target_column.kind) if _misfits(column, target_column) else None


def _files_with(table: pa.Table, column: Column, cells: pa.ChunkedArray | None) -> Iterator[NonconformingFile]:
    if cells is None:
        return
    rows = table.filter(pc.is_valid(cells)).select(_FILE)
    for row in rows.group_by(_FILE).aggregate([]).to_pylist():
        recordid, source_file, uri, etag = (row[name] for name in _FILE)
        yield NonconformingFile(
            recordid=recordid,
            source_file=source_file,
            archive_uri=uri,
            archive_etag=etag,
            pointer=pointer_of(column.field.path),
        )


_FILE = ["recordid", "_source_file", "_archive_uri", "_archive_etag"]


def without_files(table: pa.Table, files: Iterable[NonconformingFile]) -> pa.Table:
    """The table without the rows of these files."""
    excluded = {file.file for file in files}
    if not excluded:
        return table
    rows = zip(*(table.column(name).to_pylist() for name in _FILE), strict=True)
    return table.filter(pa.array([row not in excluded for row in rows], pa.bool_()))
