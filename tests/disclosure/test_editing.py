"""Cells and lines are redacted or rounded, and nothing else of the file changes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.disclosure.test_tables import delimited, grids

from carrel.disclosure.editing import REDACTED, CannotEdit, redact_cells, redact_lines, round_cells
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import delimiter_of, read_tables, spans_of_rows

POLICY = DisclosurePolicy()


@settings(max_examples=100)
@given(
    grids(),
    st.sampled_from(",;\t|^~\x1f"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([0, 1]),
    st.data(),
)
def test_in_any_dialect_only_those_cells_change(
    grid: list[list[str]], delimiter: str, end: str, quoting: int, data: st.DataObject
) -> None:
    text = f"A title{end}" + delimited(grid, delimiter, end, quoting)
    width = len(grid[0])
    places = [(line, number) for line in range(3, len(grid) + 2) for number in range(2, width + 1)]
    chosen = data.draw(st.sets(st.sampled_from(places), min_size=1))
    edited = redact_cells(text, "t.csv", chosen)
    (table,) = read_tables([edited])
    for row, cells in zip(table.rows, grid[1:], strict=True):
        expected = [REDACTED if (row.line, number) in chosen else cell for number, cell in enumerate(cells, start=1)]
        assert list(row.cells) == expected
    for mark in (delimiter, end, '"'):
        assert edited.count(mark) == text.count(mark)
    assert redact_cells(edited, "t.csv", chosen) == edited


@given(st.text(alphabet='ab1,"\n\r ;|-', max_size=40))
def test_spans_are_those_of_the_cells_that_are_read(text: str) -> None:
    delimiter = delimiter_of(text.splitlines(keepends=True))
    lines = {line: [text[start:end] for start, end in spans] for line, spans in spans_of_rows(text, delimiter)}
    for table in read_tables([text]):
        for row in table.rows:
            assert len(lines[row.line]) == len(row.cells)


@pytest.mark.parametrize(
    ("text", "path", "cells", "edited"),
    [
        ('sex,n\r\n"F, all", 3 \r\nM,"12"\r\n', "t.csv", [(2, 2), (3, 2)], 'sex,n\r\n"F, all", # \r\nM,"#"\r\n'),
        ('note,n\n"one\ntwo",3\nb,4\n', "t.csv", [(2, 2)], 'note,n\n"one\ntwo",#\nb,4\n'),
        ("| sex | n |\n|---|---|\n| F | 3 |\n", "t.md", [(3, 2)], "| sex | n |\n|---|---|\n| F | # |\n"),
        ("Said.\n\nsex   n\nF     3\nM     10\n", "t.txt", [(4, 2)], "Said.\n\nsex   n\nF     #\nM     10\n"),
        ('"n" "m"\n"1" 3 4\n"2" 5 6\n', "t.csv", [(2, 2)], '"n" "m"\n"1" # 4\n"2" 5 6\n'),
        ("sex,n\nF,\nM,10\n", "t.csv", [(2, 2)], "sex,n\nF,#\nM,10\n"),
    ],
)
def test_the_dialect_stays(text: str, path: str, cells: list[tuple[int, int]], edited: str) -> None:
    assert redact_cells(text, path, cells, mark="#") == edited


def test_a_mark_that_holds_the_delimiter_is_quoted() -> None:
    assert redact_cells("sex,n\nF,3\nM,10\n", "t.csv", [(2, 2)], mark='not, "said"') == (
        'sex,n\nF,"not, ""said"""\nM,10\n'
    )


@pytest.mark.parametrize(
    ("cell", "rounded"),
    [
        ("3", REDACTED),
        ("7", REDACTED),
        ("8", "10"),
        ("12", "10"),
        ("13", "15"),
        ("0", "0"),
        ("12.0", "10.0"),
        ('"1,233"', '"1,235"'),
        ("1 233", "1 235"),
    ],
)
def test_counts_are_redacted_first_and_then_rounded(cell: str, rounded: str) -> None:
    text = "sex;n;k\nF;{};10\nM;20;10\n"
    assert round_cells(text.format(cell), "t.csv", [(2, 2)], POLICY) == text.format(rounded)


@given(st.integers(0, 10**9))
def test_midpoints(count: int) -> None:
    edited = round_cells(f"sex,n_midpoint6\nF,{count}\nM,9\n", "t.csv", [(2, 2)], POLICY, midpoint6=True)
    midpoint = int(edited.split("\n")[1].split(",")[1])
    assert (midpoint == 0) if count == 0 else (midpoint % 6 == 3 and -3 <= midpoint - count <= 2)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda: redact_cells("n,m\n3,4\n", "t.csv", [(9, 1)]), "line 9 has no cell in column 1"),
        (lambda: redact_cells("n,m\n3,4\n", "t.csv", [(1, 1)]), "line 1 has no cell in column 1"),
        (lambda: redact_cells("{}", "t.json", [(1, 1)]), "cells of a .json file cannot be edited here"),
        (
            lambda: round_cells("a,n\nx,3 (2%)\ny,9\n", "t.csv", [(2, 2)], POLICY),
            "line 2, column 2 is not a count alone",
        ),
        (lambda: redact_lines("a\n", [2]), "there is no line 2: the text has 1"),
        (lambda: redact_cells("sex,n\nF,10\nM,20\n", "t.csv", [(2, 2)], "\n\n"), "other cells would read differently"),
    ],
)
def test_what_cannot_be_edited_says_why(edit, why: str) -> None:
    with pytest.raises(CannotEdit, match=re.escape(why)):
        edit()


def test_lines_of_any_text_can_be_redacted() -> None:
    assert redact_lines("a\r\nb\nc", [1, 3]) == "[REDACTED]\r\nb\n[REDACTED]"
