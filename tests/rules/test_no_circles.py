"""No two files of Carrel import each other, not even inside a function or for types: each can be read before the next.

import-linter holds the rooms apart; this holds the files within them.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"


def modules() -> dict[str, Path]:
    """Every module by its dotted name; packages aside, which gather what is below them."""
    files = (path for path in (SOURCE / "carrel").rglob("*.py") if path.name != "__init__.py")
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in files}


def imported(text: str) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def circle(texts: dict[str, str]) -> list[str]:
    """One circle among these files, if there is any."""
    graph = {name: {other for other in imported(text) if other in texts} - {name} for name, text in texts.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_two_files_import_each_other() -> None:
    texts = {name: path.read_text() for name, path in modules().items()}
    assert len(texts) > 100
    assert circle(texts) == []


@pytest.mark.parametrize(
    "back", ["import a.x", "from a import x", "from a.x import thing", "def f():\n    from a.x import thing"]
)
def test_the_rule_can_fail(back: str) -> None:
    assert circle({"a.x": "from a.y import other", "a.y": back}) != []
