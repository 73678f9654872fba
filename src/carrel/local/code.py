"""The study's own files: which of them a job may see, what they were (a hash), and at which commit."""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.local.errors import LocalError

if TYPE_CHECKING:
    from carrel.local.study import Study
    from carrel.outputs.study_files import LeaveOut, StudyFiles
    from carrel.project import Pipeline

FORMER_OUTPUT = "it is an output of an earlier run, which no action makes now"


def output_patterns(pipeline: "Pipeline") -> list[str]:
    """Every output pattern of the whole project, each once."""
    return list(dict.fromkeys(pattern for action in pipeline.actions.values() for pattern in action.outputs.flat()))


def hidden_files(study: "Study", pipeline: "Pipeline") -> "LeaveOut":
    """Which files of the study no job sees, on any backend. Raises `LocalError` for a damaged manifest."""
    from carrel.outputs.study_files import hidden_from_jobs

    return hidden_from_jobs(output_patterns(pipeline), find_former_outputs(study, pipeline))


def find_former_outputs(study: "Study", pipeline: "Pipeline") -> list[str]:
    """Files that a run once made, and that no pattern matches now: not code, unless they were committed as such."""
    from carrel.local.records import read_records
    from carrel.outputs import manifest
    from carrel.outputs.errors import StorageDamaged
    from carrel.outputs.study_files import hidden_from_jobs

    try:
        published = manifest.read(study.metadata / "manifest.json", study.name)["outputs"]
    except StorageDamaged as damage:
        raise LocalError(f"{damage}: move metadata/manifest.json away to go on without it") from None
    outputs = {*published, *(path for record in read_records(study).values() for path in record.outputs)}
    hidden = hidden_from_jobs(output_patterns(pipeline))
    former = sorted(path for path in outputs if not hidden(path) and (study.folder / path).is_file())
    if not former:
        return []
    answer = ask_git(study.folder, "ls-files", "-z", "--", *(f":(literal){path}" for path in former))
    tracked = set(answer.split("\0"))
    return [path for path in former if path not in tracked]


class Hashes:
    """sha256 of files in hex, each read again only when its size, time or inode changed. Safe from many threads."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, int, int, int], str] = {}

    def hash_file(self, path: Path) -> str:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
        if key not in self._hashes:
            with path.open("rb") as source:
                self._hashes[key] = hashlib.file_digest(source, "sha256").hexdigest()
        return self._hashes[key]

    def hash_code(self, folder: Path, visible: "StudyFiles") -> str:
        """One hash of all that a job gets: names, contents, which files are programs, and where links lead."""
        total = hashlib.sha256()
        for path, program in visible.files.items():
            # An editor's scratch files come and go.
            with contextlib.suppress(FileNotFoundError):
                total.update(os.fsencode(f"file\0{path}\0{program}\0{self.hash_file(folder / path)}\0"))
        for path, target in visible.links.items():
            total.update(os.fsencode(f"link\0{path}\0{target}\0"))
        for path in visible.repositories:
            total.update(os.fsencode(f"repository\0{path}\0"))
        return total.hexdigest()


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """Which commit the study's folder is at, if it is a git repository, and whether tracked files differ from it."""

    commit: str = ""
    dirty: bool = False


def read_version(folder: Path) -> CodeVersion:
    """A folder that is no repository, or a machine without git, gives an empty version."""
    commit = ask_git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return CodeVersion()
    return CodeVersion(commit, bool(ask_git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")))


def ask_git(folder: Path, *args: str) -> str:
    """What git says, without blanks at its ends; nothing where it says no, is not there or takes too long."""
    from carrel.repos.errors import GitError, RepoInfrastructureError
    from carrel.repos.git import Git
    from carrel.repos.limits import Deadline
    from carrel.repos.policy import RepoPolicy

    try:
        git = Git(RepoPolicy(allow_local_git_repos=True), str(folder))
        answer = git.run(["-C", str(folder), *args], Deadline(20))
    except (RepoInfrastructureError, GitError):
        return ""
    return answer.stdout.decode(errors="replace").strip() if answer.ok else ""
