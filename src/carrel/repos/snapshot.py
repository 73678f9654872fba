"""A folder as a commit of a local repository: how a demo or a test hands over code that is in no repository yet."""

from pathlib import Path

from carrel.repos.git import Git
from carrel.repos.limits import Deadline
from carrel.repos.policy import RepoPolicy

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Carrel", "EMAIL": "carrel@localhost", "DATE": "2026-01-01T00:00:00Z"}.items()
}


def commit_folder(
    folder: Path, repo: Path, branch: str = "main", message: str = "Snapshot", seconds: float = 60
) -> str:
    """Commit `folder` (but .git, metadata/ and what is in output/) to the bare repository `repo`; its commit.

    The same files give the same commit, whenever and wherever it is made: author and time are fixed. Raises
    `RepoInfrastructureError`.
    """
    deadline = Deadline(seconds)
    git = Git(RepoPolicy(allow_local_git_repos=True), str(repo), repo)
    if not (repo / "HEAD").exists():
        repo.mkdir(parents=True, exist_ok=True)
        git.local(["init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(repo)], deadline)
    index = repo / "snapshot.index"
    index.unlink(missing_ok=True)
    env = {**_WHO, "GIT_INDEX_FILE": str(index)}
    # What runs made stays out; the .gitkeep that makes git keep an empty output folder does not.
    leave_out = [":(exclude,top).git", ":(exclude,top)metadata", ":(exclude,top,glob)output/[!.]*"]
    git.local([f"--work-tree={folder}", "-C", str(folder), "add", "--all", "--", ".", *leave_out], deadline, env=env)
    tree = _answer(git, ["write-tree"], deadline, env)
    commit = _answer(git, ["commit-tree", tree, "-m", message], deadline, env)
    git.local(["update-ref", f"refs/heads/{branch}", commit], deadline)
    index.unlink(missing_ok=True)
    return commit


def _answer(git: Git, args: list[str], deadline: Deadline, env: dict[str, str]) -> str:
    return git.local(args, deadline, env=env).stdout.decode().strip()
