"""From JSON values of many files to Arrow tables, one batch at a time; a worker runs this."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.archives import FileRejected, parse, repeated_key
from carrel.ingest.archives.faults import MACHINERY, unforeseen
from carrel.ingest.json_pointers import pointer_of
from carrel.ingest.tables import kinds
from carrel.ingest.tables.blocks import blocks_of, starts_array
from carrel.ingest.tables.conformance import NonconformingFile, conform, nonconforming_cells
from carrel.ingest.tables.levels import Level, LevelRules, Segment, TooWide, numbered_keys, segment_of
from carrel.ingest.tables.names import Field, Path, widest
from carrel.ingest.tables.reserved_columns import FileColumns, file_key
from carrel.ingest.tables.schema import Column, DatasetSchema, Declared, TableSchema
from carrel.ingest.tables.unification import unify
from carrel.ingest.values import Fault, Lineage, Policy
from carrel.units.limits import MAX_COLUMNS, MAX_TABLES

_FLUSH_ROWS = 5_000
"""About one sensor file: its objects are still in the processor's cache when their columns are collected."""
_FLUSH_FILES = 500
_HEAD = 1_000
"""So many bytes of blanks before a file's first character are waited for."""
Archive = tuple[str, str]
"""(uri, etag)"""
_NO_INDEX = pa.array([None], pa.int64())


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file whose values the tables cannot take; none of its rows are in `FlatTables.tables`."""

    lineage: Lineage
    fault: Fault


@dataclass(frozen=True, slots=True)
class FlatTables:
    """What a batch of files came to: `tables[name]` has the Arrow schema `schema.tables[name].to_arrow()`, but that
    texts which are the same for all rows of a file are dictionaries; `rows[name]` of each archive.

    `schema` also tells the kinds of rejected files, so that every worker and the coordinator decide alike.
    """

    tables: Mapping[str, pa.Table]
    schema: DatasetSchema
    rejected: tuple[Rejection, ...] = ()
    rows: Mapping[str, Mapping[Archive, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _File:
    """One file's value, or a block of it, that waits to be flattened."""

    number: int
    value: Any
    first: int


class Flattener:
    """Collects files of one dataset version and turns them into tables.

    `existing`: the catalog's schema, where there is one: tables come out in it where it fits, so that the coordinator
    need not rewrite them. Tables of a later `finish` have the columns of the earlier ones too.
    """

    def __init__(
        self,
        dataset: str,
        declared: Declared,
        policy: Policy = Policy.EVOLVE,
        *,
        existing: DatasetSchema | None = None,
        max_table_depth: int = 8,
        max_columns: int = MAX_COLUMNS,
        max_tables: int = MAX_TABLES,
    ):
        self.dataset = dataset
        self.declared = declared
        self.policy = policy
        self.existing = existing
        self.max_table_depth = max_table_depth
        self.max_columns = max_columns
        self.max_tables = max_tables
        self._seen = DatasetSchema(dataset)
        self._clear()

    def _clear(self) -> None:
        self._lineages: list[Lineage] = []
        self._pending: list[_File] = []
        self._pending_rows = 0
        self._rejected: dict[int, Fault] = {}
        self._groups: list[list[_Typed]] = []
        """What was made of files that came together; none of its tables is too wide."""

    def add(self, lineage: Lineage, value: Any, first: int = 0) -> None:
        """Take one file's parsed (and checked) JSON. `first`: position of the first element, for a block of a long
        top-level array. FileRejected `top_level` (stage types) when it is neither object nor array."""
        if not isinstance(value, (dict, list)):
            raise FileRejected("types", "top_level", "the file is neither an object nor an array")
        if not self._lineages or self._lineages[-1] != lineage:
            self._lineages.append(lineage)
        self._pending.append(_File(len(self._lineages) - 1, value, first))
        self._pending_rows += len(value) if isinstance(value, list) else 1
        if self._pending_rows >= _FLUSH_ROWS or len(self._pending) >= _FLUSH_FILES:
            self._flush()

    def add_bytes(self, lineage: Lineage, data: bytes, check: Callable[[Any], None] | None = None) -> None:
        """Parse (archives.parse), `check(value)` (raises FileRejected), and `add`."""
        value = parse(data)
        if check:
            check(value)
        self.add(lineage, value)

    def finish(self) -> FlatTables:
        """The tables of everything added since the last `finish`, which is of one file or of few keys: FileRejected
        `too_many_keys` when it is too wide for one table, `too_many_tables` when it has too many of them."""
        self._flush()
        if too_many := self._too_many([segment for group in self._groups for segment in group]):
            raise FileRejected("types", too_many, self._message(too_many))
        flats = list(self.finish_all())
        return flats[0]

    def finish_all(self) -> Iterator[FlatTables]:
        """The tables, as `finish` gives them, in as many parts as it takes for no part to have too many columns or
        tables: one, mostly. Which files stay is for who sees all of the run to decide."""
        self._flush()
        groups, self._groups = self._groups or [[]], []
        together: list[_Typed] = []
        for group in groups:
            if together and self._too_many([*together, *group]):
                yield self._flat(together)
                self._seen, self._rejected, together = DatasetSchema(self.dataset), {}, []
            together = [*together, *group]
        if self._too_many(together):
            self._seen = DatasetSchema(self.dataset)
        yield self._flat(together)
        self._clear()

    def _too_many(self, segments: list["_Typed"]) -> str | None:
        """What there is too much of, as a keyword; with what earlier parts have, which later ones have too."""
        fields: dict[str, set[Field]] = {}
        for schema in (*(segment.schema for segment in segments), *self._seen.tables.values()):
            fields.setdefault(schema.name, set()).update(schema.by_field)
        if len(fields) > self.max_tables:
            return "too_many_tables"
        return "too_many_keys" if any(len(columns) > self.max_columns for columns in fields.values()) else None

    def _message(self, keyword: str) -> str:
        if keyword == "too_many_tables":
            return f"more than {self.max_tables:,} arrays, each a table: the object at this place {_LIKE_A_MAP}"
        return f"more than {self.max_columns:,} keys in one table: the object at this place {_LIKE_A_MAP}"

    def _flat(self, segments: list["_Typed"]) -> FlatTables:
        schemas = [DatasetSchema(self.dataset, {segment.name: segment.schema}) for segment in segments]
        schema, _ = unify(self.existing, [self._seen, *schemas], self.policy)
        self._reject_nonconforming(schema, segments)
        touched = {segment.name: schema.table(segment.name) for segment in segments}
        accepted = self._accepted(segments)
        tables = {}
        for name, parts in accepted.items():
            conformed = [conform(part.table, part.schema, schema.table(name)) for part in parts]
            tables[name] = pa.concat_tables(conformed).unify_dictionaries()
        flat = FlatTables(
            tables,
            DatasetSchema(self.dataset, touched),
            tuple(Rejection(self._lineages[number], fault) for number, fault in sorted(self._rejected.items())),
            {name: self._count_rows(parts) for name, parts in accepted.items()},
        )
        self._seen, _ = unify(None, [self._seen, flat.schema], self.policy)
        return flat

    def _accepted(self, segments: list["_Typed"]) -> dict[str, list["_Typed"]]:
        """Segments by table, without the rows of rejected files."""
        rejected = pa.array(list(self._rejected), pa.int32())
        accepted: dict[str, list[_Typed]] = {}
        for segment in sorted(segments, key=lambda segment: segment.name):
            rows = segment.table
            if len(rejected):
                rows = rows.filter(pc.invert(pc.is_in(rows.column(_FILE), value_set=rejected)))
            if rows.num_rows:
                accepted.setdefault(segment.name, []).append(_Typed(rows, segment.schema))
        return accepted

    def _count_rows(self, segments: list["_Typed"]) -> Mapping[Archive, int]:
        rows: Counter[Archive] = Counter()
        for segment in segments:
            for count in pc.value_counts(segment.table.column(_FILE)).to_pylist():
                lineage = self._lineages[count["values"]]
                rows[lineage.archive_uri, lineage.archive_etag] += count["counts"]
        return rows

    def _reject_nonconforming(self, schema: DatasetSchema, segments: list["_Typed"]) -> None:
        if self.policy in (Policy.EVOLVE, Policy.VARIANT):
            return
        for segment in segments:
            for column in segment.schema.columns:
                cells = nonconforming_cells(segment.table, column, schema.table(segment.name))
                if cells is not None:
                    files = segment.table.column(_FILE).filter(pc.is_valid(cells)).unique()
                    fault = _kind_fault(pointer_of(column.field.path))
                    self._rejected = dict.fromkeys(files.to_pylist(), fault) | self._rejected

    def _flush(self) -> None:
        """Turn what was added into segments; files that no table can hold are rejected."""
        pending, self._pending, self._pending_rows = self._pending, [], 0
        self._groups += [group for group in self._group(pending) if group]

    def _group(self, pending: list[_File]) -> Iterator[list["_Typed"]]:
        """The segments of files, together if that can be; else half by half, down to the files that are at fault."""
        try:
            yield self._flatten(pending)
            return
        except UnicodeEncodeError:
            fault = Fault("json", "encoding", "a text holds half of a surrogate pair, which is no character")
        except TooWide as wide:
            fault = Fault("types", wide.keyword, self._message(wide.keyword), pointer_of(wide.at))
        except MACHINERY:
            raise
        except Exception as error:  # of one of them, most likely
            fault = unforeseen(error)
        if len(pending) == 1:
            self._rejected[pending[0].number] = fault
            return
        half = len(pending) // 2
        yield from self._group(pending[:half])
        yield from self._group(pending[half:])

    def _flatten(self, pending: list[_File]) -> list["_Typed"]:
        """Level by level from the top; each level's arrays make the next."""
        rules = LevelRules(self._fixed_kind, self.max_table_depth, self.policy is Policy.FREEZE, self.max_columns)
        done: list[_Typed] = []
        if not pending:
            return done
        first = pending[0].number
        columns = FileColumns(self._lineages[first : pending[-1].number + 1], first)
        levels = [level for level in [self._top(pending)] if level.elements]
        tables: set[str] = set()
        most: list[Path] = []
        """The arrays of the table that has the most."""
        while levels:
            tables.update(level.table for level in levels)
            if len(tables) > self.max_tables:
                raise TooWide(widest(most), "too_many_tables")
            segments = [segment_of(level, rules) for level in levels]
            most = max([most, *(segment.arrays for segment in segments)], key=len)
            done += [self._type(segment, columns) for segment in segments]
            levels = [child for segment in segments for child in segment.children]
        return done

    def _top(self, pending: list[_File]) -> Level:
        tops = [self._top_of(file) for file in pending]
        return Level(
            table=self.dataset,
            depth=1,
            elements=tops[0].elements if len(tops) == 1 else list(chain.from_iterable(top.elements for top in tops)),
            keys=pa.concat_arrays([top.keys for top in tops]),
            parents=None,
            index=pa.concat_arrays([top.index for top in tops]),
            files=pa.concat_arrays([top.files for top in tops]),
        )

    def _top_of(self, file: _File) -> Level:
        head = file_key(self._lineages[file.number])
        number = pa.scalar(file.number, pa.int32())
        is_array = isinstance(file.value, list)
        count = len(file.value) if is_array else 1
        return Level(
            table=self.dataset,
            depth=1,
            elements=file.value if is_array else [file.value],
            keys=numbered_keys(head, file.first, count) if is_array else pa.array([head]),
            parents=None,
            index=pa.arange(file.first, file.first + count) if is_array else _NO_INDEX,
            files=pa.repeat(number, count),
        )

    def _fixed_kind(self, table: str, path: Path, present: set[str]) -> str | None:
        if self.policy is Policy.EVOLVE:
            return None
        column = self.existing.table(table).by_field.get(Field(path)) if self.existing else None
        if column and self.policy is Policy.FREEZE:
            return column.kind
        if column:
            return kinds.settled_kind(present.union(column.kinds), column.kind)
        return kinds.settled_kind(present, self.declared.get(table, {}).get(path))

    def _type(self, segment: Segment, columns: FileColumns) -> "_Typed":
        level = segment.level
        declared = self.declared.get(level.table, {})
        data_columns = [
            Column(
                field=cells.field,
                name=f"{number}",
                kind=cells.kind,
                kinds=cells.kinds,
                declared=None if cells.field.role else declared.get(cells.field.path),
            )
            for number, cells in enumerate(segment.cells)
        ]
        arrays = {column.name: cells.array for column, cells in zip(data_columns, segment.cells, strict=True)}
        arrays |= {"_row_key": level.keys, "_index": level.index, "_nulls": segment.nulls, _FILE: level.files}
        arrays |= columns.of(level.files)
        if level.parents is not None:
            arrays["_parent_key"] = level.parents
        schema = TableSchema(level.table, tuple(data_columns), level.parents is not None)
        return _Typed(pa.table(arrays), schema)


_FILE = "_file"


@dataclass(slots=True)
class _Typed:
    """A segment as a table; data columns have numbers for names, their meaning is in the schema."""

    table: pa.Table
    schema: TableSchema

    @property
    def name(self) -> str:
        return self.schema.name


_LIKE_A_MAP = "looks like a map, whose keys are data"


def fault_of(offender: NonconformingFile) -> Fault:
    """The quarantine's line for a file that does not fit the tables' schema."""
    if offender.keyword == "too_many_columns":
        message = (
            "the table would have more columns than the mapping allows (max_columns): the object at this place "
            f"{_LIKE_A_MAP}"
        )
        return Fault("types", "too_many_columns", message, offender.pointer)
    if offender.keyword == "too_many_tables":
        message = (
            "the dataset would have more tables than the mapping allows (max_tables): the object at this place, whose "
            f"arrays are tables, {_LIKE_A_MAP}"
        )
        return Fault("types", "too_many_tables", message, offender.pointer)
    return _kind_fault(offender.pointer)


def _kind_fault(pointer: str) -> Fault:
    return Fault("types", "kind", "a value is of another kind than its column, or has none", pointer)


def flatten_stream(
    flattener: Flattener,
    lineage: Lineage,
    chunks: Iterable[bytes],
    *,
    check: Callable[[Any], None] | None = None,
    block_bytes: int = 2_000_000,
    repeats: Callable[[tuple[str | int, ...]], None] = lambda path: None,
) -> Iterator[FlatTables]:
    """A huge top-level array, block by block, in bounded memory; keys and indices go on across blocks.

    `check` sees each block as an array. FileRejected (from parsing or `check`) may come after blocks were handed out:
    the caller throws those away. What is no array in UTF-8 is read whole. `repeats` is told where an object has a key
    more than once, for each block that has one.
    """
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= _HEAD or starts_array(head):
            break
    whole = chain([head], stream)
    if not starts_array(head):
        data = b"".join(whole)
        value = parse(data)
        if repeated := repeated_key(data, value):
            repeats(repeated)
        if check:
            check(value)
        flattener.add(lineage, value)
        yield flattener.finish()
        return
    for block in blocks_of(whole, block_bytes):
        if block.repeated:
            repeats(block.repeated)
        if check:
            check(block.elements)
        flattener.add(lineage, block.elements, block.first)
        yield flattener.finish()
