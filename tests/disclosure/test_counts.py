import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carrel.disclosure.columns import ReadColumn, ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.rules import look_at_table
from carrel.disclosure.tables import read_tables

COUNTS = {RuleId.SMALL_COUNT, RuleId.NOT_ROUNDED, RuleId.NOT_MIDPOINT6}


def check_table(text: str) -> list[DisclosureFinding]:
    """What the rules of counts say of a text's tables."""
    looks = [look_at_table(ReadTable(table), DisclosurePolicy()) for table in read_tables([text])]
    return [finding for look in looks for finding in look.findings if finding.rule in COUNTS]


def rules(text):
    return [(found.line, found.column, found.rule) for found in check_table(text)]


def test_small_and_unrounded_counts_are_found_with_their_cell():
    assert rules("sex,n\nF,7\nM,13\nO,15\n") == [(2, "n", RuleId.SMALL_COUNT), (3, "n", RuleId.NOT_ROUNDED)]


@pytest.mark.parametrize("cell", ["0", "10", "100", "[REDACTED]", "", "NA", "15.0"])
def test_what_may_be_shown(cell):
    assert rules(f"n,k\n{cell},a\n20,b\n") == []


def test_midpoint_6():
    assert rules("n_midpoint6\n0\n3\n9\n15\n") == []
    assert rules("n_midpoint6\n6\n10\n") == [
        (2, "n_midpoint6", RuleId.NOT_MIDPOINT6),
        (3, "n_midpoint6", RuleId.NOT_MIDPOINT6),
    ]
    assert rules("n_midpoint6_derived\n0\n12\n24\n") == []
    assert rules("n_midpoint6_derived\n10\n") == [(2, "n_midpoint6_derived", RuleId.NOT_MIDPOINT6)]


@pytest.mark.parametrize("name", ["year", "age_band", "patient_id", "imd_quintile", "index_date"])
def test_columns_that_are_no_counts_by_name(name):
    assert rules(f"{name}\n1\n2\n") == []


@pytest.mark.parametrize("cells", [["1.5"], ["-3"], ["a"], ["[REDACTED]", ""]])
def test_columns_that_are_no_counts_by_content(cells):
    assert not ReadColumn(1, "n", tuple(cells)).is_count


@pytest.mark.parametrize("text", ["", "n\n", "\n\n"])
def test_nothing_to_look_at(text):
    assert check_table(text) == []


def test_short_rows_and_many_findings():
    assert rules("a,n\nx\ny,10\n") == []
    assert len(check_table("n\n" + "3\n" * 500)) == 100


def test_a_finding_says_what_to_do():
    (small, odd, middle) = check_table("n,n_midpoint6\n3,9\n11,15\n10,10\n")
    assert (small.line, small.column, small.message) == (2, "n", "a count of 7 or fewer must be redacted")
    assert (odd.line, odd.column, odd.message) == (3, "n", "not rounded to the nearest 5")
    assert (middle.line, middle.column) == (4, "n_midpoint6")
    assert middle.message == "not rounded to the midpoint of 6 (3, 9, 15, ...)"


@settings(max_examples=50)
@example([0, 1, 7, 8, 10, 11])
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30))
def test_every_count_is_judged_as_the_rules_say(counts):
    found = {each.line: each.rule for each in check_table("n\n" + "\n".join(map(str, counts)) + "\n")}
    for line, count in enumerate(counts, start=2):
        wanted = RuleId.SMALL_COUNT if 1 <= count <= 7 else RuleId.NOT_ROUNDED if count % 5 else None
        assert found.get(line) == wanted


@pytest.mark.parametrize("rows", ["F;3\nM;1.235\n", "F;3\nM;1.235\nX;2.140\n", "F;3\nM;1.234.565\n"])
def test_a_point_may_part_thousands(rows: str) -> None:
    assert [found.value for found in check_table(f"sex;n\n{rows}")][:1] == ["3"]


def test_fractions_are_not_taken_for_thousands() -> None:
    assert check_table("term,estimate\na,1.235\nb,0.543\nc,3\n") == []
    assert check_table("term,estimate\na,1.235\nb,2.140\n") == []
