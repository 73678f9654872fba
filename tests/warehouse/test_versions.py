"""Versions of a warehouse: what a job is pinned to, and what moved since."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from deltalake import DeltaTable
from tests.support.warehouses import add_commit, make_warehouse, write_state

from carrel.warehouse import versions


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return make_warehouse(tmp_path / "warehouse")


def test_all_tables_are_pinned(warehouse: Path) -> None:
    assert versions.version_of(warehouse) == "Motion=1,Weather=0"
    assert versions.version_of(warehouse / "tables") == "Motion=1,Weather=0"
    assert versions.version_of(warehouse / "tables/Motion") == "delta:1"


def test_of_a_run_under_way_nothing_is_seen_in_any_table(warehouse: Path) -> None:
    """Killed between its commits, it may stay so for long: neither its rows nor its new tables are there."""
    write_state(warehouse, 3, "open")
    add_commit(warehouse, "Motion", 3)
    add_commit(warehouse, "Aaa", 3)
    assert versions.version_of(warehouse) == "Motion=1,Weather=0"
    add_commit(warehouse, "Weather", 3)
    write_state(warehouse, 3, "done")
    assert versions.version_of(warehouse) == "Aaa=0,Motion=2,Weather=1"


def test_a_run_that_began_after_its_state_was_read_is_not_seen(warehouse: Path) -> None:
    add_commit(warehouse, "Motion", 3)
    assert versions.version_of(warehouse) == "Motion=1,Weather=0"


def test_commits_of_others_count(warehouse: Path) -> None:
    add_commit(warehouse, "Weather")
    add_commit(warehouse, "Weather")
    assert versions.version_of(warehouse) == "Motion=1,Weather=2"


def test_a_log_that_was_shortened_to_its_checkpoint(warehouse: Path) -> None:
    DeltaTable(str(warehouse / "tables/Motion")).create_checkpoint()
    for commit in (warehouse / "tables/Motion/_delta_log").glob("*.json"):
        commit.unlink()
    assert versions.version_of(warehouse) == "Motion=1,Weather=0"


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("a=1,b=2", "a=1,b=2", {}),
        ("a=1,b=2", "a=3,b=2", {"a": ["1", "3"]}),
        ("a=1", "a=1,b=0", {"b": [None, "0"]}),
        ("a=1,b=0", "b=0", {"a": ["1", None]}),
        ("", "a=1", {"a": [None, "1"]}),
        ("delta:3", "delta:4", {"database": ["3", "4"]}),
        ("2024-01-01T00:00:00+00:00/7", "2024-01-02T00:00:00+00:00/7",
         {"database": ["2024-01-01T00:00:00+00:00/7", "2024-01-02T00:00:00+00:00/7"]}),
    ],
)  # fmt: skip
def test_what_moved(before: str, after: str, moved: Mapping[str, list[str | None]]) -> None:
    assert versions.changes(before, after) == moved


def test_what_moved_in_words() -> None:
    moved = {"a": ["1", "3"], "b": [None, "0"], "c": ["0", None]}
    assert versions.change_lines(moved) == ["a: 1 -> 3", "b: not there -> 0", "c: 0 -> not there"]


@pytest.mark.parametrize(
    ("url", "pinned"),
    [
        ("delta:///srv/w", None),
        ("delta:///srv/w?version=4", {"w": 4}),
        ("delta:///srv/w?versions=a=1,b%3D=2,", {"a": 1, "b=": 2}),
        ("delta:///srv/w?versions=", {}),
    ],
)
def test_an_address_may_fix_versions(url: str, pinned: Mapping[str, int] | None) -> None:
    assert versions.pinned_versions(url, Path("/srv/w")) == pinned


def test_versions_that_are_no_numbers_are_refused() -> None:
    for query in ("version=x", "versions=a=b"):
        with pytest.raises(ValueError, match="invalid literal"):
            versions.pinned_versions(f"delta:///srv/w?{query}", Path("/srv/w"))


def test_a_version_is_written_into_an_address_as_it_is_read() -> None:
    for version, pinned in (("a=1,b=2", {"a": 1, "b": 2}), ("delta:4", {"w": 4})):
        query = versions.query_of(version)
        assert versions.pinned_versions(f"delta:///srv/w?{query}", Path("/srv/w")) == pinned
