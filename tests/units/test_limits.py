"""The page of limits and the module say the same."""

import re
from pathlib import Path

import pytest

from carrel.units import limits

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "limits.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
UNITS = {
    "": 1,
    "KiB": limits.KIB,
    "MiB": limits.MIB,
    "GiB": limits.GIB,
    "TiB": limits.TIB,
    "PiB": 1024 * limits.TIB,
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
}
CONSTANTS = {name: value for name, value in vars(limits).items() if name.isupper() and name not in {*"KMGT"}}
BOUNDS = {name: value for name, value in CONSTANTS.items() if name not in ("KIB", "MIB", "GIB", "TIB")}
ROWS = dict(ROW.findall(PAGE.read_text()))


def test_each_bound_is_on_the_page_and_nothing_else() -> None:
    assert set(ROWS) == set(BOUNDS)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_the_page_has_the_modules_value(name: str) -> None:
    number, _, unit = ROWS[name].strip().partition(" ")
    factor = UNITS.get(unit) or UNITS.get(unit.removesuffix("s"))
    assert factor is not None, f"{ROWS[name]!r}: write a number and one of {sorted(UNITS)}, or a bare number"
    assert float(number.replace(",", "")) * factor == BOUNDS[name]
