"""SQL text to `SqlOutline`, by sqlglot: the only file that knows its trees.

What is not understood is said in `unchecked`, never passed over: whoever is told that nothing is missing relies on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from carrel.catalogue.sql import (
    ColumnMention,
    JoinKey,
    Relation,
    SelectItem,
    SelectQuery,
    SetQuery,
    SqlName,
    SqlOutline,
    SqlQuery,
    fold,
)
from carrel.messages.catalogue import SqlDialect
from carrel.units.limits import MAX_SQL_BYTES, MAX_SQL_DEPTH

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # what it warns of quotes the SQL, which is no matter for a log

REMEMBERED_CHARACTERS = 16_000
"""SQL up to this length is outlined once for all backends and pages; longer is rare, and would fill the memory."""
REMEMBERED_TEXTS = 2_000

_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_ALIAS_CLAUSES: Mapping[SqlDialect, frozenset[str]] = {
    "duckdb": frozenset({"where", "group", "having", "qualify", "order", "distinct"}),
    "postgres": frozenset({"group", "order", "distinct"}),
    "tsql": frozenset({"order"}),
    "trino": frozenset({"order"}),
}
"""Clauses of a SELECT that see the names of its select list. In DuckDB the select list itself does, too."""
_NO_EXPRESSIONS = {
    "with_",
    "from_",
    "joins",
    "match",
    "laterals",
    "expressions",
    "into",
    "hint",
    "kind",
    "operation_modifiers",
}
_ROW_MAKERS = {
    *("GENERATESERIES", "EXPLODINGGENERATESERIES", "GENERATEDATEARRAY", "GENERATETIMESTAMPARRAY", "UNNEST", "EXPLODE"),
    *("OPENJSON", "OPEN_JSON", "RANGE", "GENERATE_SERIES", "SEQUENCE", "JSON_EACH", "JSON_TREE", "JSONB_EACH"),
    *("JSON_EACH_TEXT", "JSONB_EACH_TEXT", "JSON_ARRAY_ELEMENTS", "JSONB_ARRAY_ELEMENTS", "STRING_SPLIT", "JSON_TABLE"),
    *("JSON_ARRAY_ELEMENTS_TEXT", "JSONB_ARRAY_ELEMENTS_TEXT", "REGEXP_SPLIT_TO_TABLE", "STRING_TO_TABLE"),
}
"""Functions that make rows of their arguments alone, and so read no data of which a catalogue would tell."""


def outline_of(sql: str, dialect: SqlDialect) -> SqlOutline:
    """Return what a text reads, as far as it can be told without any backend. Never raises for what a text holds."""
    if len(sql) > MAX_SQL_BYTES or len(sql.encode(errors="replace")) > MAX_SQL_BYTES:
        return SqlOutline(dialect, unchecked=(f"the SQL is longer than {MAX_SQL_BYTES // 1024} KiB",))
    return _remembered_outline(sql, dialect) if len(sql) <= REMEMBERED_CHARACTERS else _outline(sql, dialect)


def _outline(sql: str, dialect: SqlDialect) -> SqlOutline:
    language = Dialect.get_or_raise(dialect)
    try:
        tokens = language.tokenize(sql)
        if _depth(tokens) > MAX_SQL_DEPTH:
            return SqlOutline(dialect, unchecked=(f"its brackets are nested more than {MAX_SQL_DEPTH} deep",))
        trees = [tree for tree in language.parser().parse(tokens, sql) if tree is not None]
        return _Outliner(dialect).outline(trees)
    except SqlglotError as error:  # its text quotes the SQL, with colours: the place is enough
        place: Mapping[str, Any] = next(iter(getattr(error, "errors", ())), {})
        position = f" at line {place['line']}, column {place['col']}" if place.get("line") else ""
        return SqlOutline(dialect, unchecked=(f"it is not SQL that can be understood here{position}",))
    except RecursionError:
        return SqlOutline(dialect, unchecked=("it is nested too deeply to be understood here",))
    except Exception as error:  # a parser meets texts that its makers did not think of: no study may break a page
        return SqlOutline(dialect, unchecked=(f"it could not be understood ({type(error).__name__})",))


_remembered_outline = lru_cache(maxsize=REMEMBERED_TEXTS)(_outline)


def _depth(tokens: Iterable[Token]) -> int:
    depth = deepest = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        deepest = max(depth, deepest)
    return deepest


@dataclass(slots=True)
class _Clause:
    """What was met in expressions: columns, and queries that stand in them."""

    mentions: list[ColumnMention] = field(default_factory=list)
    subqueries: list[SqlQuery] = field(default_factory=list)


_Ctes = Mapping[str, Relation]


class _Outliner:
    """Walks the trees of one text."""

    def __init__(self, dialect: SqlDialect) -> None:
        self.dialect = dialect
        self.unchecked: dict[str, None] = {}
        self.created: set[str] = set()

    def outline(self, trees: list[exp.Expr]) -> SqlOutline:
        queries = [query for tree in trees for query in self.statement(tree)]
        if not trees:
            self.unchecked["it holds no statement"] = None
        return SqlOutline(self.dialect, tuple(queries), frozenset(self.created), tuple(self.unchecked))

    def statement(self, tree: exp.Expr) -> Iterator[SqlQuery]:
        """Yield the query of a statement; of one that is none, the query in it, and say that it is none."""
        if isinstance(tree, exp.Query):
            yield self.query(tree, {})
            return
        kind = f" ({tree.key.upper()})" if isinstance(tree, exp.DDL | exp.DML | exp.Command | exp.Describe) else ""
        self.unchecked[f"it holds a statement that is no SELECT{kind}"] = None
        if isinstance(tree, exp.Create):
            table = tree.find(exp.Table)
            if isinstance(tree.expression, exp.Query):
                yield self.query(tree.expression, {})
            if table is not None:
                self.created.add(fold(table.name, self.dialect, quoted=False))

    # -- queries

    def query(self, tree: exp.Expr, ctes: _Ctes) -> SqlQuery:
        """Outline SELECT, a set operation, or one of these in brackets, with what its WITH defines in sight."""
        defined, ctes = self.ctes(tree, ctes)
        if isinstance(tree, exp.Select):
            return self.select(tree, defined, ctes)
        if isinstance(tree, exp.SetOperation):
            branches = tuple(self.query(branch, ctes) for branch in _branches(tree))
            return SetQuery(ctes=defined, branches=branches, tail=self.tail(tree, branches[0], ctes))
        if isinstance(tree, exp.Subquery) and not isinstance(tree.this, exp.Table):
            query = self.query(tree.this, ctes)
            tail = self.tail(tree, query, ctes)
            return SetQuery(ctes=defined, branches=(query,), tail=tail) if defined or tail else query
        return SelectQuery(ctes=defined, relations=(self.relation(tree, ctes, None),), items=_STAR)

    def tail(self, tree: exp.Expr, query: SqlQuery, ctes: _Ctes) -> SelectQuery | None:
        """Outline ORDER BY and the like behind a set operation or brackets, which see the names of its result."""
        clause = _Clause()
        for key in ("order", "limit", "offset"):
            self.walk(tree.args.get(key), ctes, clause)
        if not clause.mentions and not clause.subqueries:
            return None
        return SelectQuery(
            relations=(Relation(query=query),),
            items=_STAR,
            mentions=tuple(clause.mentions),
            subqueries=tuple(clause.subqueries),
        )

    def ctes(self, tree: exp.Expr, outer: _Ctes) -> tuple[tuple[SqlQuery, ...], _Ctes]:
        """Outline what WITH defines: in order, and with the names that are then in sight."""
        clause = tree.args.get("with_")
        if clause is None:
            return (), outer
        visible, defined = dict(outer), []
        for cte in clause.expressions:
            name, columns = self.alias(cte)
            query = self.cte(cte.this, name, columns, visible, recursive=self.is_recursive(clause))
            visible[name] = Relation(query=query, columns=columns)
            defined.append(query)
        return tuple(defined), visible

    def is_recursive(self, clause: exp.Expr) -> bool:
        return bool(clause.args.get("recursive")) or self.dialect == "tsql"

    def cte(self, tree: exp.Expr, name: str, columns: tuple[str, ...], ctes: _Ctes, *, recursive: bool) -> SqlQuery:
        """Outline one query of WITH; a recursive one sees itself, with the columns of its first branch."""
        if not (recursive and isinstance(tree, exp.SetOperation)):
            return self.query(tree, ctes)
        defined, ctes = self.ctes(tree, ctes)
        first, *rest = _branches(tree)
        anchor = self.query(first, ctes)
        itself = {**ctes, name: Relation(query=anchor, columns=columns)}
        return SetQuery(ctes=defined, branches=(anchor, *(self.query(branch, itself) for branch in rest)))

    def select(self, tree: exp.Select, defined: tuple[SqlQuery, ...], ctes: _Ctes) -> SelectQuery:
        clause = _Clause()
        relations: list[Relation] = []
        keys: list[JoinKey] = []
        if source := tree.args.get("from_"):
            self.add_relations(source.this, ctes, clause, relations, keys)
        joins = [*(tree.args.get("joins") or ()), *(tree.args.get("laterals") or ())]
        self.add_joins(joins, ctes, clause, relations, keys)
        items = tuple(self.item(entry, index, ctes, clause) for index, entry in enumerate(tree.expressions))
        if tree.args.get("match"):
            self.unchecked["it looks for patterns of rows (MATCH_RECOGNIZE)"] = None
            relations = [Relation(query=SelectQuery(relations=tuple(relations), items=(SelectItem(),)))]
        for key, node in tree.args.items():
            if key not in _NO_EXPRESSIONS:
                sees_aliases = key in _ALIAS_CLAUSES[self.dialect]
                self.walk(node, ctes, clause, aliases=len(items) if sees_aliases else 0)
        return SelectQuery(
            ctes=defined,
            relations=tuple(relations),
            items=items,
            mentions=tuple(clause.mentions),
            subqueries=tuple(clause.subqueries),
            keys=tuple(keys),
            is_natural=any(join.args.get("method") == "NATURAL" for join in joins),
        )

    def item(self, tree: exp.Expr, index: int, ctes: _Ctes, clause: _Clause) -> SelectItem:
        """Outline one entry of a select list, and note the columns in it."""
        aliases = index if self.dialect == "duckdb" else 0
        star = tree.this if isinstance(tree, exp.Column) else tree
        if isinstance(star, exp.Star):
            self.walk(star.args.get("replace"), ctes, clause)
            mention = ColumnMention(self.parts(tree)[:-1] if isinstance(tree, exp.Column) else (), is_star=True)
            hidden = [column for key in ("except_", "rename") for column in self.named(star.args.get(key))]
            clause.mentions.extend(ColumnMention((*mention.parts, name)) for name in hidden)
            return SelectItem(star=mention, hidden=frozenset(name.folded for name in hidden))
        self.walk(tree, ctes, clause, aliases=aliases)
        name = tree.args.get({"alias": "alias", "column": "this", "dot": "expression"}.get(tree.key, ""))
        return SelectItem(self.name(name).folded if isinstance(name, exp.Identifier) else None)

    def named(self, entries: Any) -> list[SqlName]:
        """Return the names in `EXCLUDE (a, b)`, and the old ones in `RENAME (a AS b)`."""
        nodes = entries if isinstance(entries, list) else [entries] if entries else []
        columns = (node.this if isinstance(node, exp.Alias) else node for node in nodes)
        return [self.name(column.this if isinstance(column, exp.Column) else column) for column in columns]

    # -- FROM

    def add_joins(
        self,
        joins: Iterable[exp.Expr],
        ctes: _Ctes,
        clause: _Clause,
        relations: list[Relation],
        keys: list[JoinKey],
    ) -> None:
        for join in joins:
            first = len(relations)
            node = join.this if isinstance(join, exp.Join) else join
            self.add_relations(node, ctes, clause, relations, keys)
            if join.args.get("kind") in ("SEMI", "ANTI"):
                relations[first:] = [replace(relation, is_starred=False) for relation in relations[first:]]
            keys += [JoinKey(self.name(name), first) for name in join.args.get("using") or ()]
            for condition in ("on", "match_condition"):
                self.walk(join.args.get(condition), ctes, clause, reach=len(relations))

    def add_relations(
        self,
        tree: exp.Expr,
        ctes: _Ctes,
        clause: _Clause,
        relations: list[Relation],
        keys: list[JoinKey],
    ) -> None:
        """Add what one entry of FROM stands for: `(a JOIN b ON ..)` without a name of its own is two."""
        inner = tree.this if isinstance(tree, exp.Subquery) else tree
        is_bracket = inner is not tree and isinstance(inner, exp.Table) and not tree.args.get("alias")
        if is_bracket:
            self.add_relations(inner, ctes, clause, relations, keys)
        else:
            relations.append(self.relation(tree, ctes, clause))
        if isinstance(tree, exp.Table | exp.Subquery):
            self.add_joins(tree.args.get("joins") or (), ctes, clause, relations, keys)

    def relation(self, tree: exp.Expr, ctes: _Ctes, clause: _Clause | None) -> Relation:
        """Outline one entry of FROM; `clause` takes what columns a function in it mentions."""
        alias, columns = self.alias(tree)
        if isinstance(tree, exp.Table) and tree.args.get("pivots"):
            return Relation(alias=alias, query=self.pivot(tree, ctes), columns=columns)
        if isinstance(tree, exp.Table) and isinstance(tree.this, exp.Identifier):
            return self.table(tree, alias, columns, ctes)
        if isinstance(tree, exp.Subquery):
            if isinstance(tree.this, exp.Table):
                inner = SelectQuery(relations=self.bracketed(tree.this, ctes), items=_STAR)
                return Relation(alias=alias, query=inner, columns=columns)
            if tree.args.get("pivots"):
                self.unchecked["it turns rows to columns (PIVOT)"] = None
                return Relation(alias=alias, query=SelectQuery(subqueries=(self.query(tree.this, ctes),)))
            is_lateral = self.dialect == "duckdb"  # there, every subquery in FROM sees what stands before it
            return Relation(alias=alias, query=self.query(tree.this, ctes), columns=columns, is_lateral=is_lateral)
        if isinstance(tree, exp.Lateral) and isinstance(tree.this, exp.Subquery):
            return Relation(alias=alias, query=self.query(tree.this, ctes), columns=columns, is_lateral=True)
        return self.row_maker(tree, alias, columns, ctes, clause)

    def bracketed(self, tree: exp.Table, ctes: _Ctes) -> tuple[Relation, ...]:
        relations: list[Relation] = []
        self.add_relations(tree, ctes, _Clause(), relations, [])
        return tuple(relations)

    def table(self, tree: exp.Table, alias: str, columns: tuple[str, ...], ctes: _Ctes) -> Relation:
        name = self.parts(tree)
        if len(name) == 1 and name[0].folded in ctes:
            cte = ctes[name[0].folded]
            return replace(cte, alias=alias or name[0].folded, columns=columns or cte.columns)
        return Relation(alias=alias, name=name, columns=columns)

    def pivot(self, tree: exp.Table, ctes: _Ctes) -> SelectQuery:
        """Outline a table with PIVOT or UNPIVOT behind it: what it reads is told, what columns come out is not."""
        self.unchecked["it turns rows to columns (PIVOT)"] = None
        bare = tree.copy()
        bare.set("pivots", None)
        bare.set("alias", None)
        clause = _Clause()
        for pivot in tree.args["pivots"]:
            self.walk(pivot.args.get("expressions"), ctes, clause)
        return SelectQuery(
            relations=(self.relation(bare, ctes, clause),), items=(SelectItem(),), mentions=tuple(clause.mentions)
        )

    def row_maker(
        self, tree: exp.Expr, alias: str, columns: tuple[str, ...], ctes: _Ctes, clause: _Clause | None
    ) -> Relation:
        """Outline UNNEST, VALUES or a function in FROM: it is no table of the backend, whatever columns it has."""
        function = tree.this if isinstance(tree, exp.Table | exp.Lateral) else tree
        self.walk(function, ctes, clause if clause is not None else _Clause())
        kind = function.name if isinstance(function, exp.Anonymous | exp.Parameter) else function.key
        if not isinstance(function, exp.Values | exp.Unnest) and kind.upper() not in _ROW_MAKERS:
            self.unchecked[f"it reads rows from `{kind.lower()}`, which is no table of a catalogue"] = None
        offset = tree.args.get("offset")
        if isinstance(offset, exp.Identifier):
            columns = (*columns, self.name(offset).folded)
        return Relation(alias=alias, columns=columns)

    # -- expressions

    def walk(self, node: Any, ctes: _Ctes, clause: _Clause, *, aliases: int = 0, reach: int | None = None) -> None:
        """Note the columns and the queries in an expression (or a list of them), without following them."""
        pending: list[tuple[Any, frozenset[str]]] = [(node, frozenset())]
        while pending:
            tree, own = pending.pop()
            if isinstance(tree, list):
                pending.extend((entry, own) for entry in reversed(tree))
            elif isinstance(tree, exp.Query):
                clause.subqueries.append(self.query(tree, ctes))
            elif isinstance(tree, exp.Column):
                mention = self.mention(tree, aliases, reach)
                if mention.parts[:1] and mention.parts[0].folded not in own:
                    clause.mentions.append(mention)
            elif isinstance(tree, exp.Columns):
                clause.mentions.append(ColumnMention((), is_star=True))
                self.unchecked["it chooses columns by a pattern (COLUMNS)"] = None
            elif isinstance(tree, exp.Expr):
                if isinstance(tree, exp.Comprehension):  # [x + 1 FOR x IN xs]: x is no column
                    own |= {fold(tree.expression.name, self.dialect, quoted=False)}
                pending.extend((child, own) for child in reversed(tree.args.values()) if child is not None)

    def mention(self, tree: exp.Column, aliases: int, reach: int | None) -> ColumnMention:
        if isinstance(tree.this, exp.Star):
            return ColumnMention(self.parts(tree)[:-1], is_star=True, reach=reach)
        return ColumnMention(self.parts(tree), aliases, reach=reach)

    # -- names

    def parts(self, tree: exp.Column | exp.Table) -> tuple[SqlName, ...]:
        return tuple(self.name(part) for part in tree.parts)

    def name(self, node: Any) -> SqlName:
        quoted = bool(node.args.get("quoted")) if isinstance(node, exp.Identifier) else False
        written = f"#{node.name}" if node.args.get("temporary") else str(node.name)
        return SqlName(written, fold(written, self.dialect, quoted))

    def alias(self, tree: exp.Expr) -> tuple[str, tuple[str, ...]]:
        """Return the name that an entry of FROM or WITH has, and the names it gives to columns."""
        alias = tree.args.get("alias")
        if not isinstance(alias, exp.TableAlias):
            return "", ()
        columns = tuple(self.name(column).folded for column in alias.args.get("columns") or ())
        return (self.name(alias.this).folded if alias.this else ""), columns


_STAR = (SelectItem(star=ColumnMention((), is_star=True)),)


def _branches(tree: exp.SetOperation) -> list[exp.Expr]:
    """Return the branches of a chain of set operations, which is a tree as deep as it is long."""
    clauses = ("with_", "order", "limit", "offset")
    reversed_branches: list[exp.Expr] = []
    node: exp.Expr = tree
    while isinstance(node, exp.SetOperation) and (node is tree or not any(node.args.get(key) for key in clauses)):
        reversed_branches.append(node.expression)
        node = node.this
    return [node, *reversed(reversed_branches)]
