"""Which of a job's files are its outputs: the contract's rules (agent.md 4.5) on a list of files. Pure.

The contract matches with `pathlib.Path.glob` and keeps files. Here the same rules work on names alone, so that no
pattern can make anything be followed or left.
"""

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from carrel.outputs.errors import UserError
from carrel.outputs.walk import FileEntry, Listing
from carrel.units.limits import GIB, MAX_JOB_ENTRIES, MAX_LISTED, MAX_OUTPUT_BYTES, MAX_OUTPUT_FILES


@dataclass(frozen=True, slots=True)
class MatchedOutputs:
    """`outputs`: path -> level, sorted by path. `unmatched_outputs`: files made since, that no pattern matches.

    `unchanged`: files that a pattern matches, but that were there before and that the job left as they were. `unfit`:
    what a pattern without outputs matches that can never be an output, and why. The last three are lists to be shown:
    of many, they name the first and say how many more there are.
    """

    outputs: Mapping[str, str]
    unmatched_patterns: tuple[str, ...]
    unmatched_outputs: tuple[str, ...]
    unchanged: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()


NOTHING_MATCHED = MatchedOutputs({}, (), ())


class TooMuchOutput(UserError):
    """A job's outputs are more than anybody would look at, or than a disk should take; the text says what may be."""


def match_outputs(output_spec: Mapping[str, str], files: Iterable[FileEntry], since_ns: int) -> MatchedOutputs:
    """Match `output_spec` (pattern -> level) in order; the last pattern that matches a file gives its level.

    `since_ns`: files not changed after it (the code, the inputs) are not reported as unmatched.
    """
    listed = list(files)
    outputs: dict[str, str] = {}
    unmatched = []
    for pattern, level in output_spec.items():
        paths = match_pattern(pattern, (file.path for file in listed))
        outputs.update(dict.fromkeys(paths, level))
        if not paths:
            unmatched.append(pattern)
    others = sorted(file.path for file in listed if file.path not in outputs and file.mtime_ns > since_ns)
    return MatchedOutputs(dict(sorted(outputs.items())), tuple(unmatched), capped(others))


def with_unfit(matched: MatchedOutputs, listing: Listing) -> MatchedOutputs:
    """The same, and what the patterns without outputs would have matched, had it not been refused."""
    refused = (
        str(refusal)
        for refusal in listing.refused
        if any(matches(pattern, refusal.path) for pattern in matched.unmatched_patterns)
    )
    return replace(matched, unfit=capped(list(refused)))


def capped(names: Sequence[str]) -> tuple[str, ...]:
    """All of them, or the first MAX_LISTED and how many more there are."""
    if len(names) <= MAX_LISTED:
        return tuple(names)
    return (*names[:MAX_LISTED], f"... and {len(names) - MAX_LISTED} more")


def too_much(listing: Listing, outputs: Collection[str]) -> str:
    """Why what a job left cannot be stored, in a sentence; empty when it can. `outputs`: paths of some of its files."""
    if listing.cut:
        return f"The job left more than {MAX_JOB_ENTRIES} files in its folder. Remove what is no output before it ends"
    if len(outputs) > MAX_OUTPUT_FILES:
        return (
            f"The job made {len(outputs)} outputs; at most {MAX_OUTPUT_FILES} can be stored. Put them together in"
            " fewer files, or narrow the patterns of its outputs"
        )
    total = sum(max(file.size, file.allocated) for file in listing.files if file.path in outputs)
    if total > MAX_OUTPUT_BYTES:
        return f"The job's outputs hold {total / GIB:.1f} GiB; at most {MAX_OUTPUT_BYTES / GIB:.0f} GiB can be stored"
    return ""


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
    """`reached[n]`: the parts so far match the first n names. So that many `**` take no longer than few."""
    reached = [True] + [False] * len(names)
    for part in parts:
        if part == RECURSIVE:
            reached = [any(reached[: number + 1]) for number in range(len(reached))]
        else:
            component = _component(part)
            reached = [
                False,
                *(was and bool(component.fullmatch(name)) for was, name in zip(reached[:-1], names, strict=True)),
            ]
    return reached[-1]


@lru_cache(maxsize=4096)
def _component(part: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(part) if any(char in part for char in "*?[") else re.escape(part))
