"""The SQL file as a checked value: its text, and its column names where they can be told without a database."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from carrel.sqlrunner.errors import NotPermitted, QueryError
from carrel.sqlrunner.lexer import SqlToken, statements

DISSENT_TABLE = "PatientsWithTypeOneDissent"
_END_OF_LIST = (
    *("FROM", "INTO", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "WINDOW", "QUALIFY"),
    *("UNION", "EXCEPT", "INTERSECT", "OPTION", "FOR"),
)
_OPERATORS = ("NOT", "AND", "OR", "IN", "LIKE", "IS", "CASE", "DISTINCT", "FROM")
_NOT_NAMES = ("END", "NULL", "TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIMESTAMP")


class UnknownColumns(QueryError):
    """The names of the result's columns cannot be told from the text alone."""


@dataclass(frozen=True)
class Query:
    """One statement. `text` is as written in the file, comments and all."""

    text: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the result's columns, read from the select list; `UnknownColumns` when they cannot be told."""
        (statement,) = statements(self.text)
        names = tuple(_name(item, at) for at, item in enumerate(_items(_select_list(statement)), start=1))
        check_unique(names)
        return names

    @property
    def columns_if_known(self) -> tuple[str, ...] | None:
        try:
            return self.columns
        except UnknownColumns:
            return None


def read_query(path: Path) -> Query:
    """Return the query in a file; `QueryError` when there is none, or when it holds nothing or several statements."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise QueryError(f"The SQL file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise QueryError(f"The SQL file {path} is not UTF-8 text: save it as UTF-8.") from error
    return parse_query(text)


def parse_query(text: str) -> Query:
    """Return the query in a text; `QueryError` for none or several statements."""
    count = len(statements(text))
    if count == 0:
        raise QueryError("The SQL file holds no statement: write one SELECT.")
    if count > 1:
        raise QueryError(
            f"The SQL file holds {count} statements, but one is allowed: "
            "use WITH for steps, or one sqlrunner action for each."
        )
    return Query(text)


def check_dissent(query: Query) -> None:
    """Refuse a query that says nothing, in SQL or in a comment, about patients who dissented (type one opt-outs)."""
    if DISSENT_TABLE.lower() not in query.text.lower():
        raise NotPermitted(
            f"This installation asks every query to deal with {DISSENT_TABLE}: "
            "leave those patients out, or say in a comment that names the table why you need not."
        )


def _select_list(statement: list[SqlToken]) -> list[SqlToken]:
    base = statement[0].depth
    if statement[0].is_symbol("("):
        closing = next((at for at, token in enumerate(statement[1:], 1) if token.depth == base), len(statement))
        return _select_list(statement[1:closing] or _no_columns())
    start = next((at for at, token in enumerate(statement) if token.depth == base and token.is_word("SELECT")), None)
    if start is None:
        raise UnknownColumns("The SQL has no SELECT whose columns can be read: begin it with SELECT or WITH.")
    rest = statement[start + 1 :]
    end = next((at for at in range(len(rest)) if _ends_list(rest, at, base)), len(rest))
    return _without_quantifier(rest[:end], base)


def _no_columns() -> list[SqlToken]:
    raise UnknownColumns("The SQL has no SELECT whose columns can be read: begin it with SELECT or WITH.")


def _ends_list(rest: list[SqlToken], at: int, base: int) -> bool:
    token = rest[at]
    is_distinct_from = at >= 2 and rest[at - 1].is_word("DISTINCT") and rest[at - 2].is_word("IS", "NOT")
    after_dot = at >= 1 and rest[at - 1].is_symbol(".")
    return token.depth == base and token.is_word(*_END_OF_LIST) and not is_distinct_from and not after_dot


def _without_quantifier(items: list[SqlToken], base: int) -> list[SqlToken]:
    """Return the list without DISTINCT [ON (..)], ALL, TOP n [PERCENT] [WITH TIES]."""
    while items and items[0].is_word("DISTINCT", "ALL", "TOP"):
        word, items = items[0], items[1:]
        if word.is_word("DISTINCT") and items and items[0].is_word("ON"):
            items = _after_group(items[1:], base)
        if word.is_word("TOP"):
            items = _after_group(items, base)
            items = items[1:] if items and items[0].is_word("PERCENT") else items
            items = items[2:] if len(items) > 1 and items[1].is_word("TIES") else items
    return items


def _after_group(items: list[SqlToken], base: int) -> list[SqlToken]:
    """Return what follows one token, or one bracketed group."""
    if not items or not items[0].is_symbol("("):
        return items[1:]
    end = next((at for at, token in enumerate(items[1:], 1) if token.depth == base), len(items))
    return items[end + 1 :]


def _items(select_list: list[SqlToken]) -> list[list[SqlToken]]:
    if not select_list:
        _no_columns()
    base = select_list[0].depth
    items: list[list[SqlToken]] = [[]]
    for token in select_list:
        if token.is_symbol(",") and token.depth == base:
            items.append([])
        else:
            items[-1].append(token)
    return [item for item in items if item]  # DuckDB allows a comma after the last


def _name(item: list[SqlToken], at: int) -> str:
    base = item[0].depth
    flat = [token for token in item if token.depth == base]
    stars = [at for at, token in enumerate(flat) if token.is_symbol("*")]
    if any(at == 0 or flat[at - 1].is_symbol(".") for at in stars):
        raise UnknownColumns(
            "The query selects *, so its column names cannot be told without the database: "
            "list the columns, or give --dummy-data-file."
        )
    token = _alias(flat) or _plain_name(flat)
    if token is None:
        raise UnknownColumns(
            f"Column {at} of the query has no name that can be told without the database: "
            "give it one with AS, or give --dummy-data-file."
        )
    return token.name


def _alias(flat: list[SqlToken]) -> SqlToken | None:
    """Return the name in `expr AS name`, `expr name`, or T-SQL's `name = expr`."""
    if len(flat) > 2 and flat[0].kind in ("word", "quoted") and flat[1].is_symbol("="):
        return flat[0]
    if len(flat) < 2 or not _can_name(flat[-1], also="string"):
        return None
    before = flat[-2]
    if before.is_word("AS"):
        return flat[-1]
    is_operand = before.kind == "word" and not before.is_word(*_OPERATORS)
    ends_expression = is_operand or before.kind in ("quoted", "string", "number") or before.text in (")", "]")
    return flat[-1] if ends_expression else None


def _plain_name(flat: list[SqlToken]) -> SqlToken | None:
    """Return the name in `name`, `table.name`, `schema.table.name`, or one of these cast by `::type`."""
    cast = next((at for at, token in enumerate(flat) if token.is_symbol(":")), len(flat))
    path = flat[:cast]
    dotted = len(path) % 2 == 1 and all(dot.is_symbol(".") for dot in path[1::2])
    return path[-1] if dotted and all(_can_name(token) for token in path[::2]) else None


def _can_name(token: SqlToken, also: str = "") -> bool:
    return token.kind in ("word", "quoted", also) and not token.is_word(*_NOT_NAMES)


def check_unique(names: tuple[str, ...]) -> None:
    """Raise `QueryError` when two columns have one name: readers of the file would mix them up."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise QueryError(f"The query has two columns called {twice[0]!r}: give one another name with AS.")
