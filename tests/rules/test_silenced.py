"""A check that is silenced says why, on its line: without a reason nobody can tell when it may go."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SILENCED = re.compile(r"#\s*(?:ruff:\s*)?(?:noqa|type: ignore|pragma: no cover)\b[^#(]*(?P<reason>[#(].*)?")
"""The mark, its codes, and behind them a reason as `(reason)` or `# reason`."""


def unexplained(text: str) -> list[str]:
    """Lines that silence a check without a word; a line may be explained by a comment above it."""
    lines = text.splitlines()
    found = []
    for before, line in zip(["", *lines], lines, strict=False):
        match = SILENCED.search(line)
        if match and not match["reason"] and not before.lstrip().startswith("#"):
            found.append(line.strip())
    return found


@pytest.mark.parametrize("place", ["src", "tests", "benchmarks", "examples"])
def test_no_check_is_silenced_without_a_reason(place: str) -> None:
    files = [path for path in (ROOT / place).rglob("*.py") if path != Path(__file__)]
    assert files
    assert {str(path.relative_to(ROOT)): lines for path in files if (lines := unexplained(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("line", "silent"),
    [
        ("x = 1  # noqa: S108", True),
        ("x = 1  # noqa: S108  (inside the sandbox)", False),
        ("x = 1  # type: ignore[arg-type]", True),
        ("x = 1  # type: ignore[arg-type]  # the environment has it", False),
        ("raise X  # pragma: no cover", True),
        ("# start-up time matters here\n# ruff: noqa: PTH104", False),
        ("x = 1  # a comment", False),
    ],
)
def test_the_rule_can_fail(line: str, silent: bool) -> None:
    assert bool(unexplained(line)) is silent
