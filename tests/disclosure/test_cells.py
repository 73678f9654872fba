"""Cells as a person reads them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.disclosure.cells import Cell, CellKind, read_cell


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("3", 3),
        (" 3 ", 3),
        ("+3", 3),
        ("15.0", 15),
        ("3e0", 3),
        ("1.5E1", 15),
        ("1,234", 1234),
        ("1 234", 1234),
        ("1\u202f234\u202f567", 1234567),
        ("1'234", 1234),
        ("1,234.0", 1234),
        ("3 (12%)", 3),
        ("3 (12.5 %)", 3),
        ("1,234 (12.5)", 1234),
        ("12% (3)", 3),
        ("n=3", 3),
        ("N = 1,234", 1234),
        ("3/25", 3),
        ("3 / 25 (12%)", 3),
        ("3 of 25", 3),
        ("3*", 3),
        ("3 [1]", 3),
        ("3†", 3),
        ("3\u00b9", 3),
        ("3 (a)", 3),
        ('"3"', 3),
        ("-0", 0),
        ("\uff13", 3),
        ("\u0663", 3),
        ("\u0967\u0968 (\u0969%)", 12),
        ('="3"', 3),
        ("**3**", 3),
        ("_3_", 3),
        ("`1,234`", 1234),
        ("$3$", 3),
        ("<b>3</b>", 3),
        ("\\textbf{3}", 3),
        ("3 patients", 3),
        ("3 out of 25", 3),
        ("1.234.567", 1234567),
        ("9" * 400, int("9" * 400)),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert read_cell(text) == Cell(CellKind.COUNT, count)


@pytest.mark.parametrize("text", ["1.5", "-3", "12%", "12.5 %", "1e-3", ".5", "1,234.5"])
def test_other_numbers(text: str) -> None:
    assert read_cell(text).kind is CellKind.NUMBER


@pytest.mark.parametrize(
    "text",
    [
        *("[REDACTED]", "redacted", "n/a", "N/A", "NA", "nan", "*", "-", "\u2013", "[c]", "[x]", "[low]", ".."),
        *("suppressed", "<8", "< 5", "\u22647", "1-7", "<=7", "(suppressed)", "not available", "missing"),
    ],
)
def test_marks(text: str) -> None:
    assert read_cell(text).kind is CellKind.MARK


@pytest.mark.parametrize("text", ["North", "18-24", "2020-01-01", "1,23", "3 and 4", "e", "e5", ".", "1.2.3", "A1"])
def test_what_is_no_number(text: str) -> None:
    assert read_cell(text).kind in (CellKind.TEXT, CellKind.MARK)


@pytest.mark.parametrize("text", ["", " ", '""', "\u00a0"])
def test_nothing(text: str) -> None:
    assert read_cell(text).kind is CellKind.EMPTY


@given(st.decimals(0, 10**9, allow_nan=False, places=3))
def test_whole_numbers_are_counts_and_no_others(number: Decimal) -> None:
    expected = CellKind.COUNT if number == int(number) else CellKind.NUMBER
    for text in (str(number), f"{number:,}", f"{number:E}"):
        assert read_cell(text).kind is expected


@given(st.text(alphabet="0123456789.,eE+-%()[]<>*/ n=", max_size=80))
def test_any_cell_is_read(text: str) -> None:
    assert read_cell(text).count >= 0
