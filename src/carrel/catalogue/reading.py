"""Which tables and columns a SQL text reads, and which of them a database does not have.

Only what is certain is called missing. What cannot be told is in `unchecked`, with why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal, NamedTuple
from weakref import finalize

from carrel.catalogue.outlines import REMEMBERED_CHARACTERS, REMEMBERED_TEXTS, outline_of
from carrel.catalogue.sql import (
    ColumnMention,
    JoinKey,
    Relation,
    SelectQuery,
    SqlName,
    SqlOutline,
    SqlQuery,
    fold,
)
from carrel.messages.catalogue import CatalogueDatabase, CatalogueTable, SqlDialect
from carrel.units.limits import MAX_LISTED

_SYSTEM_SCHEMAS = {"information_schema", "pg_catalog", "sys", "system"}
_SYSTEM_TABLES = ("duckdb_", "pg_", "sqlite_", "pragma_", "#", "@")
_EVERYWHERE = frozenset(
    {
        *("rowid", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "user", "current_user", "session_user"),
        *("system_user", "current_role", "current_catalog", "current_schema", "current_date", "current_time"),
        *("current_timestamp", "localtime", "localtimestamp", "$path", "$partition", "$row_id"),
    }
)
"""Names that databases have for every table, or that are functions without brackets."""
_DOTTED_STRUCTS: frozenset[SqlDialect] = frozenset({"duckdb", "trino"})
"""Dialects where `a.b` may be field b of column a."""


class ColumnRead(NamedTuple):
    """A column of a table, by the catalogue's names, else as the SQL writes them. `*`: all, whatever they are."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A table, or a column of one of `tables`, that SQL names and a database does not have."""

    kind: Literal["table", "column"]
    name: str
    tables: tuple[str, ...] = ()
    suggestion: str = ""

    def sentence(self, backend: str) -> str:
        """`south has no `sgss_status``: the name, where it was looked for, and what may have been meant."""
        where = f" in {_listed(self.tables)}" if self.tables else ""
        what = f"table `{self.name}`" if self.kind == "table" else f"`{self.name}`"
        return f"{backend} has no {what}{where}" + (f" ({self.suggestion})" if self.suggestion else "")


@dataclass(frozen=True, slots=True)
class SqlReading:
    """What a text reads of a database. `permissions`: those that tables which it reads ask for."""

    tables: tuple[str, ...] = ()
    columns: tuple[ColumnRead, ...] = ()
    missing: tuple[Missing, ...] = ()
    unchecked: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


def columns_read(sql: str, dialect: SqlDialect, database: CatalogueDatabase | None = None) -> SqlReading:
    """Return which tables and columns a text reads; resolved with a database's tables where it is given."""
    return read_outline(outline_of(sql, dialect)) if database is None else index_of(database).read(sql)


def missing(sql: str, database: CatalogueDatabase) -> tuple[Missing, ...]:
    """Return what a text names and the database certainly does not have."""
    return index_of(database).read(sql).missing


def read_outline(outline: SqlOutline, index: TableIndex | None = None) -> SqlReading:
    """Hold a text against the tables of a database, or only tell its names where there is none."""
    reader = _Reader(outline, index)
    try:
        for query in outline.queries:
            reader.shape(query, ())
    except RecursionError:
        reader.unchecked["it is nested too deeply to be understood here"] = None
    return reader.reading()


class TableIndex:
    """The tables of one database, found as its SQL finds them; remembers what it has told of a text."""

    def __init__(self, database: CatalogueDatabase) -> None:
        self.dialect = database.dialect
        self.is_complete = database.is_complete
        self.search_path = [self.fold(schema) for schema in database.search_path]
        self.by_name: dict[str, list[CatalogueTable]] = {}
        for table in database.tables:
            self.by_name.setdefault(self.fold(table.name), []).append(table)
        self.schemas = {self.fold(table.schema_name) for table in database.tables if table.schema_name}
        self.columns: dict[int, dict[str, str]] = {}
        self.shapes: dict[int, _Shape] = {}
        self.readings: dict[str, SqlReading] = {}

    def fold(self, name: str) -> str:
        return fold(name, self.dialect)

    def find(self, name: tuple[SqlName, ...]) -> CatalogueTable | None:
        """Return the table that `t`, `schema.t` or `catalog.schema.t` means; None where none of that name is there."""
        tables = self.by_name.get(name[-1].folded, [])
        if len(name) > 1:
            schema = name[-2].folded
            of_schema = [table for table in tables if table.schema_name and self.fold(table.schema_name) == schema]
            return next(iter(of_schema or [table for table in tables if not table.schema_name]), None)
        path = [None, *self.search_path]
        for schema_name in path:
            for table in tables:
                if (self.fold(table.schema_name) if table.schema_name else None) == schema_name:
                    return table
        return next(iter(tables), None) if not self.search_path else None

    def read(self, sql: str) -> SqlReading:
        """Return what a text reads of this database."""
        if (remembered := self.readings.get(sql)) is not None:
            return remembered
        reading = read_outline(outline_of(sql, self.dialect), self)
        if len(sql) <= REMEMBERED_CHARACTERS:
            if len(self.readings) >= REMEMBERED_TEXTS:
                self.readings.clear()
            self.readings[sql] = reading
        return reading

    def label(self, table: CatalogueTable) -> str:
        """Return what people call a table: without its schema, where SQL finds it without."""
        is_near = table.schema_name is None or self.fold(table.schema_name) in self.search_path[:1]
        return table.name if is_near else table.qualified_name

    def shape_of(self, table: CatalogueTable) -> _Shape:
        """Return the columns of a table as those of a relation."""
        if id(table) not in self.shapes:
            name = table.qualified_name
            names = {folded: (ColumnRead(name, column),) for folded, column in self.columns_of(table).items()}
            self.shapes[id(table)] = _Shape(names, (name,), () if names else (name,))
        return self.shapes[id(table)]

    def columns_of(self, table: CatalogueTable) -> dict[str, str]:
        """Return the columns by their folded names."""
        if id(table) not in self.columns:
            self.columns[id(table)] = {self.fold(column.name): column.name for column in table.columns}
        return self.columns[id(table)]

    def like(self, name: tuple[SqlName, ...]) -> str:
        """Return what to write in place of a table's name that is not there; nothing where nothing is like it."""
        elsewhere = self.by_name.get(name[-1].folded)
        if elsewhere and len(name) == 1:
            return f"it is there as `{elsewhere[0].qualified_name}`"
        return _did_you_mean(name[-1].folded, {key: tables[0].name for key, tables in self.by_name.items()})


_indices: dict[int, TableIndex] = {}


def index_of(database: CatalogueDatabase) -> TableIndex:
    """Return the index of a database's tables: the one that there is, as long as somebody holds the catalogue.

    A job server asks the same of the same catalogue for each page.
    """
    index = _indices.get(id(database))
    if index is None:
        index = _indices[id(database)] = TableIndex(database)
        finalize(database, _indices.pop, id(database), None)
    return index


@dataclass(frozen=True, slots=True)
class _Shape:
    """The columns of a relation or of a query's result.

    `names`: by folded name, the columns of tables that it passes on as they are. `tables`: those whose columns it
    passes on, where a name may be missing. `unknown`: those of them whose columns are not known. `is_open`: it may
    have other columns, of which nothing can be said.
    """

    names: Mapping[str, tuple[ColumnRead, ...]] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Visible:
    """A relation in sight. `name`: of its table, as written."""

    alias: str
    name: tuple[SqlName, ...]
    shape: _Shape
    is_starred: bool

    def is_called(self, qualifier: tuple[SqlName, ...]) -> bool:
        """Whether `a.` or `schema.a.` before a column means this relation."""
        if len(qualifier) == 1:
            return qualifier[0].folded == (self.alias or (self.name[-1].folded if self.name else ""))
        own, said = ([part.folded for part in parts] for parts in (self.name, qualifier))
        return not self.alias and own[-len(said) :] == said


@dataclass(frozen=True, slots=True)
class _Frame:
    """The relations of one SELECT, and what joins made one of."""

    relations: tuple[_Visible, ...]
    merged: frozenset[str] = frozenset()
    is_natural: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables whose columns its relations have."""
        return tuple(dict.fromkeys(table for relation in self.relations for table in relation.shape.tables))


_Outcome = Literal["found", "open", "absent"]


class _Reader:
    """Holds one outline against one database."""

    def __init__(self, outline: SqlOutline, index: TableIndex | None) -> None:
        self.outline, self.index = outline, index
        self.tables: dict[str, CatalogueTable | None] = {}
        self.columns: dict[ColumnRead, None] = {}
        self.missing: dict[Missing, None] = {}
        self.unchecked = dict.fromkeys(outline.unchecked)
        self.shapes: dict[int, _Shape] = {}

    def reading(self) -> SqlReading:
        permissions = {table.permission for table in self.tables.values() if table and table.permission}
        return SqlReading(
            tables=tuple(sorted(self.tables)),
            columns=tuple(sorted(self.columns)),
            missing=tuple(self.missing)[:MAX_LISTED],
            unchecked=tuple(self.unchecked)[:MAX_LISTED],
            permissions=tuple(sorted(permissions)),
        )

    # -- queries

    def shape(self, query: SqlQuery, outer: tuple[_Frame, ...]) -> _Shape:
        """Read a query, once however often it is named, and return the columns of its result."""
        if id(query) not in self.shapes:
            self.shapes[id(query)] = _Shape(is_open=True)  # what a recursive query sees of itself
            for cte in query.ctes:
                self.shape(cte, outer)
            self.shapes[id(query)] = (
                self.select(query, outer) if isinstance(query, SelectQuery) else self.union(query, outer)
            )
        return self.shapes[id(query)]

    def union(self, query: SqlQuery, outer: tuple[_Frame, ...]) -> _Shape:
        assert not isinstance(query, SelectQuery)
        first, *_ = [self.shape(branch, outer) for branch in query.branches]
        if query.tail is not None:
            self.shape(query.tail, outer)
        return first

    def select(self, query: SelectQuery, outer: tuple[_Frame, ...]) -> _Shape:
        frame = self.frame(query, outer)
        for key in query.keys:
            self.join_key(key, frame)
        names = [item.name for item in query.items]
        for mention in query.mentions:
            is_alias = len(mention.parts) == 1 and mention.parts[0].folded in names[: mention.aliases]
            near = frame if mention.reach is None else replace(frame, relations=frame.relations[: mention.reach])
            self.mention(mention, (near, *outer), is_alias=is_alias)
        for subquery in query.subqueries:
            self.shape(subquery, (frame, *outer))
        return self.result(query, frame)

    def frame(self, query: SelectQuery, outer: tuple[_Frame, ...]) -> _Frame:
        visible: list[_Visible] = []
        for relation in query.relations:
            around = (_Frame(tuple(visible)), *outer) if relation.is_lateral else outer
            shape = self.relation(relation, around)
            visible.append(_Visible(relation.alias, relation.name, shape, relation.is_starred))
        return _Frame(tuple(visible), frozenset(key.name.folded for key in query.keys), query.is_natural)

    def relation(self, relation: Relation, outer: tuple[_Frame, ...]) -> _Shape:
        if relation.query is not None:
            shape = self.shape(relation.query, outer)
        elif relation.name:
            shape = self.table(relation.name)
        else:
            return _Shape(dict.fromkeys((*relation.columns, relation.alias), ()), is_open=not relation.columns)
        return _renamed(shape, relation.columns) if relation.columns else shape

    def table(self, name: tuple[SqlName, ...]) -> _Shape:
        """Return the columns of a table of the database; one that is not there has any."""
        written = ".".join(part.written for part in name)
        if self.index is None:
            self.tables[written] = None
            return _Shape(tables=(written,), unknown=(written,))
        if name[-1].folded in self.outline.created:
            return _Shape(is_open=True)
        table = self.index.find(name)
        if table is None:
            self.absent_table(name, written)
            return _Shape(is_open=True)
        self.tables[table.qualified_name] = table
        if not table.columns:
            self.unchecked[f"the catalogue lists no columns of `{table.qualified_name}`"] = None
        return self.index.shape_of(table)

    def absent_table(self, name: tuple[SqlName, ...], written: str) -> None:
        assert self.index is not None
        folded = [part.folded for part in name]
        if folded[-1].startswith(_SYSTEM_TABLES) or not _SYSTEM_SCHEMAS.isdisjoint(folded[:-1]):
            self.unchecked[f"`{written}` is a table of the database system, which catalogues do not list"] = None
        elif len(name) > 2 or (len(name) == 2 and folded[0] not in self.index.schemas and self.index.find(name[1:])):
            self.unchecked[f"`{written}` may be in another database than the one the catalogue tells of"] = None
        elif not self.index.is_complete:
            self.unchecked[f"`{written}` is not in the catalogue, which does not list every table"] = None
        else:
            self.missing[Missing("table", written, suggestion=self.index.like(name))] = None

    def result(self, query: SelectQuery, frame: _Frame) -> _Shape:
        """Return the columns of a SELECT's result, and note those that its stars take."""
        names: dict[str, tuple[ColumnRead, ...]] = {}
        tables: list[str] = []
        unknown: list[str] = []
        is_open = False
        for item in query.items:
            if item.star is None:
                is_open |= item.name is None
                names |= {item.name: ()} if item.name is not None else {}
                continue
            for shape in self.starred(item.star, frame):
                kept = {name: reads for name, reads in shape.names.items() if name not in item.hidden}
                names |= kept
                tables += shape.tables
                unknown += shape.unknown
                is_open |= shape.is_open
                self.read_all(kept.values(), shape.unknown)
        return _Shape(names, tuple(dict.fromkeys(tables)), tuple(dict.fromkeys(unknown)), is_open)

    def starred(self, star: ColumnMention, frame: _Frame) -> Iterator[_Shape]:
        """Yield the shapes whose columns `*` or `a.*` takes; of `a.*` with a struct a, none that is known."""
        if not star.parts:
            yield from (relation.shape for relation in frame.relations if relation.is_starred)
            return
        called = [relation.shape for relation in frame.relations if relation.is_called(star.parts)]
        if not called and self.mention(ColumnMention(star.parts), (frame,)) != "absent":
            called = [_Shape(is_open=True)]
        yield from called[:1]

    def read_all(self, reads: Iterable[tuple[ColumnRead, ...]], unknown: Iterable[str]) -> None:
        self.columns.update((read, None) for several in reads for read in several)
        self.columns.update((ColumnRead(table, "*"), None) for table in unknown)

    # -- names

    def join_key(self, key: JoinKey, frame: _Frame) -> None:
        """Read a column of USING, which both sides must have."""
        sides = (frame.relations[key.index : key.index + 1], frame.relations[: key.index])
        for side in sides:
            self.mention(ColumnMention((key.name,)), (_Frame(side, is_natural=True),))

    def mention(self, mention: ColumnMention, scope: tuple[_Frame, ...], *, is_alias: bool = False) -> _Outcome:
        """Read what a name means, from the inside out; note it as missing where no relation in sight has it."""
        if mention.is_star:
            for shape in self.starred(mention, scope[0]):
                self.read_all(shape.names.values(), shape.unknown)
            return "found"
        for frame in scope:
            outcome = self.mention_in(mention, frame, is_alias=is_alias)
            if outcome != "absent":
                return outcome
        if not is_alias and mention.parts[-1].folded not in _EVERYWHERE:
            self.absent(mention, scope)
        return "absent"

    def mention_in(self, mention: ColumnMention, frame: _Frame, *, is_alias: bool) -> _Outcome:
        """Read a name as a column of what stands before it, as a bare column (with its fields), or as a whole row."""
        parts = mention.parts
        for relation, name in _called(parts, frame):
            if (outcome := self.column(name, (relation,), frame)) != "absent":
                return outcome
        if len(parts) > 1 and self.outline.dialect not in _DOTTED_STRUCTS:
            return "absent"
        outcome = self.column(parts[0], frame.relations, frame, is_alias=is_alias)
        if outcome == "absent" and len(parts) == 1:
            return self.whole_row(parts[0], frame)
        return outcome

    def column(
        self, name: SqlName, relations: tuple[_Visible, ...], frame: _Frame, *, is_alias: bool = False
    ) -> _Outcome:
        """Read a column from those of `relations` that have it; what may be an alias is not guessed to be a column."""
        having = [relation for relation in relations if name.folded in relation.shape.names]
        if having:
            if len(having) > 1 and not frame.is_natural and name.folded not in frame.merged:
                self.unchecked[f"`{name.written}` may be that of several tables: write which"] = None
            self.read_all((relation.shape.names[name.folded] for relation in having), ())
            return "found"
        unknown = [table for relation in relations for table in relation.shape.unknown]
        is_open = any(relation.shape.is_open for relation in relations)
        if is_alias and (unknown or is_open):
            return "open"
        if len(unknown) == 1 and not is_open:
            self.columns[ColumnRead(unknown[0], name.written)] = None
        elif unknown:
            self.unchecked[f"`{name.written}` may be a column of {_listed(unknown)}"] = None
        return "open" if unknown or is_open else "absent"

    def whole_row(self, name: SqlName, frame: _Frame) -> _Outcome:
        """Read `t` where it names a relation and no column: its rows as values."""
        if self.outline.dialect in ("duckdb", "postgres"):
            for relation in frame.relations:
                if relation.is_called((name,)):
                    self.read_all(relation.shape.names.values(), relation.shape.unknown)
                    return "found"
        return "absent"

    def absent(self, mention: ColumnMention, scope: tuple[_Frame, ...]) -> None:
        """Note a name that nothing in sight has: as missing where a table should have had it."""
        called = next((pair for frame in scope for pair in _called(mention.parts, frame)), None)
        if called is not None:
            name, tables = called[1], called[0].shape.tables
        elif len(mention.parts) > 1 and self.outline.dialect not in _DOTTED_STRUCTS:
            self.unchecked[f"nothing in sight is called what stands before the dot in `{mention.written}`"] = None
            return
        else:
            name = mention.parts[0]
            tables = next((frame.tables for frame in scope if frame.tables), ())
        if not tables:
            self.unchecked[f"`{mention.written}` is no column of what it is read from"] = None
        elif self.index is not None:
            labels = tuple(self.index.label(table) for key in tables if (table := self.tables[key]) is not None)
            self.missing[Missing("column", name.written, labels, self.similar_column(name, tables))] = None

    def similar_column(self, name: SqlName, tables: tuple[str, ...]) -> str:
        assert self.index is not None
        candidates: dict[str, str] = {}
        for table in map(self.tables.get, tables):
            candidates |= self.index.columns_of(table) if table is not None else {}
        return _did_you_mean(name.folded, candidates)


def _called(parts: tuple[SqlName, ...], frame: _Frame) -> Iterator[tuple[_Visible, SqlName]]:
    """Yield the relations that the first parts of a name mean, each with the part that is then the column."""
    for length in range(min(3, len(parts) - 1), 0, -1):
        for relation in frame.relations:
            if relation.is_called(parts[:length]):
                yield relation, parts[length]


def _renamed(shape: _Shape, columns: tuple[str, ...]) -> _Shape:
    """Give the first columns other names, as `t(a, b)` does; where their number is not known, nothing else is."""
    if shape.unknown or shape.is_open:
        return _Shape(dict.fromkeys(columns, ()), is_open=True)
    rest = list(shape.names.items())[len(columns) :]
    firsts = zip(columns, shape.names.values(), strict=False)
    return _Shape({**dict(firsts), **dict(rest)}, shape.tables)


def _did_you_mean(folded: str, candidates: Mapping[str, str]) -> str:
    names = list(candidates)[:2_000]  # comparing with every column of a large warehouse takes long
    match = get_close_matches(folded[:100], names, n=1, cutoff=0.75)
    return f"did you mean `{candidates[match[0]]}`?" if match else ""


def _listed(names: Iterable[str]) -> str:
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return ", ".join(f"`{name}`" for name in shown[:5]) + more
