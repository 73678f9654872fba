"""The repository stands alone: nothing in it leans on what lies beside it, or on what a machine has or has not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEANING = re.compile(r"\.\./shared|shared/" + r"data")
"""A folder that developers of Carrel have beside their clone, and nobody else."""
INVENTED = re.compile(r"(?<![\w.])/(?:nonexistent|nowhere|no/such|missing|does-not-exist)(?![\w.-])")
"""An absolute path that somebody hopes is not there: some machine has it. `tmp_path / "missing"` is never there."""


def files() -> Iterator[Path]:
    for folder in ("src", "tests", "scripts", "benchmarks", "examples", ".ci"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in ("", ".py", ".sh", ".yaml", ".json"))
    yield from (ROOT / "just", ROOT / "justfile")


def modules() -> list[Path]:
    return [path for folder in ("src", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """All but those that go on from something in an f-string: `/missing` in `f"{tmp_path}/missing"`."""
    later = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in later:
            yield node


def outside(path: Path, tree: ast.AST) -> Iterator[str]:
    """Each `Path(__file__).parents[N]` that leads out of the repository."""
    depth = len(path.relative_to(ROOT).parts)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "parents"
            and "__file__" in ast.unparse(node.value)
            and isinstance(node.slice, ast.Constant)
            and node.slice.value >= depth
        ):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_nothing_names_a_folder_beside_the_repository() -> None:
    leaning = [path for path in files() if path.is_file() and LEANING.search(path.read_text(errors="replace"))]
    assert leaning == []


def test_no_module_climbs_out_of_the_repository() -> None:
    climbing = [line for path in modules() for line in outside(path, ast.parse(path.read_text()))]
    assert climbing == []


def test_climbing_out_is_noticed() -> None:
    tree = ast.parse("A = Path(__file__).parents[2]\nB = Path(__file__).resolve().parents[3] / 'x'")
    assert list(outside(ROOT / "tests/rules/test_x.py", tree)) == [
        "tests/rules/test_x.py:2: Path(__file__).resolve().parents[3]"
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_hopes_that_a_machine_has_not_a_path(path: Path) -> None:
    if path == Path(__file__):
        return
    hopes = [f"line {text.lineno}: {text.value}" for text in strings(ast.parse(path.read_text()))
             if INVENTED.search(text.value)]  # fmt: skip
    assert hopes == []


@pytest.mark.parametrize("text", ["/nonexistent", "PATH=/nowhere/bin", "duckdb:///missing/x", "/no/such/folder"])
def test_such_paths_are_noticed(text: str) -> None:
    assert INVENTED.search(text)
