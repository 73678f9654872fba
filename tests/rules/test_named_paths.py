"""Paths that pages for contributors name are there, and the index of what tests are made with is whole."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
PAGES = ["CONTRIBUTING.md", "docs/architecture.md"]
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"\.?[\w*-]+(?:/[\w.*-]+)*/?(?:\.\w+)?")
"""What may be a path; it is looked for when it has a slash at its end or within, or ends like a file of ours."""
FILE = re.compile(r".*\.(?:py|md|toml|sh)")
BELOW = ("", "src/carrel", "tests")
"""Where a path of those pages begins. `jobs/plan.py` is one of `src/carrel`."""
MADE = ("build/", ".venv")
"""What is not in the repository, since running it makes it."""


def paths(text: str) -> list[str]:
    """The paths among the pieces of code in a text."""
    pieces = [piece for piece in CODE.findall(text) if PATH.fullmatch(piece) and not piece.startswith(MADE)]
    return [piece for piece in pieces if "/" in piece or FILE.fullmatch(piece)]


def missing(text: str) -> list[str]:
    return [path for path in paths(text) if not any(_matches(ROOT / start, path) for start in BELOW)]


def _matches(folder: Path, path: str) -> bool:
    return any(folder.glob(path.rstrip("/"))) if "*" in path else (folder / path).exists()


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    assert paths(text)
    assert missing(text) == []


def test_paths_that_are_gone_are_noticed() -> None:
    text = (
        "`jobs/plan.py`, `jobs/plans.py`, `tests/rules/`, `docs/adr/0000.md`, `tests/*/gone_*.py`, `plan()`, `a b/c.py`"
    )
    assert missing(text) == ["jobs/plans.py", "docs/adr/0000.md", "tests/*/gone_*.py"]


def test_the_index_of_support_lists_every_module() -> None:
    listed = re.findall(r"^\| `([^`]+)` \| \S", (SUPPORT / "README.md").read_text(), re.MULTILINE)
    modules = [str(path.relative_to(SUPPORT)) for path in SUPPORT.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(listed) == sorted(modules)
