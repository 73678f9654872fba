"""Two versions of a file: what changed, and which differences are small numbers."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.comparison import AlignedRow, DiffKind, TableComparison, align, compare_tables, compare_texts
from carrel.disclosure.findings import NotChecked, RuleId
from carrel.disclosure.outputs import Look, look_at_difference
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import Table, read_tables

POLICY = DisclosurePolicy()


def table(text: str) -> Table:
    (only,) = read_tables([text])
    return only


def compared(old: str, new: str, keys: list[str] | None = None) -> TableComparison:
    return compare_tables(table(old), table(new), POLICY, keys)


def changes(comparison: TableComparison) -> list[tuple[str, int, int, str, str, int | None, bool]]:
    return [
        (str(change.kind), change.old_line, change.new_line, change.old, change.new, change.difference, change.is_small)
        for change in comparison.changes
    ]


def test_rows_are_matched_by_their_labels_and_columns_by_their_names() -> None:
    old = "sex,n,m\nF,10,20\nM,30,40\nX,50,60\n"
    new = "sex,m,n,k\nNew,1,2,3\nX,60,50,9\nF,24,10,9\n"
    comparison = compared(old, new)
    assert comparison.alignment.keys == ("sex",)
    assert comparison.alignment.rows == (
        AlignedRow(None, 0),
        AlignedRow(1, None),
        AlignedRow(2, 1),
        AlignedRow(0, 2),
    )
    assert [column.name for column in comparison.alignment.columns] == ["sex", "m", "n", "k"]
    assert changes(comparison) == [
        ("added", 4, 3, "", "9", None, False),
        ("changed", 2, 4, "20", "24", 4, True),
        ("added", 2, 4, "", "9", None, False),
    ]
    assert comparison.rows_of(DiffKind.ADDED) == (AlignedRow(None, 0),)
    assert comparison.rows_of(DiffKind.REMOVED) == (AlignedRow(1, None),)
    assert comparison.rows_of(DiffKind.CHANGED) == (AlignedRow(2, 1), AlignedRow(0, 2))
    assert comparison.rows_of(DiffKind.SAME) == ()


@pytest.mark.parametrize(
    ("old", "new", "keys", "expected"),
    [
        # Several labels name a row where one does not.
        ("a,b,n\nk,p,10\nk,q,20\n", "a,b,n\nk,q,20\nk,p,15\n", ("a", "b"), [(2, 3)]),
        # A year is a label; a text that changes in every row is none that names it.
        ("year,text,n\n2020,a,10\n2021,b,20\n", "year,text,n\n2021,c,20\n2020,d,10\n", ("year",), [(2, 3), (3, 2)]),
        # Without labels by position.
        ("n,m\n10,20\n30,40\n", "n,m\n10,20\n30,45\n", (), [(3, 3)]),
        # A name that stands twice is matched in its order.
        ("a,n\nk,10\nk,20\n", "a,n\nk,10\nk,25\n", ("a",), [(3, 3)]),
    ],
)
def test_what_names_a_row(old: str, new: str, keys: tuple[str, ...], expected: list[tuple[int, int]]) -> None:
    comparison = compared(old, new)
    assert comparison.alignment.keys == keys
    assert sorted((change.old_line, change.new_line) for change in comparison.changes) == expected


def test_the_columns_that_name_a_row_can_be_chosen() -> None:
    comparison = compared("a,b,n\nx,p,10\ny,q,20\n", "a,b,n\nz,q,20\nx,p,15\n", ["b"])
    assert [(change.old, change.new) for change in comparison.changes] == [("y", "z"), ("10", "15")]


@pytest.mark.parametrize(
    ("old", "new", "is_small"),
    [("10", "10", []), ("10", "11", [True]), ("10", "3", [True]), ("10", "18", [False]), ("10", "[REDACTED]", [False])],
)
def test_a_difference_that_is_a_small_number_is_an_alarm(old: str, new: str, is_small: list[bool]) -> None:
    comparison = compared(f"sex,n\nF,{old}\nM,99\n", f"sex,n\nF,{new}\nM,99\n")
    assert [change.is_small for change in comparison.changes] == is_small
    assert len(comparison.alarms) == sum(is_small)


def test_years_and_means_give_no_alarm() -> None:
    assert compared("a,year,mean\nx,2020,1.5\n", "a,year,mean\nx,2021,2.5\n", ["a"]).alarms == ()


ROWS = st.lists(st.tuples(st.text("abc", min_size=1, max_size=2), st.integers(0, 30)), min_size=1, max_size=12)


@given(ROWS, ROWS)
def test_every_row_of_both_is_aligned_once_and_changes_are_differences(old: list, new: list) -> None:
    one, other = table(_csv(old)), table(_csv(new))
    alignment = align(ReadTable(one), ReadTable(other))
    assert sorted(row.old for row in alignment.rows if row.old is not None) == list(range(len(old)))
    assert [row.new for row in alignment.rows if row.new is not None] == list(range(len(new)))
    for change in compare_tables(one, other, POLICY).changes:
        assert change.old != change.new
        if change.column == 0:  # no name is in both: rows are matched by their positions
            assert not {label for label, _ in old} & {label for label, _ in new}
            continue
        assert change.difference == int(change.new) - int(change.old)
        assert change.is_small == (0 < abs(change.difference) < 8)


def _csv(rows: list[tuple[str, int]]) -> str:
    return "a,n\n" + "".join(f"{label},{number}\n" for label, number in rows)


@given(ROWS, st.randoms(use_true_random=False))
def test_a_table_that_is_sorted_anew_has_not_changed(rows: list, order: random.Random) -> None:
    distinct = list({label: (label, number) for label, number in rows}.values())
    shuffled = list(distinct)
    order.shuffle(shuffled)
    assert compared(_csv(distinct), _csv(shuffled), ["a"]).changes == ()


def difference(old: str, new: str, path: str = "t.csv") -> Look:
    return look_at_difference(io.BytesIO(old.encode()), io.BytesIO(new.encode()), path, POLICY, "request 7")


def test_small_differences_are_findings_at_cells() -> None:
    look = difference("sex,n\nF,100\nM,80\nX,70\n", "sex,n\nM,80\nF,103\nX,90\n")
    (finding,) = look.findings
    assert (finding.rule, finding.line, finding.column, finding.column_number) == (RuleId.SMALL_DIFFERENCE, 3, "n", 2)
    assert (finding.value, finding.compared_with) == ("103", "request 7")
    assert finding.message == "differs by 7 or fewer from the same cell of request 7"


def test_the_tables_of_a_file_are_compared_each_with_its_own() -> None:
    old = "One\n\nsex  n\nF  100\nM  80\n\nregion  m\nN  50\nS  60\n"
    new = "One\n\nregion  m\nN  50\nS  63\n\nsex  n\nF  100\nM  80\n"
    assert [finding.line for finding in difference(old, new, "t.txt").findings] == [5]


def test_what_cannot_be_compared_is_told() -> None:
    assert difference("a", "b", "t.png") == Look(unchecked="it is an image; compare it by eye")
    torn = difference("{", "[]", "t.json")
    assert (torn.unchecked, torn.is_blind) == ("not compared with request 7: it cannot be read as JSON", True)
    many = difference("a,n\n" + "x,10\n" * 101, "a,n\n" + "x,11\n" * 101)
    assert (len(many.findings), many.unchecked) == (100, "what follows the first 100 differences to request 7")


def test_lines_of_a_text() -> None:
    lines = list(compare_texts("a\nb\nc\n", "a\nx\nc\nd\n"))
    assert [(line.kind, line.old, line.new, line.text) for line in lines] == [
        ("same", 1, 1, "a"),
        ("removed", 2, None, "b"),
        ("added", None, 2, "x"),
        ("same", 3, 3, "c"),
        ("added", None, 4, "d"),
    ]
    with pytest.raises(NotChecked, match="more than 20,000 lines"):
        list(compare_texts("a\n" * 20_001, ""))
