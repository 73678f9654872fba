"""The rooms that everyone uses stay small, so that neither becomes a drawer: what only one room needs lives in it."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "carrel"
TABLES = ("limits.py",)
"""Lists of constants, no code: `tests/units/test_limits.py` holds them to their page."""


def lines_of_code(text: str) -> int:
    """Logical lines: no blank ones, comments or docstrings, and a statement over several lines is one."""
    lines = sum(token.type == tokenize.NEWLINE for token in tokenize.generate_tokens(io.StringIO(text).readline))
    texts = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    return lines - sum(isinstance(value, ast.Constant) and isinstance(value.value, str) for value in texts)


@pytest.mark.parametrize(("room", "cap"), [("units", 600), ("warehouse", 200)])
def test_a_room_below_all_is_small(room: str, cap: int) -> None:
    files = [path for path in (SOURCE / room).rglob("*.py") if path.name not in TABLES]
    assert 0 < sum(lines_of_code(path.read_text()) for path in files) <= cap


def test_what_counts_as_code() -> None:
    text = '"""Docs."""\n\nimport os  # why\n\n\ndef a(\n    b,\n):\n    """Docs,\n    more."""\n'
    text += "    # why\n    return (\n        b\n    )\n"
    assert lines_of_code(text) == 3
