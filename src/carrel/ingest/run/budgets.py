"""Files that would give a dataset more tables, or a table of it more columns, than it may have: an object whose keys
are data, most likely.

Only the whole run shows which. What is in the catalog stays; of the files that bring something new, those that bring
the least are taken first (then by record and name), each as long as the dataset stays within its budget. So one archive
that explodes falls, whatever batch or order it came in, and the others are taken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.json_pointers import pointer_of
from carrel.ingest.run.values import Part
from carrel.ingest.store import WarehouseStorage, read_blocks
from carrel.ingest.tables import DatasetSchema, NonconformingFile, TableSchema
from carrel.ingest.tables.names import Field, widest

File = tuple[str, str, str, str]
"""(record id, source file, archive uri, etag), as `NonconformingFile.file`"""
Fields = dict[str, set[Field]]
"""table -> columns"""
_FILE = ["recordid", "_source_file", "_archive_uri", "_archive_etag"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a dataset may have: columns of data in each table, and tables."""

    columns: int
    tables: int


@dataclass(slots=True, kw_only=True)
class BudgetOutcome:
    """`offenders`: files that do not fit the budget; `columns`: those that the others have."""

    offenders: list[NonconformingFile] = field(default_factory=list)
    columns: Fields = field(default_factory=dict)

    def trim(self, schema: DatasetSchema) -> DatasetSchema:
        """`schema`, of the parts of a batch, without what only offenders have."""
        tables = {name: self._trim_table(table) for name, table in schema.tables.items() if name in self.columns}
        return DatasetSchema(schema.dataset, tables)

    def _trim_table(self, table: TableSchema) -> TableSchema:
        fields = self.columns[table.name]
        columns = tuple(
            column
            for column in table.columns
            if column.field in fields or (column.field.role == "variant" and Field(column.field.path) in fields)
        )
        return TableSchema(table.name, columns, table.is_child)


def apply_budget(
    storage: WarehouseStorage,
    before: DatasetSchema | None,
    new: Iterable[DatasetSchema],
    parts: Sequence[Part],
    *,
    budget: Budget,
    rejected: frozenset[tuple[str, ...]] = frozenset(),
) -> BudgetOutcome | None:
    """None when everything fits, which the schemas alone show. Else reads the parts. `before`: what the catalog has;
    `new`: schemas of the parts; `rejected`: files that are rejected anyway."""
    catalog_fields = _fields(before) if before else {}
    all_fields = {name: set(fields) for name, fields in catalog_fields.items()}
    for schema in new:
        for name, fields in _fields(schema).items():
            all_fields.setdefault(name, set()).update(fields)
    wide = {
        name
        for name, fields in all_fields.items()
        if len(fields) > max(budget.columns, len(catalog_fields.get(name, ())))
    }
    if not wide and len(all_fields) <= max(budget.tables, len(catalog_fields)):
        return None
    files = {
        file: fields
        for file, fields in _read_new_fields(storage, parts, catalog_fields).items()
        if file not in rejected
    }
    return _spend(files, catalog_fields, wide, budget)


def _fields(schema: DatasetSchema) -> Fields:
    return {name: set(table.by_field) for name, table in schema.tables.items()}


def _read_new_fields(
    storage: WarehouseStorage, parts: Sequence[Part], catalog_fields: Mapping[str, set[Field]]
) -> dict[File, Fields]:
    """file -> the columns that it has and the catalog has not."""
    files: dict[File, Fields] = {}
    for part in parts:
        old = catalog_fields.get(part.table, set())
        columns = TableSchema.from_bytes(part.table, part.schema).columns
        new = {column.name: column.field for column in columns if column.field not in old}
        for block in read_blocks(storage, part.table, part.file.path):
            for file, fields in _by_file(block, new):
                files.setdefault(file, {}).setdefault(part.table, set()).update(fields)
    return files


def _by_file(block: pa.Table, new: Mapping[str, Field]) -> Iterator[tuple[File, list[Field]]]:
    """Each row is known by the number of its file, so that no column costs more than a look at itself."""
    rows = list(zip(*(block.column(name).to_pylist() for name in _FILE), strict=True))
    files: list[File] = list(dict.fromkeys(rows))
    yield from ((file, []) for file in files)
    number_of = {file: number for number, file in enumerate(files)}
    numbers = pa.array([number_of[row] for row in rows], pa.int32())
    for name, new_field in new.items():
        for number in numbers.filter(pc.is_valid(block.column(name).combine_chunks())).unique().to_pylist():
            yield files[number], [new_field]


def _spend(
    files: Mapping[File, Fields], catalog_fields: Mapping[str, set[Field]], wide: set[str], budget: Budget
) -> BudgetOutcome:
    """Take files as long as they fit, those that bring the least first."""
    columns = {name: set(fields) for name, fields in catalog_fields.items()}
    offenders: list[NonconformingFile] = []

    def cost(file: File) -> tuple[int, int, File]:
        count = sum(len(files[file].get(name, ())) for name in wide)
        return count, len(files[file].keys() - catalog_fields.keys()), file

    for file in sorted(files, key=cost):
        new = files[file]
        after = {name: columns.get(name, set()) | new[name] for name in wide & new.keys() if new[name]}
        if any(len(fields) > budget.columns for fields in after.values()):
            widest_table = max(after, key=lambda name: (len(after[name]), name))
            offenders.append(_offender(file, new[widest_table], "too_many_columns"))
        elif new.keys() - columns.keys() and len(new.keys() | columns.keys()) > budget.tables:
            arrays = {name: {column for column in fields if column.role == "len"} for name, fields in new.items()}
            widest_table = max(arrays, key=lambda name: (len(arrays[name]), name))
            offenders.append(_offender(file, arrays[widest_table], "too_many_tables"))
        else:
            for name, fields in new.items():
                columns.setdefault(name, set()).update(fields)
    return BudgetOutcome(offenders=offenders, columns=columns)


def _offender(file: File, fields: set[Field], keyword: str) -> NonconformingFile:
    """The file, with a pointer to the object that is used as a map, most likely."""
    record_id, source_file, archive_uri, archive_etag = file
    return NonconformingFile(
        recordid=record_id,
        source_file=source_file,
        archive_uri=archive_uri,
        archive_etag=archive_etag,
        pointer=pointer_of(widest(column.path for column in fields)),
        keyword=keyword,
    )
