"""The files of a study as its jobs see them: the same from a commit, on a server, and from a researcher's folder.

A job sees every file of the study but outputs (of any action: they come from jobs alone), and what is Carrel's or
git's own. A researcher's folder is seen as a commit of it would be: files are programs or not, with no other modes;
links stay links where they lead to a place inside; there are no empty folders, but in place of other repositories.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carrel.outputs.copies import clone, copy_contents
from carrel.outputs.matching import match_pattern
from carrel.project.constants import GIT_FOLDER
from carrel.project.patterns import is_reserved
from carrel.repos.tree import stays_inside
from carrel.units.ignored import is_ours
from carrel.units.limits import MAX_LINK_BYTES

LeaveOut = Callable[[str], bool]
PROGRAM, PLAIN_FILE, FOLDER = 0o755, 0o644, 0o755
"""Modes, as git has them."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def hidden_from_jobs(patterns: Iterable[str], paths: Iterable[str] = ()) -> LeaveOut:
    """Whether a path of the study is hidden from jobs: one that a pattern of an output matches, or one of `paths`."""
    listed = list(patterns)
    named = {*paths, *(pattern for pattern in listed if "*" not in pattern)}
    wild = [pattern for pattern in listed if "*" in pattern]

    def hidden(path: str) -> bool:
        return is_reserved(path) or path in named or any(match_pattern(pattern, [path]) for pattern in wild)

    return hidden


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The part of a researcher's folder that jobs see; all sorted by path, which is relative, with forward slashes."""

    files: Mapping[str, bool]
    """Path -> whether it is a program."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Path -> target."""
    repositories: tuple[str, ...] = ()
    """Folders that are repositories of their own, such as submodules: jobs see them empty."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Path -> why no job sees it, though nothing hides it."""


def find_study_files(root: Path, hidden: LeaveOut) -> StudyFiles:
    """Look through a researcher's folder. Raises OSError where a folder of it cannot be read."""
    files: dict[str, bool] = {}
    links: dict[str, str] = {}
    repositories: list[str] = []
    skipped: dict[str, str] = {}
    for path, mode in _walk_visible(root, hidden):
        if stat.S_ISREG(mode):
            files[path] = bool(mode & stat.S_IXUSR)
        elif stat.S_ISLNK(mode):
            with contextlib.suppress(FileNotFoundError):
                links[path] = str((root / path).readlink())
        elif stat.S_ISDIR(mode):
            repositories.append(path)
            skipped[path] = "it is a git repository of its own: jobs see an empty folder, as on a server"
        else:
            skipped[path] = "it is no file, folder or symbolic link"
    refused = {path: fault for path in links if (fault := _link_fault(path, links))}
    inner_links = {path: target for path, target in sorted(links.items()) if path not in refused}
    return StudyFiles(dict(sorted(files.items())), inner_links, tuple(sorted(repositories)), skipped | refused)


def _walk_visible(root: Path, hidden: LeaveOut) -> Iterator[tuple[str, int]]:
    """Everything with its mode; of folders only those that are repositories of their own. An editor's files may go."""
    todo = [""]
    while todo:
        prefix = todo.pop()
        with os.scandir(root / prefix) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            path = prefix + name
            if hidden(path) or is_ours(root / path):
                continue
            try:
                mode = (root / path).lstat().st_mode
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(mode) and not os.path.lexists(root / path / GIT_FOLDER):
                todo.append(f"{path}/")
            else:
                yield path, mode


def _link_fault(path: str, links: Mapping[str, str]) -> str | None:
    if len(os.fsencode(links[path])) > MAX_LINK_BYTES:
        return f"it is a symbolic link whose target has more than {MAX_LINK_BYTES} bytes: a server refuses it"
    if not stays_inside(path, links):
        return (
            "it is a symbolic link that leads outside of the study: remove it, or make it relative; a server refuses it"
        )
    return None


def copy_study(root: Path, visible: StudyFiles, workspace: Path) -> None:
    """Copy what is visible below `root` to the folder `workspace`. What has gone is passed over; raises OSError."""
    for path, program in visible.files.items():
        with contextlib.suppress(FileNotFoundError):
            _copy_file(root / path, _make_parents(workspace, path), PROGRAM if program else PLAIN_FILE)
    for path, target in visible.links.items():
        _make_parents(workspace, path).symlink_to(target)
    for path in visible.repositories:
        _make_parents(workspace, f"{path}/.")


def _make_parents(workspace: Path, path: str) -> Path:
    """Where `path` will be, the folders above it being made."""
    folder = workspace
    for name in path.split("/")[:-1]:
        folder /= name
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(FOLDER)
    return workspace / path


def _copy_file(source: Path, target: Path, mode: int) -> None:
    read = os.open(source, _READ)
    try:
        if not stat.S_ISREG(os.fstat(read).st_mode):
            raise FileNotFoundError(f"{source} is no file any more")
        written = os.open(target, _NEW, mode)
        try:
            os.fchmod(written, mode)
            if not clone(read, written):
                copy_contents(read, written)
        finally:
            os.close(written)
    finally:
        os.close(read)
