"""Which of a job's files are its outputs: the contract's rules (agent.md 4.5) on a list of files. Pure.

The contract matches with `pathlib.Path.glob` and keeps files. Here the same rules work on names alone, so that no
pattern can make anything be followed or left.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from carrel.agent.walk import FileEntry


@dataclass(frozen=True, slots=True)
class Matched:
    """`outputs`: path -> level, sorted by path. `unmatched_outputs`: files made since, that no pattern matches."""

    outputs: Mapping[str, str]
    unmatched_patterns: tuple[str, ...]
    unmatched_outputs: tuple[str, ...]


def match_outputs(output_spec: Mapping[str, str], files: Iterable[FileEntry], since_ns: int) -> Matched:
    """Match `output_spec` (pattern -> level) in order; the last pattern that matches a file gives its level.

    `since_ns`: files not changed after it (the code, the inputs) are not reported as unmatched.
    """
    listed = list(files)
    outputs: dict[str, str] = {}
    unmatched = []
    for pattern, level in output_spec.items():
        found = match_pattern(pattern, (file.path for file in listed))
        outputs.update(dict.fromkeys(found, level))
        if not found:
            unmatched.append(pattern)
    others = sorted(file.path for file in listed if file.path not in outputs and file.mtime_ns > since_ns)
    return Matched(dict(sorted(outputs.items())), tuple(unmatched), tuple(others))


def match_pattern(pattern: str, paths: Iterable[str]) -> list[str]:
    """Those of `paths` (relative, forward slashes) that `Path.glob(pattern)` would yield as files; sorted.

    An absolute or empty pattern, one with `..`, and one that ends in `/` or `**` (folders only) match nothing.
    """
    parts = _parts(pattern)
    return sorted(path for path in paths if parts and _matches(parts, tuple(path.split("/"))))


def matches(pattern: str, path: str) -> bool:
    """Whether one path matches one pattern."""
    return bool(match_pattern(pattern, [path]))


RECURSIVE = "**"


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[str, ...]:
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    folders_only = pattern.endswith("/") or parts[-1:] == (RECURSIVE,)
    return () if pattern.startswith("/") or folders_only or ".." in parts else parts


def _matches(parts: tuple[str, ...], names: tuple[str, ...]) -> bool:
    if not parts or not names:
        return not parts and not names
    if parts[0] == RECURSIVE:
        return _matches(parts[1:], names) or _matches(parts, names[1:])
    return _component(parts[0]).fullmatch(names[0]) is not None and _matches(parts[1:], names[1:])


@lru_cache(maxsize=4096)
def _component(part: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(part) if any(char in part for char in "*?[") else re.escape(part))
