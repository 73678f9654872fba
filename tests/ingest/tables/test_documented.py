"""The page about the tables says every column, kind, change and policy that there is, and no other."""

import re
from pathlib import Path
from typing import get_args

from carrel.ingest.mapping.model import PartitionColumn
from carrel.ingest.tables.kinds import ARROW
from carrel.ingest.tables.names import AFTER, BEFORE
from carrel.ingest.tables.schema import ChangeKind
from carrel.ingest.values import Policy

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ingest-tables.md").read_text()


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text):
    return [name for cell in re.findall(r"^\| (.*?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)]


def test_the_columns_of_every_table_in_their_order():
    table = section("Columns of every table").partition("\n\n**")[0]
    assert first_cells(table) == [*BEFORE, *AFTER]


def test_every_kind_and_policy():
    kinds, policies = section("Types").split("| policy |")
    assert first_cells(kinds) == list(ARROW)
    assert set(first_cells(policies)) >= set(Policy)


def test_every_change_of_a_schema():
    told = section("The catalog")
    assert [each for each in ChangeKind if f"`{each}`" not in told] == []


def test_every_column_to_partition_by():
    mapping = (Path(__file__).parents[3] / "docs" / "reference" / "ingest-mapping.md").read_text()
    assert [each for each in get_args(PartitionColumn) if f"`{each}`" not in mapping] == []
