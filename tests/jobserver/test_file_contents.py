"""What a page shows of a released file, and of two versions of it."""

import pytest

from carrel.disclosure.comparison import DiffKind
from carrel.disclosure.policy import DisclosurePolicy
from carrel.jobserver.file_contents import (
    MAX_COMPARED_LINES,
    MAX_SHOWN_LETTERS,
    MAX_SHOWN_ROWS,
    ContentKind,
    changes_between,
    contents_of,
)

POLICY = DisclosurePolicy()
OLD = b"plan,visits\na,100\nb,200\nc,300\n"
NEW = b"plan,visits\na,100\nb,205\nd,400\n"


def test_a_table_is_compared_cell_by_cell() -> None:
    changes = changes_between("t.csv", OLD, NEW, POLICY)
    assert changes.header == ("plan", "visits")
    assert [row.kind for row in changes.rows] == [DiffKind.CHANGED, DiffKind.ADDED, DiffKind.REMOVED]
    [changed] = [cell for row in changes.rows for cell in row.cells if cell.was is not None]
    assert (changed.text, changed.was, changed.is_small) == ("205", "200", True)
    assert [cell.text for cell in changes.rows[2].cells] == ["c", "300"]
    assert changes.small == 1
    assert changes.note == "1 of 4 rows are the same."


def test_texts_are_compared_by_lines() -> None:
    assert "-one\n+two" in changes_between("t.txt", b"one\n", b"two\n", POLICY).diff
    assert "same bytes" in changes_between("t.txt", b"one\n", b"one\n", POLICY).note
    assert "not checked" in changes_between("t.txt", None, b"one\n", POLICY).note
    assert "not compared" in changes_between("t.txt", b"\n" * (MAX_COMPARED_LINES + 1), b"", POLICY).note


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("t.CSV", OLD, ContentKind.TABLE),
        ("t.csv", b"", ContentKind.TEXT),
        ("t.md", b"<script>", ContentKind.TEXT),
        ("t.svg", None, ContentKind.IMAGE),
        ("t.html", None, ContentKind.PAGE),
        ("t.pdf", None, ContentKind.NONE),
        ("t.txt", None, ContentKind.NONE),
    ],
)
def test_how_a_file_is_shown(name: str, data: bytes | None, kind: ContentKind) -> None:
    assert contents_of(name, data).kind == kind


def test_what_is_long_is_cut_and_says_so() -> None:
    table = contents_of("t.csv", b"a,b\n" + b"x,1\n" * 1000)
    assert len(table.rows) == MAX_SHOWN_ROWS
    assert "of 1,000 rows" in table.note
    text = contents_of("t.txt", b"x" * (MAX_SHOWN_LETTERS + 1))
    assert len(text.text) == MAX_SHOWN_LETTERS
    assert text.note
