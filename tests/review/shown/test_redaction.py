"""What an author ticks, and what comes of it."""

import pytest

from carrel.disclosure.editing import CannotEdit
from carrel.disclosure.policy import DisclosurePolicy
from carrel.review.shown.redaction import (
    Ticked,
    editable_lines,
    editable_rows,
    editable_tables,
    places_in,
    redacted_text,
    written_places,
)

POLICY = DisclosurePolicy()
TEXT = "plan,people\na,12\nb,3\n"


def test_columns_are_rounded_and_cells_and_lines_redacted_together() -> None:
    ticked = Ticked(places=frozenset({(3, 1)}), columns=frozenset({(1, 2)}))
    assert redacted_text(TEXT, "x.csv", ticked, POLICY) == "plan,people\na,10\n[REDACTED],[REDACTED]\n"
    midpoint = Ticked(columns=frozenset({(1, 2)}), midpoint6=True)
    assert redacted_text(TEXT, "x.csv", midpoint, POLICY) == "plan,people\na,9\nb,3\n"
    lines = Ticked(places=frozenset({(2, 0), (2, 2)}))
    assert redacted_text("one\ntwo, three\n", "x.txt", lines, POLICY) == "one\n[REDACTED]\n"
    with pytest.raises(CannotEdit):
        redacted_text(TEXT, "x.csv", Ticked(places=frozenset({(9, 9)})), POLICY)


def test_ticks_of_other_pages_are_kept() -> None:
    (table,) = editable_tables("plan,people\n" + "".join(f"<b>{row},{row}\n" for row in range(450)), "x.csv")
    ticked = Ticked(places=places_in(["2:2 300:2", "rubbish 4:"]))
    page = editable_rows(table, ticked, 2)
    assert (page.page, page.pages, page.elsewhere) == (2, 3, "2:2")
    assert 'value="300:2" checked> 298</label>' in page.html
    assert "&lt;b&gt;298" in page.html
    lines = editable_lines("one\n<two>\n", Ticked(places=frozenset({(2, 0), (1, 2)})), 1)
    assert 'value="2:0" checked> &lt;two&gt;</label>' in lines.html
    assert lines.elsewhere == written_places([(1, 2)])
