"""Rules for one output pattern (spec: project-yaml.md section 1.5, in its order)."""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath

from carrel.project.constants import GIT_FOLDER, LEVEL4_FILE_TYPES, RESERVED_FOLDERS
from carrel.units.limits import MAX_FILE_NAME_BYTES

# The shape nearly all patterns have, of which only the file type is left to look at: plain names, no leading dots.
_plain = re.compile(r"(?!metadata/)(?:[A-Za-z0-9_*-][A-Za-z0-9_.*-]*/)*[A-Za-z0-9_*-][A-Za-z0-9_.*-]*(\.[A-Za-z0-9]+)")
_windows_drive = re.compile(r"[A-Za-z]:/")
_UNSUPPORTED = ("**", "?", "[")


def pattern_fault(pattern: str, level: str) -> str | None:
    """What the contract has against `pattern` at `level`, or None. Behind `Output path P is invalid: `."""
    match = _plain.fullmatch(pattern)
    if match and "**" not in pattern:
        return _type_fault(pattern, match[1], level)
    return (
        _wildcard_fault(pattern)
        or _suffix_fault(pattern)
        or _type_fault(pattern, suffix_of(pattern), level)
        or _form_fault(pattern)
    )


def escape_fault(pattern: str) -> str | None:
    """What only we have against a pattern: it leaves the workspace."""
    first = pattern.split("/", 1)[0]
    if first == ".." or (first.startswith("~") and "/" in pattern):
        return "it leaves the workspace (write a path relative to the study's folder)"
    return None


def is_reserved(path: str) -> bool:
    """Whether a file or folder is Carrel's or git's own."""
    parts = path.split("/")
    return parts[0] in RESERVED_FOLDERS or GIT_FOLDER in parts


def reserved_fault(pattern: str) -> str | None:
    """What we have against a pattern that names what is Carrel's or git's own (the contract: `metadata` alone).

    In letters of any case: to some file systems they are one.
    """
    if is_reserved(pattern.casefold()):
        return "it is in a folder of Carrel's or git's own (write to another, e.g. output/)"
    return None


def length_fault(pattern: str) -> str | None:
    """What we have against a pattern whose files could not be stored."""
    longest = max(len(part.replace("*", "").encode(errors="replace")) for part in pattern.split("/"))
    if longest > MAX_FILE_NAME_BYTES:
        return f"the name of a file or folder is longer than {MAX_FILE_NAME_BYTES} bytes"
    return None


def overlap(one: str, other: str) -> bool:
    """Whether there is a path that both patterns match."""
    names, other_names = one.split("/"), other.split("/")
    return len(names) == len(other_names) and all(map(_names_overlap, names, other_names))


def _names_overlap(one: str, other: str) -> bool:
    """Whether two names, in which `*` stands for any letters, can be the same.

    `reached` are the places in `other` that what was read of `one` may have come to.
    """
    if "*" not in one and "*" not in other:
        return one == other
    reached = _over_stars({0}, other)
    for sign in one:
        if sign == "*":
            reached = set(range(min(reached), len(other) + 1)) if reached else set()
            continue
        stepped = {at if other[at] == "*" else at + 1 for at in reached if at < len(other) and other[at] in ("*", sign)}
        reached = _over_stars(stepped, other)
    return len(other) in reached


def _over_stars(places: set[int], pattern: str) -> set[int]:
    """The places, and those behind the stars that stand there: a star may stand for nothing."""
    over = set(places)
    for at in sorted(places):
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            over.add(at)
    return over


def suffix_of(pattern: str) -> str:
    """Last extension with its dot; as `PurePosixPath.suffix` up to Python 3.13, where `a.` has none."""
    name = PurePosixPath(pattern).name
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""


def _wildcard_fault(pattern: str) -> str | None:
    if "\\" in pattern:
        return "contains back slashes (use forward slashes only)"
    for unsupported in _UNSUPPORTED:
        if unsupported in pattern:
            return f"contains '{unsupported}' (only the * wildcard character is supported)"
    return None


def _suffix_fault(pattern: str) -> str | None:
    suffix = suffix_of(pattern)
    if not suffix or suffix.endswith("*"):
        return "output paths must have a file type extension at the end"
    return None


def _type_fault(pattern: str, suffix: str, level: str) -> str | None:
    if level == "moderately_sensitive" and suffix not in LEVEL4_FILE_TYPES:
        return f"{pattern} is not an allowed file type for moderately_sensitive outputs"
    return None


def _form_fault(pattern: str) -> str | None:
    if posixpath.normpath(pattern) != pattern:
        return "is not in standard form (contains double slashes or '..' elements)"
    if pattern.split("/", 1)[0] == "metadata":
        return "should not include the metadata directory"
    if pattern.startswith("/") or _windows_drive.match(pattern):
        return "is an absolute path"
    return None
