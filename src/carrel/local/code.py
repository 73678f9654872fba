"""The study's own files: which of them a job may see, what they were (a hash), and at which commit.

A job sees every file of the study but outputs (of any action), `.git` and `metadata/` (local-run.md
section 4), and what is Carrel's own.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.units.ignored import is_ours

if TYPE_CHECKING:
    from carrel.project import Pipeline

LEFT_OUT = frozenset({".git", "metadata", ".staging", ".carrel"})
"""`.staging` is where outputs wait, for an instant, to become visible together; `.carrel` is what `carrel up` keeps
where it is started: tokens and patient-level files, which are no code."""
LeaveOut = Callable[[str], bool]


def output_patterns(pipeline: "Pipeline") -> list[str]:
    """Every output pattern of the whole project, each once."""
    return list(dict.fromkeys(pattern for action in pipeline.actions.values() for pattern in action.outputs.flat()))


def leave_out(patterns: Iterable[str], folder: Path) -> LeaveOut:
    """Whether a path of the study in `folder` is hidden from jobs."""
    from carrel.agent.matching import matches

    listed = list(patterns)
    literal = {pattern for pattern in listed if "*" not in pattern}
    wild = [pattern for pattern in listed if "*" in pattern]

    def hidden(path: str) -> bool:
        if path in LEFT_OUT or path.endswith("/.git") or path in literal or is_ours(folder / path):
            return True
        return any(matches(pattern, path) for pattern in wild)

    return hidden


class Hashes:
    """sha256 of files in hex, each read again only when its size, time or inode changed. Safe from many threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}

    def of(self, path: Path) -> str:
        found = path.stat()
        key = (str(path), found.st_size, found.st_mtime_ns, found.st_ino)
        if key not in self._known:
            with path.open("rb") as source:
                self._known[key] = hashlib.file_digest(source, "sha256").hexdigest()
        return self._known[key]

    def of_code(self, folder: Path, hidden: LeaveOut) -> str:
        """One hash of the names and contents of every file that `hidden` does not name."""
        from carrel.agent.walk import walk

        total = hashlib.sha256()
        for file in walk(folder, hidden).files:
            # An editor's scratch files come and go.
            with contextlib.suppress(FileNotFoundError):
                total.update(f"{file.path}\0{self.of(folder / file.path)}\0".encode())
        return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Version:
    """Which commit the study's folder is at, if it is a git repository, and whether tracked files differ from it."""

    commit: str = ""
    dirty: bool = False


def version_of(folder: Path) -> Version:
    """A folder that is no repository, or a machine without git, gives an empty version."""
    commit = git_answer(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return Version()
    return Version(commit, bool(git_answer(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")))


def git_answer(folder: Path, *args: str) -> str:
    """What git says, without blanks at its ends; nothing where it says no, is not there or takes too long."""
    from carrel.repos.errors import RepoInfrastructureError
    from carrel.repos.git import Git, TimedOut
    from carrel.repos.limits import Deadline
    from carrel.repos.policy import RepoPolicy

    try:
        git = Git(RepoPolicy(allow_local_git_repos=True), str(folder))
        done = git.run(["-C", str(folder), *args], Deadline(20))
    except (RepoInfrastructureError, TimedOut):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.ok else ""
