"""What of a SQL text matters for the tables and columns that it reads, as plain values.

They are made once of a text, without knowing any backend (`carrel.catalogue.outlines`), and then held against each
backend's tables (`carrel.catalogue.reading`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from carrel.messages.catalogue import SqlDialect


def fold(name: str, dialect: SqlDialect, quoted: bool = True) -> str:
    """Return a name as the dialect compares it. PostgreSQL tells quoted names apart by case, and the others none."""
    return name if dialect == "postgres" and quoted else name.lower()


@dataclass(frozen=True, slots=True)
class SqlName:
    """A name as it is written, and as the dialect compares it."""

    written: str
    folded: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Something between FROM and WHERE: a table (`name`), a query, or what makes rows by itself (neither).

    `columns`: names that its alias gives its first columns.
    """

    alias: str = ""
    name: tuple[SqlName, ...] = ()
    query: SelectQuery | SetQuery | None = None
    columns: tuple[str, ...] = ()
    is_lateral: bool = False
    is_starred: bool = True
    """Whether `*` takes its columns: of a semi join only the other side is seen."""


@dataclass(frozen=True, slots=True)
class ColumnMention:
    """`b`, `a.b` or longer in an expression. As many of the select list's first names may be meant as `aliases` says.

    `is_star`: `*` or `a.*` in an expression; then `parts` are those before it. `reach`: how many of the first relations
    it sees, as a JOIN's condition does not see those joined later; None: all.
    """

    parts: tuple[SqlName, ...]
    aliases: int = 0
    is_star: bool = False
    reach: int | None = None

    @property
    def written(self) -> str:
        return ".".join(part.written for part in self.parts)


@dataclass(frozen=True, slots=True)
class SelectItem:
    """One entry of a select list. `name`: None where the database makes one up."""

    name: str | None = None
    star: ColumnMention | None = None
    hidden: frozenset[str] = frozenset()
    """Columns that `* EXCLUDE` leaves out."""


@dataclass(frozen=True, slots=True)
class JoinKey:
    """A column of USING: of the relation at `index`, and of some before it."""

    name: SqlName
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectQuery:
    """One SELECT. `ctes` come first, in their order; `subqueries` see its relations."""

    ctes: tuple[SelectQuery | SetQuery, ...] = ()
    relations: tuple[Relation, ...] = ()
    items: tuple[SelectItem, ...] = ()
    mentions: tuple[ColumnMention, ...] = ()
    subqueries: tuple[SelectQuery | SetQuery, ...] = ()
    keys: tuple[JoinKey, ...] = ()
    is_natural: bool = False
    """A NATURAL JOIN: columns that several relations have are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetQuery:
    """UNION, EXCEPT or INTERSECT; `tail`: what stands after the last branch, where the first one's names are seen."""

    ctes: tuple[SelectQuery | SetQuery, ...] = ()
    branches: tuple[SelectQuery | SetQuery, ...] = ()
    tail: SelectQuery | None = None


SqlQuery = SelectQuery | SetQuery


@dataclass(frozen=True, slots=True)
class SqlOutline:
    """A whole text. `unchecked`: what of it was not understood; `created`: tables that it makes itself."""

    dialect: SqlDialect
    queries: tuple[SqlQuery, ...] = ()
    created: frozenset[str] = frozenset()
    unchecked: tuple[str, ...] = field(default=())
