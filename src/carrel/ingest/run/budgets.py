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


@dataclass(slots=True)
class Spent:
    """`offenders`: files that do not fit the budget; `kept`: the columns that the others have."""

    offenders: list[NonconformingFile] = field(default_factory=list)
    kept: Fields = field(default_factory=dict)

    def trimmed(self, schema: DatasetSchema) -> DatasetSchema:
        """`schema`, of the parts of a batch, without what only offenders have."""
        tables = {name: self._trimmed(table) for name, table in schema.tables.items() if name in self.kept}
        return DatasetSchema(schema.dataset, tables)

    def _trimmed(self, table: TableSchema) -> TableSchema:
        kept = self.kept[table.name]
        columns = tuple(
            each
            for each in table.columns
            if each.field in kept or (each.field.role == "variant" and Field(each.field.path) in kept)
        )
        return TableSchema(table.name, columns, table.is_child)


def spent(
    storage: WarehouseStorage,
    known: DatasetSchema | None,
    seen: Iterable[DatasetSchema],
    parts: Sequence[Part],
    budget: Budget,
    gone: frozenset[tuple[str, ...]] = frozenset(),
) -> Spent | None:
    """None when everything fits, which the schemas alone show. Else reads the parts. `gone`: files that are refused
    anyway."""
    have = _fields(known) if known else {}
    all_fields = {name: set(fields) for name, fields in have.items()}
    for schema in seen:
        for name, fields in _fields(schema).items():
            all_fields.setdefault(name, set()).update(fields)
    wide = {name for name, fields in all_fields.items() if len(fields) > max(budget.columns, len(have.get(name, ())))}
    if not wide and len(all_fields) <= max(budget.tables, len(have)):
        return None
    files = {file: new for file, new in _new_fields(storage, parts, have).items() if file not in gone}
    return _decided(files, have, wide, budget)


def _fields(schema: DatasetSchema) -> Fields:
    return {name: set(table.by_field) for name, table in schema.tables.items()}


def _new_fields(storage: WarehouseStorage, parts: Sequence[Part], have: Mapping[str, set[Field]]) -> dict[File, Fields]:
    """file -> the columns that it has and the catalog has not."""
    found: dict[File, Fields] = {}
    for part in parts:
        old = have.get(part.table, set())
        new = [each for each in TableSchema.from_bytes(part.table, part.schema).columns if each.field not in old]
        for block in read_blocks(storage, part.table, part.file.path):
            for file, fields in _by_file(block, {each.name: each.field for each in new}):
                found.setdefault(file, {}).setdefault(part.table, set()).update(fields)
    return found


def _by_file(block: pa.Table, new: Mapping[str, Field]) -> Iterator[tuple[File, list[Field]]]:
    """Each row is known by the number of its file, so that no column costs more than a look at itself."""
    rows = list(zip(*(block.column(name).to_pylist() for name in _FILE), strict=True))
    names: list[File] = list(dict.fromkeys(rows))
    yield from ((file, []) for file in names)
    number_of = {file: number for number, file in enumerate(names)}
    numbers = pa.array([number_of[row] for row in rows], pa.int32())
    for name, place in new.items():
        for number in numbers.filter(pc.is_valid(block.column(name).combine_chunks())).unique().to_pylist():
            yield names[number], [place]


def _decided(files: Mapping[File, Fields], have: Mapping[str, set[Field]], wide: set[str], budget: Budget) -> Spent:
    made = Spent(kept={name: set(fields) for name, fields in have.items()})

    def cost(file: File) -> tuple[int, int, File]:
        columns = sum(len(files[file].get(name, ())) for name in wide)
        return columns, len(files[file].keys() - have.keys()), file

    for file in sorted(files, key=cost):
        new = files[file]
        after = {name: made.kept.get(name, set()) | new[name] for name in wide & new.keys() if new[name]}
        if any(len(fields) > budget.columns for fields in after.values()):
            bad = max(after, key=lambda name: (len(after[name]), name))
            made.offenders.append(_over_budget(file, new[bad], "too_many_columns"))
        elif new.keys() - made.kept.keys() and len(new.keys() | made.kept.keys()) > budget.tables:
            arrays = {name: {each for each in fields if each.role == "len"} for name, fields in new.items()}
            bad = max(arrays, key=lambda name: (len(arrays[name]), name))
            made.offenders.append(_over_budget(file, arrays[bad], "too_many_tables"))
        else:
            for name, fields in new.items():
                made.kept.setdefault(name, set()).update(fields)
    return made


def _over_budget(file: File, fields: set[Field], keyword: str) -> NonconformingFile:
    """The file with the object that is used as a map, most likely."""
    recordid, source_file, archive_uri, archive_etag = file
    return NonconformingFile(
        recordid=recordid,
        source_file=source_file,
        archive_uri=archive_uri,
        archive_etag=archive_etag,
        pointer=pointer_of(widest(field.path for field in fields)),
        keyword=keyword,
    )
