"""Output patterns and commands, held against slow and obvious versions of the same rules."""

import ntpath
import posixpath
import shlex
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carrel.project.commands import RunCommand, split_words
from carrel.project.constants import LEVEL4_FILE_TYPES, LEVELS
from carrel.project.patterns import escape_fault, pattern_fault

patterns = st.text("abC/.*\\?[~ \n:-é", max_size=12) | st.from_regex(
    r"(metadata|~|\.\.|\.|c:|o|\*)?/{0,2}[a-c*.]{0,4}/?(x|\*)\.(csv|CSV|svg|gz|c\*v|rds)[*/]?", fullmatch=True
)


def obvious_fault(pattern: str, level: str) -> str | None:
    """The words of project-yaml.md 1.5, one after the other."""
    suffix = PurePosixPath(pattern).suffix
    suffix = "" if suffix == "." else suffix  # Python 3.14
    unsupported = [each for each in ("**", "?", "[") if each in pattern]
    if "\\" in pattern:
        return "contains back slashes (use forward slashes only)"
    if unsupported:
        return f"contains '{unsupported[0]}' (only the * wildcard character is supported)"
    if suffix == "" or suffix[-1] == "*":
        return "output paths must have a file type extension at the end"
    if level == "moderately_sensitive" and suffix not in LEVEL4_FILE_TYPES:
        return f"{pattern} is not an allowed file type for moderately_sensitive outputs"
    if posixpath.normpath(pattern) != pattern:
        return "is not in standard form (contains double slashes or '..' elements)"
    if PurePosixPath(pattern).parts[0] == "metadata":
        return "should not include the metadata directory"
    drive, rest = ntpath.splitdrive(pattern)
    if PurePosixPath(pattern).is_absolute() or (drive[:1].isalpha() and drive.isascii() and rest.startswith("/")):
        return "is an absolute path"
    return None


@settings(max_examples=100)
@given(patterns, st.sampled_from(LEVELS))
@example("metadata.csv", "highly_sensitive")
@example("metadata/**.csv", "highly_sensitive")
@example("a.csv/", "moderately_sensitive")
@example("x.csv\n", "moderately_sensitive")
def test_patterns_as_the_obvious_version(pattern: str, level: str) -> None:
    assert pattern_fault(pattern, level) == obvious_fault(pattern, level)


@settings(max_examples=100)
@given(patterns)
def test_what_is_accepted_stays_in_the_workspace(pattern: str) -> None:
    if pattern_fault(pattern, "highly_sensitive") or escape_fault(pattern):
        return
    assert posixpath.normpath(posixpath.join("/ws", pattern)).startswith("/ws/")
    assert ".." not in PurePosixPath(pattern).parts


@pytest.mark.parametrize("pattern", ["~x.csv", "a/~/x.csv", "..x/y.csv", "a/..b/x.csv", "~.csv"])
def test_what_only_looks_like_leaving(pattern: str) -> None:
    assert escape_fault(pattern) is None
    assert pattern_fault(pattern, "highly_sensitive") is None


@settings(max_examples=100)
@given(st.text("ab:1 \t\n\r#$\"'\\\x0b\x0c\x1c\x85\xa0\u2003\u3000é-=", max_size=20))
@example("a # b")
@example("a\u3000b c")
def test_words_as_shlex_splits_them(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError, match="No"):
            split_words(text)
        return
    assert split_words(text) == expected


def test_a_command() -> None:
    command = RunCommand.parse("python:v2 python 'a b.py' --n=1")
    assert command.args == "python a b.py --n=1"
    assert (command.name, command.version, command.is_database_action) == ("python", "v2", False)
