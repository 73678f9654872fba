"""Kinds of values, how they join, and what a value looks like as another kind. The slow, exact side of typing."""

import json
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from typing import Any

import pyarrow as pa

BOOL, INT, DECIMAL, FLOAT, STRING = "bool", "int64", "decimal", "float64", "string"
LONG = "int64 beyond 2^53"
"""Of values, never of a column: an integer that a column of integers holds, and a column of floats would round."""

ARROW = {
    BOOL: pa.bool_(),
    INT: pa.int64(),
    DECIMAL: pa.decimal128(38, 0),
    FLOAT: pa.float64(),
    STRING: pa.string(),
}
_NUMBERS = (FLOAT, DECIMAL, LONG, INT)
"""From the widest; long integers and decimals never join with floats: neither holds the other exactly."""
_JOINS = {
    frozenset((INT, LONG)): LONG,
    frozenset((INT, DECIMAL)): DECIMAL,
    frozenset((LONG, DECIMAL)): DECIMAL,
    frozenset((INT, FLOAT)): FLOAT,
}
_INT64 = 2**63
EXACT = 2**53
"""Every integer up to here, and none of all beyond, is a float."""


def kind_of(value: Any) -> str:
    """The kind of one JSON scalar. Integers of more than 38 digits are text."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        if -EXACT <= value <= EXACT:
            return INT
        return LONG if -_INT64 <= value < _INT64 else DECIMAL if abs(value) < 10**38 else STRING
    return FLOAT if isinstance(value, float) else STRING


def join(kind: str, second: str) -> str:
    """The narrowest kind that holds both, under policy evolve."""
    return kind if kind == second else _JOINS.get(frozenset((kind, second)), STRING)


def join_all(kinds: Iterable[str]) -> str:
    """The join of at least one kind."""
    return reduce(join, kinds)


def column_kind(kind: str) -> str:
    """The kind of a column of such values."""
    return INT if kind == LONG else kind


def settled_kind(kinds: Iterable[str], fixed: str | None) -> str:
    """The kind a column keeps where kinds may not change: the `fixed` one, widened by numbers; without one, numbers
    win over booleans and booleans over text."""
    seen = set(kinds)
    if fixed is None:
        return column_kind(next(kind for kind in (*_NUMBERS, BOOL, STRING) if kind in seen))
    for kind in _NUMBERS:
        if kind in seen and is_widening(LONG if fixed == INT and LONG in seen else fixed, kind):
            return column_kind(kind)
    return fixed


def is_widening(before: str, after: str) -> bool:
    """Whether the change is from integers to decimals or floats."""
    return (before == INT and after in (DECIMAL, FLOAT)) or (before == LONG and after == DECIMAL)


def fits(kind: str, column: str) -> bool:
    """Whether values of `kind` are at home in a column of kind `column` where kinds may not change."""
    return column_kind(kind) == column or is_widening(kind, column)


def cast(value: Any, kind: str) -> Any:
    """`value` (not None), as a cell of a column that its kind joins into."""
    if kind == STRING:
        return text_of(value)
    if kind == FLOAT:
        return float(value)
    return Decimal(value) if kind == DECIMAL else value


def text_of(value: Any) -> str:
    """A value in a text column: text as it is, others as their JSON text.

    A whole float is written as the integer it equals, so that a column's text is the same whether it held floats
    before or its numbers came one by one.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return str(int(value))
    if isinstance(value, Decimal):
        return str(int(value))
    return json.dumps(value)


def json_text(value: Any) -> str:
    """Any value as compact JSON text, for variant and `_json` columns."""
    if isinstance(value, Decimal):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
