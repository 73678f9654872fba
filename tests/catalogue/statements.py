"""SQL made from a known schema, with what it reads and what of it is not there, by Hypothesis.

All columns are integers but `s`, a struct, so that whatever is drawn fits its place; `gone` and `absent` are in no
table. So DuckDB, asked to run it on empty tables, is the oracle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st

TABLES = {
    "visits": ("patient_id", "day", "cost", "s"),
    "patients": ("patient_id", "born", "Sex", "s"),
    "events": ("code", "amount", "day"),
}
GONE, ABSENT = "gone", "absent"


@dataclass(slots=True)
class Drawn:
    """What the SQL drawn so far is expected to read, and what of it is missing."""

    columns: set[tuple[str, str]] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    is_broken: bool = False
    """It names a column that its own subquery does not give: no backend can run it."""


class Source(NamedTuple):
    """Something in FROM. `table`: whose columns these are, "" for a query's; `passes`: tables whose columns it has."""

    alias: str
    table: str
    columns: tuple[str, ...]
    passes: frozenset[str] = frozenset()


class Statements:
    """Draws one statement."""

    def __init__(self, choose: Callable[[Sequence[Any]], Any], faults: bool) -> None:
        self.choose, self.faults = choose, faults
        self.drawn = Drawn()
        self.number = 0
        self.budget = 6

    def one_of(self, *choices):
        return self.choose(choices)

    def rarely(self) -> bool:
        return self.faults and self.choose(range(15)) == 14

    def fresh(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    def name(self, name: str) -> str:
        """A name in any of the ways in which DuckDB takes it for the same."""
        return self.one_of(name, name.upper(), f'"{name}"', f'"{name.lower()}"')

    # -- queries

    def statement(self) -> str:
        sql, _ = self.query((), {})
        return self.one_of("", "-- about visits\n", "/* a; b */ ") + sql + self.one_of("", ";", "\n-- end")

    def query(self, outer: tuple[Source, ...], ctes: dict[str, Source]) -> tuple[str, Source]:
        """A query, and what it is as a source."""
        self.budget -= 1
        if self.budget > 0 and self.one_of(False, False, True):
            name = self.one_of(self.fresh("cte"), "events")  # a table's name may be used for something else
            inner, source = self.query((), ctes)
            sql, result = self.union(outer, {**ctes, name: source}, must_read=name)
            return f"WITH {name} AS ({inner}) {sql}", result
        return self.union(outer, ctes)

    def union(self, outer, ctes, must_read: str = "") -> tuple[str, Source]:
        sql, result = self.select(outer, ctes, must_read)
        if self.budget > 0 and self.one_of(False, False, False, True) and "s" not in result.columns and result.columns:
            self.budget -= 1
            width = len(result.columns)
            other, _ = self.select(outer, ctes, width=width)
            sql = f"{sql} {self.one_of('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT')} {other}"
        return sql, result

    def select(self, outer, ctes, must_read: str = "", width: int = 0) -> tuple[str, Source]:
        sources: list[Source] = []
        source_sql = self.source(ctes, sources, must_read)
        while len(sources) < 3 and self.one_of(False, True):
            joined = self.source(ctes, sources)
            kind = self.one_of(", ", " CROSS JOIN ", " JOIN ", " LEFT JOIN ")
            on = f" ON {self.comparison(sources, outer)}" if kind in (" JOIN ", " LEFT JOIN ") else ""
            source_sql += f"{kind}{joined}{on}"
            if kind != ", " and self.one_of(False, True):
                break
        items, result = self.items(sources, outer, ctes, width)
        where = f" WHERE {self.condition(sources, outer, ctes)}" if self.one_of(False, True) else ""
        qualify = ""
        if self.one_of(False, False, True):
            by, order = self.column(sources, ()), self.column(sources, ())
            qualify = f" QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY {order}) = 1"
        return f"SELECT {items} FROM {source_sql}{where}{qualify}", result

    def source(self, ctes, sources: list[Source], must_read: str = "") -> str:
        alias = self.fresh("r")
        if self.budget > 0 and not must_read and self.one_of(False, False, True):
            inner, result = self.query((), ctes)
            sources.append(result._replace(alias=alias))
            return f"({inner}) AS {alias}"
        table = must_read or (ABSENT if self.rarely() else self.one_of(*TABLES, *ctes))
        is_bare = self.one_of(False, True) and table not in [source.alias for source in sources]
        alias = table if is_bare else alias
        if table == ABSENT:
            self.drawn.missing.add(ABSENT)
        plain = Source(alias, table, TABLES.get(table, ()), frozenset([table]))
        sources.append(ctes[table]._replace(alias=alias) if table in ctes else plain)
        return self.name(table) if is_bare else f"{self.name(table)} {self.one_of('', 'AS ')}{alias}"

    def items(self, sources, outer, ctes, width: int) -> tuple[str, Source]:
        if len(sources) == 1 and not width and self.one_of(False, False, True):
            (source,) = sources
            self.drawn.columns |= {(source.table, column) for column in source.columns if source.table in TABLES}
            return self.one_of("*", f"{source.alias}.*"), source._replace(table="")
        names = [self.fresh("o") for _ in range(width or self.one_of(1, 2, 3))]
        items = [f"{self.expression(sources, outer, ctes)} AS {name}" for name in names]
        return ", ".join(items), Source("", "", tuple(names))

    # -- expressions

    def condition(self, sources, outer, ctes) -> str:
        if self.budget > 0 and self.one_of(False, False, True):
            inner, _ = self.query((*sources, *outer), ctes)
            return f"{self.one_of('EXISTS', 'NOT EXISTS')} ({inner})"
        return self.comparison(sources, outer)

    def comparison(self, sources, outer) -> str:
        column = self.column(sources, outer)
        shape = self.one_of("{} > 1", "{} IS NULL", "{} IN (1, 2)", "NOT ({} BETWEEN 1 AND 2)")
        return shape.format(column)

    def expression(self, sources, outer, ctes) -> str:
        if self.budget > 0 and self.one_of(*[False] * 5, True):
            inner, result = self.query((), ctes)
            plain = next((name for name in result.columns if name != "s"), None)
            return f"(SELECT max(q.{plain}) FROM ({inner}) q)" if plain else f"(SELECT count(*) FROM ({inner}) q)"
        shape = self.one_of(
            "{}",
            "coalesce({}, 0)",
            "CAST({} AS BIGINT)",
            "list_sum(list_transform([1, 2], lambda x: x + {}))",
            "list_sum([x + {} for x in [1, 2]])",
            "max({}) OVER (ORDER BY {})",
            "CASE WHEN {} > 0 THEN {} ELSE 0 END",
        )
        return shape.format(*(self.column(sources, outer) for _ in range(shape.count("{}"))))

    def column(self, sources, outer) -> str:
        """A column's name, qualified or not, of these sources or of those around them."""
        visible = [*sources, *outer] if self.one_of(False, True) else [*sources]
        alias = self.one_of(*visible).alias
        source = next(near for near in visible if near.alias.lower() == alias.lower())
        if ABSENT in source.passes:
            return f"{source.alias}.{self.name('anything')}"
        column = GONE if self.rarely() or not source.columns else self.one_of(*source.columns)
        if column == GONE:
            self.drawn.missing |= {GONE} if source.passes else set()
            self.drawn.is_broken |= not source.passes
        elif source.table in TABLES:
            self.drawn.columns.add((source.table, column))
        written = self.name(column)
        around = [*sources, *outer]
        namesakes = [name for near in around for name in near.columns if name.lower() == column.lower()]
        is_alone = len(namesakes) == 1 or (column == GONE and len(around) == 1 and bool(source.passes))
        is_alone &= not any(ABSENT in near.passes for near in around)
        if not (is_alone and self.one_of(False, True)):
            written = f"{self.name(source.alias)}.{written}"
        return f"{written}.{self.one_of('f', 'F')}" if column == "s" else written


def statement(choose: Callable[[Sequence[Any]], Any], faults: bool) -> tuple[str, Drawn]:
    """SQL text, and what is `Drawn` of it."""
    made = Statements(choose, faults)
    return made.statement(), made.drawn


@st.composite
def statements(draw: st.DrawFn, faults: bool = False) -> tuple[str, Drawn]:
    return statement(lambda choices: draw(st.sampled_from(choices)), faults)
