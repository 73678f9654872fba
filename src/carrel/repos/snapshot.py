"""A folder as a commit of a local repository: how a demo or a test hands over code that is in no repository yet."""

import os
from pathlib import Path

from carrel.repos.git import Git
from carrel.repos.limits import Deadline
from carrel.repos.policy import RepoPolicy

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Carrel", "EMAIL": "carrel@localhost", "DATE": "2026-01-01T00:00:00Z"}.items()
}

_MADE_BY_CARREL = frozenset({"metadata", ".staging", ".carrel"})
"""What runs and sites leave in a study's folder: records, outputs on their way, tokens and patient-level files."""


def commit_folder(
    folder: Path, repo: Path, branch: str = "main", message: str = "Snapshot", seconds: float = 60
) -> str:
    """Commit `folder` to the bare repository `repo`, and return the commit.

    Left out is what git ignores there, and what Carrel makes in a study (`_is_code`). The same files give the same
    commit, whenever and wherever it is made: author and time are fixed. Raises `RepoInfrastructureError`.
    """
    deadline = Deadline(seconds)
    git = Git(RepoPolicy(allow_local_git_repos=True), str(repo), repo)
    if not (repo / "HEAD").exists():
        repo.mkdir(parents=True, exist_ok=True)
        git.local(["init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(repo)], deadline)
    index = repo / "snapshot.index"
    index.unlink(missing_ok=True)
    env = {**_WHO, "GIT_INDEX_FILE": str(index)}
    inside = [f"--work-tree={folder}", "-C", str(folder)]
    # `git add` with exceptions ends in an error where a .gitignore names one of them, so the paths are chosen here.
    listed = git.local([*inside, "ls-files", "-z", "--others", "--exclude-standard"], deadline, env=env).stdout
    code = b"".join(path + b"\0" for path in listed.split(b"\0") if _is_code(os.fsdecode(path)))
    git.local([*inside, "update-index", "--add", "-z", "--stdin"], deadline, stdin=code, env=env)
    tree = _answer(git, ["write-tree"], deadline, env)
    commit = _answer(git, ["commit-tree", tree, "-m", message], deadline, env)
    git.local(["update-ref", f"refs/heads/{branch}", commit], deadline)
    index.unlink(missing_ok=True)
    return commit


def _is_code(path: str) -> bool:
    """Whether a file is the study's own. The .gitkeep that makes git keep an empty output folder is."""
    top, _, rest = path.partition("/")
    if path.endswith("/"):  # another repository lies there
        return False
    return bool(path) and top not in _MADE_BY_CARREL and not (top == "output" and not rest.startswith("."))


def _answer(git: Git, args: list[str], deadline: Deadline, env: dict[str, str]) -> str:
    return git.local(args, deadline, env=env).stdout.decode().strip()
