"""What a job made, as opposed to what was there before it: inputs, and files of the study, that it left as they were.

Those are not its outputs, whatever its patterns say: a pattern that takes all of `output/` must not take another
action's patient-level extract along, and to a lower level than the action that made it gave it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from carrel.outputs.copies import sha256_of
from carrel.outputs.matching import MatchedOutputs, capped, match_outputs, match_pattern
from carrel.outputs.walk import FileEntry, walk

_LEVELS = ("minimally_sensitive", "moderately_sensitive", "highly_sensitive")
"""Levels from the lowest on; one of another name counts as the highest."""


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file that was in the workspace before the job began. `inode` is its device and number, `size` in bytes.

    `level` is what the maker of an input gave it, "" for a file of the study; `sha256` of its contents where they are
    known. `shown`: an input that is shown read-only in the place of an empty file, which has this inode.
    """

    inode: tuple[int, int]
    size: int
    mtime_ns: int
    level: str = ""
    sha256: str = ""
    shown: bool = False

    def is_untouched(self, entry: FileEntry) -> bool:
        if self.shown:
            return entry.inode == self.inode
        return (entry.inode, entry.size, entry.mtime_ns) == (self.inode, self.size, self.mtime_ns)


def note_placed(
    workspace: Path,
    output_spec: Mapping[str, str],
    levels: Mapping[str, str],
    hashes: Mapping[str, str],
    shown: Mapping[str, Path],
) -> dict[str, PlacedFile]:
    """Note the inputs, and the files of the study that an output's pattern matches, by path. The job has not begun.

    `levels` and `hashes` of the inputs, by path; `shown`: the files that large inputs are shown from.
    """
    entries = {entry.path: entry for entry in walk(workspace).files}
    matched = {path for pattern in output_spec for path in match_pattern(pattern, entries)}
    return {
        path: PlacedFile(
            inode=entries[path].inode,
            size=shown[path].stat().st_size if path in shown else entries[path].size,
            mtime_ns=entries[path].mtime_ns,
            level=levels.get(path, ""),
            sha256=hashes.get(path, ""),
            shown=path in shown,
        )
        for path in sorted(matched.union(levels) & entries.keys())
    }


def match_changed_files(
    output_spec: Mapping[str, str],
    files: Collection[FileEntry],
    placed: Mapping[str, PlacedFile],
    workspace: Path,
    since_ns: int,
    check: Callable[[], None] = lambda: None,
) -> MatchedOutputs:
    """`match_outputs` of what the job made, each at no lower level than the maker of what it holds gave it.

    An input that was only touched still answers its pattern, but is no output. `check` is called while files are read.
    """
    untouched = {entry.path for entry in files if _is_untouched(entry, placed)}
    changed = [entry for entry in files if entry.path not in untouched]
    matched = match_outputs(output_spec, changed, since_ns)
    entries = {entry.path: entry for entry in changed if entry.path in matched.outputs}
    origins = {(file.inode, file.size, file.mtime_ns): file.level for file in placed.values() if file.level}
    outputs = {}
    rewritten = set()
    for path, level in matched.outputs.items():
        entry, before = entries[path], placed.get(path)
        may_be_same = before and before.level and before.sha256 and before.size == entry.size
        if before and may_be_same and sha256_of(workspace / path, check) == before.sha256:
            rewritten.add(path)  # an input that was written anew, or touched, and holds what it held
            continue
        unknown = before.level if before and before.size == entry.size and not before.sha256 else ""
        moved = origins.get((entry.inode, entry.size, entry.mtime_ns), "")
        outputs[path] = highest_level([level, unknown, moved])
    unchanged = rewritten | {path for pattern in output_spec for path in match_pattern(pattern, untouched)}
    return replace(matched, outputs=outputs, unchanged=capped(sorted(unchanged)))


def _is_untouched(entry: FileEntry, placed: Mapping[str, PlacedFile]) -> bool:
    before = placed.get(entry.path)
    if before and before.is_untouched(entry):
        return True
    # A folder with an input that is shown read-only can be moved: the empty file under it goes along.
    return entry.size == 0 and any(file.shown and file.inode == entry.inode for file in placed.values())


def highest_level(levels: Iterable[str]) -> str:
    """The most sensitive of these levels; empty ones do not count."""
    return max(filter(None, levels), key=lambda level: _LEVELS.index(level) if level in _LEVELS else len(_LEVELS))
