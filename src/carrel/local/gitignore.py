"""Outputs of runs are kept from git: a folder of the study may be pushed somewhere, and they may have patients' rows.

A folder that a run makes ignores itself. One that was there before is the study's own, with files that are to be
committed: there only the outputs themselves are ignored, by a .gitignore of ours. Where the study has one of its
own in that folder, that stays as it is. What git has committed already is never ignored.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from carrel.local.code import ask_git
from carrel.units.ignored import ignore_files, ignores_all, make_ignored


def ignore_outputs(study: Path, paths: Iterable[str]) -> None:
    """Let git ignore the outputs at `paths` (relative to the study's folder), before they are there. Raises OSError."""
    folders: dict[Path, list[str]] = {}
    for path in paths:
        folders.setdefault(Path(path).parent, []).append(Path(path).name)
    for folder, names in folders.items():
        if not _ensure_ignored_parent(study, folder):
            ignore_files(study / folder, names)


def _ensure_ignored_parent(study: Path, folder: Path) -> bool:
    """Whether a folder on the way is Carrel's, or a link, which git does not follow; one that is missing is made so."""
    for ancestor in reversed([study / folder, *(study / above for above in folder.parents)][:-1]):
        if ancestor.is_symlink():
            return True
        if not ancestor.exists():
            make_ignored(ancestor, 0o750)
        if ignores_all(ancestor):
            return True
    return False


def find_exposed(study: Path, paths: Iterable[str]) -> Iterator[str]:
    """Those of the files that `git add -A` would take. None where the study is in no repository."""
    pathspecs = [f":(literal){path}" for path in paths]
    if pathspecs:
        answer = ask_git(study, "ls-files", "-z", "--others", "--exclude-standard", "--", *pathspecs)
        yield from (path for path in answer.split("\0") if path)
