"""What Carrel makes is invisible to `git add -A`; held against git itself."""

import subprocess
from pathlib import Path

import pytest

from carrel.units.ignored import NAME, ignore_all, ignore_files, ignores_all, is_ours, make_ignored


def added(folder: Path) -> list[str]:
    """What `git add -A` takes, in a repository at `folder`, under rules that nobody's own configuration changes."""
    git = ["git", "-C", str(folder), "-c", "core.excludesFile=", "-c", "core.quotePath=false"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    listed = subprocess.run([*git, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    return listed.split("\0")[:-1]


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("rows")


def test_nothing_in_a_folder_of_ours_is_added(tmp_path: Path) -> None:
    make_ignored(tmp_path / "a" / "output")
    write(tmp_path / "a/output/rows.csv", tmp_path / "a/output/deep/.hidden", tmp_path / "a/code.py")
    assert added(tmp_path) == ["a/code.py"]
    assert ignores_all(tmp_path / "a/output")


def test_an_empty_folder_is_taken_and_a_full_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "mine/code.py")
    for name in ("empty", "mine"):
        make_ignored(tmp_path / name)
        make_ignored(tmp_path / name)
        write(tmp_path / name / "more.py")
    assert added(tmp_path) == ["mine/code.py", "mine/more.py"]


NAMES = ["a.csv", "*.csv", "!x", "#y", " z ", "a[1].csv", "back\\slash", "que?ry", "naïve ☕"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_ignored_by_its_name_alone(tmp_path: Path, name: str) -> None:
    others = [other for other in (*NAMES, "a1.csv", "b.csv", "x", "y", "z", "query") if other != name]
    write(*(tmp_path / "mine" / each for each in (name, *others)), tmp_path / "mine/deep" / name)
    assert ignore_files(tmp_path / "mine", [name])
    assert ignore_files(tmp_path / "mine", [name])
    assert sorted(added(tmp_path)) == sorted([*(f"mine/{other}" for other in others), f"mine/deep/{name}"])
    assert (tmp_path / "mine" / NAME).read_text().count("\n/") == 2


def test_names_are_added_to_those_before(tmp_path: Path) -> None:
    write(*(tmp_path / name for name in ("a", "b", "c")))
    ignore_files(tmp_path, ["b"])
    ignore_files(tmp_path, ["a"])
    assert added(tmp_path) == ["c"]


def test_somebodys_own_file_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("*.log\n")
    assert not ignore_files(tmp_path, ["a.csv"])
    ignore_all(tmp_path)
    assert (tmp_path / NAME).read_text() == "*.log\n"
    assert not is_ours(tmp_path / NAME)
    assert not ignores_all(tmp_path)


def test_what_is_ours_is_told_by_name_and_first_words(tmp_path: Path) -> None:
    make_ignored(tmp_path / "a")
    assert is_ours(tmp_path / "a" / NAME)
    write(tmp_path / "b")
    (tmp_path / "b").write_text((tmp_path / "a" / NAME).read_text())
    assert not is_ours(tmp_path / "b")
    assert not is_ours(tmp_path / "missing" / NAME)


def test_what_is_committed_stays_committed(tmp_path: Path) -> None:
    write(tmp_path / "output/committed.csv")
    assert added(tmp_path) == ["output/committed.csv"]
    ignore_files(tmp_path / "output", ["committed.csv", "new.csv"])
    write(tmp_path / "output/new.csv")
    assert added(tmp_path) == ["output/committed.csv"]
