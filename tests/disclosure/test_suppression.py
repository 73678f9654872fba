"""Further cells are proposed until no redacted one can be worked out, and no more than that."""

from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carrel.disclosure import suppression
from carrel.disclosure.columns import ReadTable
from carrel.disclosure.editing import redact_cells
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.margins import margins_of, worked_out
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.rules import RuleId, look_at_table
from carrel.disclosure.suppression import propose_suppression
from carrel.disclosure.tables import read_tables

POLICY = DisclosurePolicy(rounded_to=1)


def read(text: str) -> ReadTable:
    (table,) = read_tables([text])
    return ReadTable(table)


def two_way(numbers: list[list[int]]) -> str:
    """A table of these counts with a total of each row and each column."""
    width = len(numbers[0])
    header = ",".join(["group", *(f"c{number}" for number in range(width)), "total"])
    lines = [",".join(map(str, [f"g{row}", *counts, sum(counts)])) for row, counts in enumerate(numbers)]
    totals = [sum(column) for column in zip(*numbers, strict=True)]
    return "\n".join([header, *lines, ",".join(map(str, ["Total", *totals, sum(totals)]))]) + "\n"


def proposed(text: str) -> list[tuple[int, str, int]]:
    return [(cell.line, cell.column, cell.count) for cell in propose_suppression(read(text), POLICY).cells]


def test_a_small_count_is_hidden_by_the_smallest_square() -> None:
    assert proposed(two_way([[3, 20, 90], [50, 49, 80], [30, 60, 70]])) == [(2, "c1", 20), (4, "c0", 30), (4, "c1", 60)]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("sex,n\nF,3\nM,20\nX,30\nTotal,53\n", [(3, "n", 20)]),
        ("sex,n\nF,3\nM,20\nX,30\n", []),
        ("sex,n\nF,[REDACTED]\nM,20\nX,30\nTotal,53\n", [(3, "n", 20)]),
        ("sex,n\nF,3\nM,4\nX,30\nTotal,37\n", []),
        ("sex,n\nF,0\nM,20\nX,30\nTotal,50\n", []),
        ("sex,n_midpoint6\nF,3\nM,21\nTotal,24\n", []),
    ],
)
def test_no_more_than_is_needed(text: str, cells: list[tuple[int, str, int]]) -> None:
    assert proposed(text) == cells


def test_cells_that_a_checker_chooses_are_hidden_too() -> None:
    text = "sex,n\nF,10\nM,20\nX,30\nTotal,60\n"
    proposal = propose_suppression(read(text), POLICY, [(4, 2)])
    assert [(cell.line, cell.count) for cell in proposal.cells] == [(2, 10)]
    assert (proposal.given_away, proposal.is_best) == (1, True)


def test_a_table_that_is_too_large_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "MAX_SUMS", 2)
    with pytest.raises(NotChecked, match="no further cells are searched"):
        propose_suppression(read(two_way([[3, 20], [50, 40]])), POLICY)


SMALL_TABLES = st.integers(2, 3).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 40), min_size=width, max_size=width), min_size=2, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(SMALL_TABLES)
def test_a_proposal_hides_everything_and_no_smaller_one_does(numbers: list[list[int]]) -> None:
    """Against the slow and obvious way: every set of cells."""
    text = two_way(numbers)
    table = read(text)
    margins = margins_of(table)
    hidden = {place for place, count in margins.counts.items() if 0 < count < POLICY.smallest_shown}
    assume(hidden)
    others = [place for place, count in margins.counts.items() if count > 0 and place not in hidden]
    sizes = range(min(4, len(others)) + 1)
    best = next(
        (
            size
            for size in sizes
            if any(not worked_out(margins, hidden | set(further)) for further in combinations(others, size))
        ),
        None,
    )
    proposal = propose_suppression(table, POLICY)
    if best is not None:
        assert len(proposal.cells) == best
    places = {(table.rows[row].line, number) for row, number in hidden}
    places |= {(cell.line, cell.column_number) for cell in proposal.cells}
    edited = redact_cells(text, "t.csv", places)
    look = look_at_table(read(edited), POLICY)
    assert not [finding for finding in look.findings if finding.rule in (RuleId.MARGINS, RuleId.SMALL_COUNT)]


def test_a_long_search_ends_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "MAX_STEPS", 1)
    table = read(two_way([[3, 20, 90], [50, 40, 80], [30, 60, 70]]))
    proposal = propose_suppression(table, POLICY)
    assert not proposal.is_best
    margins = margins_of(table)
    hidden = {(cell.line - 2, cell.column_number) for cell in proposal.cells} | {(0, 2)}
    assert worked_out(margins, hidden) == {}
