"""The one reader of tables: whatever wrote a table, its cells are read back."""

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.disclosure.tables import Table, TableRow, header_of, read_tables, tables_in_text
from carrel.disclosure.texts import Unreadable
from carrel.units.limits import MAX_TABLE_CELLS, MAX_TABLE_PARAGRAPHS

NAMES = st.text(alphabet="abcdefgh_", min_size=1, max_size=8).filter(lambda name: name.strip("_"))
"""A line of `_` alone rules off a header."""
LABELS = st.text(alphabet="ABCxyz", min_size=1, max_size=8)
NUMBERS = st.integers(0, 10**6).map(str)


@st.composite
def grids(draw: st.DrawFn) -> list[list[str]]:
    """A header, and rows of a label and numbers."""
    width = draw(st.integers(2, 5))
    header = draw(st.lists(NAMES, min_size=width, max_size=width))
    rows = draw(st.lists(st.tuples(LABELS, st.lists(NUMBERS, min_size=width - 1, max_size=width - 1)), min_size=2))
    return [header, *([label, *numbers] for label, numbers in rows)]


def delimited(grid: list[list[str]], delimiter: str, end: str, quoting: int) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(grid)
    return text.getvalue()


@settings(max_examples=200)
@given(
    grids(),
    st.sampled_from(",;\t|^~\x1f"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["", "Table 1 of all\n", "# made by x\n", "A title\nand its second line\n\n"]),
    st.sampled_from(["", "\nSource: our data\n"]),
)
def test_any_dialect_is_read_back(
    grid: list[list[str]], delimiter: str, end: str, quoting: int, title: str, note: str
) -> None:
    text = (title + "?").replace("\n", end)[:-1] + delimited(grid, delimiter, end, quoting) + note.replace("\n", end)
    (table,) = read_tables([text])
    assert [list(table.header.cells), *(list(row.cells) for row in table.rows)] == grid
    assert table.header.line == 1 + title.count("\n")


@given(grids(), st.sampled_from(["r", "fixed", "markdown"]))
def test_tables_of_other_writers_are_read_back(grid: list[list[str]], writer: str) -> None:
    if writer == "r":
        lines = [" ".join(f'"{cell}"' if cell.isalpha() or row == grid[0] else cell for cell in row) for row in grid]
    elif writer == "fixed":
        lines = ["   ".join(f"{cell:>12}" for cell in row) for row in grid]
    else:
        lines = [f"| {' | '.join(row)} |" for row in grid]
        lines.insert(1, "|" + "---|" * len(grid[0]))
    (table,) = read_tables(["\n".join(lines) + "\n"])
    assert [list(table.header.cells), *(list(row.cells) for row in table.rows)] == grid


def table(header: tuple[int, str], *rows: tuple[int, str]) -> Table:
    return Table(
        *(TableRow(header[0], tuple(header[1].split("|"))),), tuple(TableRow(n, tuple(t.split("|"))) for n, t in rows)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Table 1,\n,\ngroup,n\nA,3\n", [table((3, "group|n"), (4, "A|3"))]),
        ("t,n\nA,3\n\nu,m\nB,4\n", [table((1, "t|n"), (2, "A|3")), table((4, "u|m"), (5, "B|4"))]),
        ("g,n\nA,3\n\nB,4\n", [table((1, "g|n"), (2, "A|3"), (4, "B|4"))]),
        (",n\nA,3\n", [table((1, "|n"), (2, "A|3"))]),
        ("g,n,\nA,3,\n", [table((1, "g|n|"), (2, "A|3|"))]),
        ('"n" "m"\n"1" 3 4\n"2" 5 6\n', [table((1, "|n|m"), (2, "1|3|4"), (3, "2|5|6"))]),
        ("#g,n\nA,3\n", [table((1, "#g|n"), (2, "A|3"))]),
        ("# a, b\ng,n\nA,3\n", [table((2, "g|n"), (3, "A|3"))]),
        ('note,n\n"one\ntwo",3\n', [table((1, "note|n"), (2, "one\ntwo|3"))]),
        ("n\n3\n", [table((1, "n"), (2, "3"))]),
        ("g,n\nA,3\nNote: rounded\n", [table((1, "g|n"), (2, "A|3"))]),
        ("region        n\nNorth East   12\n", [table((1, "region|n"), (2, "North East|12"))]),
        (" sex | Freq.\n-----+------\n M | 3\n", [table((1, "sex|Freq."), (3, "M|3"))]),
        ("", []),
        ("\n\n", []),
    ],
)
def test_titles_notes_and_several_tables(text: str, expected: list[Table]) -> None:
    assert read_tables([text]) == expected


def test_tables_are_found_among_paragraphs() -> None:
    text = "Some prose, here.\nAnd more, there, in 2 lines.\n\nsex  n\nM  3\nF  4\n\nBye, 1.\n"
    assert tables_in_text([text]) == [table((4, "sex|n"), (5, "M|3"), (6, "F|4"))]


def test_the_header_is_that_of_the_whole() -> None:
    text = "A title\n\ng,n\n" + "A,3\n" * 100_000
    header = header_of(text[start : start + 1000] for start in range(0, len(text), 1000))
    assert header == TableRow(3, ("g", "n"))


@pytest.mark.parametrize(
    ("read", "text", "why"),
    [
        (read_tables, "1,2\n" * MAX_TABLE_CELLS, "it has more than 500,000 cells"),
        (tables_in_text, "1,2\n" * MAX_TABLE_CELLS, "it has more than 500,000 cells"),
        (tables_in_text, "a\n\n" * (MAX_TABLE_PARAGRAPHS + 1), "it has more than 10,000 paragraphs"),
    ],
)
def test_what_is_beyond_a_bound_is_told(read: Callable[[list[str]], list[Table]], text: str, why: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read([text])
    assert str(refused.value) == why


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    for found in (*read_tables([text]), *tables_in_text([text])):
        assert all(len(found.column(number)) == len(found.rows) for number in range(len(found.header.cells)))
