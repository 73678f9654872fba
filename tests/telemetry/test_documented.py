"""docs/reference/telemetry.md names every span and every metric that the code makes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "telemetry.md").read_text()
ROOMS = ("agent", "controller", "executors", "outputs", "telemetry")
SOURCE = "\n".join(path.read_text() for room in ROOMS for path in (ROOT / "src" / "carrel" / room).rglob("*.py"))


@pytest.mark.parametrize(
    "pattern",
    [r'(?<!`with )span\(\s*"(\w+)"', r'span\(\s*"\w+", "(\w+)"', r'_gauge\(\s*"(\w+)"', r'get_tracer\("(\w+)"'],
)
def test_every_name_is_on_the_page(pattern: str) -> None:
    names = set(re.findall(pattern, SOURCE))
    assert names
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []
