"""docs/reference/disclosure.md has the rules and thresholds that there are."""

from pathlib import Path

from carrel.cli.disclosure_rules import tables

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "disclosure.md"


def test_the_page_has_the_tables_of_the_rules() -> None:
    assert tables() in PAGE.read_text(), "python -m carrel.cli.disclosure_rules"
