"""Names of released files, and lists that cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.messages.releases import check_file_name, clashes


@pytest.mark.parametrize("name", ["a", "output/table.csv", "résumé/表.csv", "...", "a b/.hidden", "x" * 251])
def test_names_that_can_be(name: str) -> None:
    assert check_file_name(name) == name


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\0", "a\tb", "x" * 252])
def test_names_that_cannot(name: str) -> None:
    with pytest.raises(ValueError, match="a file's"):
        check_file_name(name)


@given(st.text(max_size=30))
def test_a_checked_name_stays_below_its_folder(name: str) -> None:
    try:
        check_file_name(name)
    except ValueError:
        return
    assert not name.startswith("/")
    assert ".." not in name.split("/")


def test_names_that_cannot_be_beside_each_other() -> None:
    assert clashes(["a", "b", "c/d", "c/e"]) == []
    assert clashes(["a", "a", "b"]) == ["a"]
    assert clashes(["c", "c/d/e", "c/d"]) == ["c", "c/d"]
