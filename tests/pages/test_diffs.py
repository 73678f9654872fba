"""Diffs as rows: those that git makes, numbered as git does, and whatever else somebody hands in."""

import difflib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.pages.diffs import MAX_LINE, DiffRow, FileDiff, RowKind, file_diffs

LINES = st.lists(st.sampled_from(["", "a", "-- x", "++ y", "@@ -1 +1 @@", "diff --git a/x b/x", " b"]), max_size=12)


@given(LINES, LINES)
def test_both_files_can_be_read_out_of_the_rows(old: list[str], new: list[str]) -> None:
    diff = "\n".join(difflib.unified_diff(old, new, "a/x", "b/x", lineterm="", n=100))
    files = file_diffs(diff)
    if old == new:
        assert files == []
        return
    (file,) = files
    rows = file.rows
    assert [row.text for row in rows if row.kind in (RowKind.SAME, RowKind.REMOVED)] == old
    assert [row.text for row in rows if row.kind in (RowKind.SAME, RowKind.ADDED)] == new
    assert [row.old for row in rows if row.old is not None] == list(range(1, len(old) + 1))
    assert [row.new for row in rows if row.new is not None] == list(range(1, len(new) + 1))
    assert (file.added, file.removed) == tuple(sum(row.sign == sign for row in rows) for sign in "+−")


@given(st.text(st.sampled_from("+-@ \\ab\n\r0,1/dif\t")))
def test_anything_can_be_handed_in(text: str) -> None:
    for file in file_diffs(f"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n{text}", max_rows=5):
        assert len(file.rows) <= 5


def git_diff(folder: Path, *words: str) -> str:
    command = ["git", "-c", "core.quotePath=false", "-C", folder, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git_diff(tmp_path, "init", "--quiet")
    (tmp_path / "old name.sql").write_text("select 1;\n" * 20)
    (tmp_path / "model.py").write_text("a\nb\nc")
    (tmp_path / "plot.png").write_bytes(b"\0\1")
    (tmp_path / "gone.txt").write_text("x\n")
    git_diff(tmp_path, "add", "--all")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git_diff(tmp_path, *identity, "commit", "--quiet", "--message", "Begin")
    return tmp_path


def test_what_git_says_is_read(repository: Path) -> None:
    (repository / "old name.sql").rename(repository / "new name.sql")
    (repository / "model.py").write_text("a\nB\nc\n")
    (repository / "plot.png").write_bytes(b"\0\2")
    (repository / "gone.txt").unlink()
    (repository / "sub dir").mkdir()
    (repository / "sub dir" / "fresh.txt").write_text("1\r\n2\n")
    git_diff(repository, "add", "--all")
    by_path = {file.path: file for file in file_diffs(git_diff(repository, "diff", "--cached", "--find-renames"))}
    assert set(by_path) == {"new name.sql", "model.py", "plot.png", "gone.txt", "sub dir/fresh.txt"}
    assert by_path["new name.sql"].old_path == "old name.sql"
    assert by_path["model.py"].rows == [
        DiffRow(RowKind.HUNK, ""),
        DiffRow(RowKind.SAME, "a", 1, 1),
        DiffRow(RowKind.REMOVED, "b", 2),
        DiffRow(RowKind.REMOVED, "c", 3),
        DiffRow(RowKind.NOTE, "No newline at end of file"),
        DiffRow(RowKind.ADDED, "B", None, 2),
        DiffRow(RowKind.ADDED, "c", None, 3),
    ]
    assert "differ" in by_path["plot.png"].rows[-1].text
    assert [row.text for row in by_path["sub dir/fresh.txt"].rows if row.kind is RowKind.ADDED] == ["1", "2"]
    assert (by_path["gone.txt"].added, by_path["gone.txt"].removed) == (0, 1)


def test_what_is_left_out_is_counted() -> None:
    added = "".join(f"+{n}\n" for n in range(50))
    diff = (
        f"--- /dev/null\n+++ b/a\n@@ -0,0 +1,50 @@\n{added}--- a/b\t2026-01-01\n+++ b/b\n@@ -1 +1 @@ def x():\n-1\n+2\n"
    )
    first, second = file_diffs(diff, max_rows=11)
    assert (len(first.rows), first.rows_left_out, first.added) == (11, 40, 50)
    assert second == FileDiff("b", "", [], 1, 1, 3)


def test_long_lines_are_cut() -> None:
    (file,) = file_diffs(f"--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{'x' * 9000}\n")
    assert file.rows[1].text == f"{'x' * MAX_LINE}… (9000 characters)"


def test_the_message_of_a_commit_is_passed_over() -> None:
    assert file_diffs("commit 3fa9c1e\nAuthor: A\n\n    @@ -1 +1 @@\n+x\n\\ y\n") == []
    assert file_diffs("@@ -1 +1 @@\n-a\n+b\n") == []
