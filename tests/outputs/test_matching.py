"""Matching against `pathlib.Path.glob` itself, on real folders."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.outputs.matching import match_outputs, match_pattern
from carrel.outputs.walk import FileEntry, walk

NAMES = st.sampled_from(["a", "b", "ab", "a.csv", "b.csv", ".a.csv", "x y.csv", "a[1].csv", "é.csv", "output", "A.csv"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
# No `**`: project.yaml may not hold it, and a final `**` means something else to pathlib from Python 3.13 on.
PARTS = st.sampled_from(["a", "*", "*.csv", "a*", "*b*", "output", "a.csv", ".*", "?.csv", "[ab].csv", "[!a]*", "."])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


def _make(root: Path, paths: list[str]) -> None:
    for path in paths:
        target = root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.write_text("x")
        except (FileExistsError, NotADirectoryError):
            continue


@settings(max_examples=150, deadline=None)
@given(st.lists(PATHS, max_size=8), PATTERNS)
def test_matches_what_pathlib_globs(paths: list[str], pattern: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _make(root, paths)
        files = [entry.path for entry in walk(root).files]
        expected = _globbed(root, pattern)
        assert match_pattern(pattern, files) == expected


def _globbed(root: Path, pattern: str) -> list[str]:
    try:
        found = list(root.glob(pattern))
    except (ValueError, IndexError):  # what pathlib makes of `.` alone
        return []
    return sorted({path.relative_to(root).as_posix() for path in found if path.is_file()})


@pytest.mark.parametrize(
    "pattern", ["../x.csv", "output/../x.csv", "/etc/passwd", "", "/", "output/", "**", "output/**"]
)
def test_patterns_that_can_match_no_output(pattern: str) -> None:
    assert match_pattern(pattern, ["x.csv", "etc/passwd", "output/x.csv", "output"]) == []


def _files(*paths: str, mtime_ns: int = 10) -> list[FileEntry]:
    return [FileEntry(path, 1, mtime_ns) for path in paths]


def test_the_last_pattern_that_matches_gives_the_level() -> None:
    spec = {"o/*.csv": "highly_sensitive", "o/b*.csv": "moderately_sensitive", "*.txt": "highly_sensitive"}
    matched = match_outputs(spec, _files("o/a.csv", "o/b.csv"), 0)
    assert matched.outputs == {"o/a.csv": "highly_sensitive", "o/b.csv": "moderately_sensitive"}
    assert matched.unmatched_patterns == ("*.txt",)


def test_only_files_changed_since_are_called_unmatched() -> None:
    files = _files("code.py", mtime_ns=5) + _files("o/c.csv", "o/a.txt", mtime_ns=6)
    assert match_outputs({"x": "highly_sensitive"}, files, 5).unmatched_outputs == ("o/a.txt", "o/c.csv")


def test_matching_never_looks_at_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "stat", lambda *args, **kwargs: pytest.fail("looked"))
    assert match_pattern("output/*.csv", ["output/a.csv"]) == ["output/a.csv"]
