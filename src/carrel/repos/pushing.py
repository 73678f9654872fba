"""Files added to a branch of a repository, as one commit on top of whatever is there: nothing is ever forced.

The commit is made in a mirror of its own, without a folder of files. Where somebody else was faster the branch is
fetched again and the commit made anew, so that theirs stays.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from carrel.repos.errors import BranchNotFound, NetworkError, RepoInfrastructureError
from carrel.repos.git import Git
from carrel.repos.limits import Deadline
from carrel.repos.mirrors import Mirrors
from carrel.telemetry import faults

MAX_PUSH_TRIES = 5
_FASTER = re.compile(
    r"\[rejected\]|\[remote rejected\].*lock|fetch first|non-fast-forward|cannot lock ref", re.IGNORECASE
)
_REF = "refs/carrel/pushing"


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchChange:
    """What is to be on a branch: `files` by their path there, and a text that is written once all paths are known."""

    branch: str
    files: Mapping[str, Path]
    index_path: str
    index_text: Callable[[Sequence[str]], str]
    """The text at `index_path`, of the paths that the branch has beside it."""
    message: str
    author: str
    email: str
    at: datetime
    """Author and time of the commit."""


@dataclass(frozen=True, slots=True)
class PushedCommit:
    """The commit at the head of the branch; `is_new`: it was made now, and not there already."""

    commit: str
    is_new: bool


class PushingMirrors(Mirrors):
    """Mirrors that write too. Raises as `Mirrors` does, and NetworkError where others are faster time and again."""

    def push(self, repo_url: str, change: BranchChange, deadline: Deadline | None = None) -> PushedCommit:
        """Add the files to the branch, which is made where there is none. Nothing that changes nothing is pushed."""
        git, deadline = self._begin(repo_url, deadline)
        for _ in range(MAX_PUSH_TRIES):
            try:
                head = self.branch_head(repo_url, change.branch, deadline)
            except BranchNotFound:
                head = ""
            with self._writing(repo_url, deadline) as writer:
                if head:
                    self._fetch(writer, f"refs/heads/{change.branch}:{_REF}", 1, deadline)
                    head = writer.local(["rev-parse", "--verify", _REF], deadline).stdout.decode().strip()
                commit = _commit(writer, head, change, deadline)
                if commit == head:
                    return PushedCommit(head, False)
                faults.point("repos.push.committed")
                target = f"{commit}:refs/heads/{change.branch}"
                answer = writer.run(["push", "--quiet", self.policy.fetch_url(repo_url), target], deadline)
            if answer.ok:
                return PushedCommit(commit, True)
            if not _FASTER.search(answer.stderr):
                raise git.fault("push", answer.stderr)
        raise NetworkError(f"Others push to branch '{change.branch}' of {git.shown_url} all the time: try again later")


def _commit(git: Git, head: str, change: BranchChange, deadline: Deadline) -> str:
    """Make the commit on top of `head` ("" for none), and return it; `head` itself where nothing would change."""
    index = git.git_dir / "carrel-push.index" if git.git_dir else Path("carrel-push.index")
    env = {"GIT_INDEX_FILE": str(index)}
    try:
        git.local(["read-tree", head] if head else ["read-tree", "--empty"], deadline, env=env)
        paths = "".join(f"{source}\n" for source in change.files.values()).encode()
        hashed = git.local(["hash-object", "-w", "--no-filters", "--stdin-paths"], deadline, stdin=paths)
        blobs = hashed.stdout.decode().split()
        if len(blobs) != len(change.files):
            raise RepoInfrastructureError("git has not read every file that is to be pushed")
        _stage(git, dict(zip(change.files, blobs, strict=True)), env, deadline)
        listed = git.local(["ls-files", "-z"], deadline, env=env).stdout.decode(errors="replace").split("\0")
        text = change.index_text([path for path in listed if path and path != change.index_path]).encode()
        blob = git.local(["hash-object", "-w", "--no-filters", "--stdin"], deadline, stdin=text).stdout.decode().strip()
        _stage(git, {change.index_path: blob}, env, deadline)
        tree = git.local(["write-tree"], deadline, env=env).stdout.decode().strip()
    finally:
        index.unlink(missing_ok=True)
    if head:
        now = git.local(["rev-parse", "--verify", f"{head}^{{tree}}"], deadline).stdout.decode().strip()
        if now == tree:
            return head
    date = change.at.isoformat()
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", change.author), ("EMAIL", change.email), ("DATE", date))
    }
    parents = ["-p", head] if head else []
    commit = git.local(["commit-tree", tree, *parents], deadline, stdin=change.message.encode(), env=identity)
    return commit.stdout.decode().strip()


def _stage(git: Git, blobs: Mapping[str, str], env: Mapping[str, str], deadline: Deadline) -> None:
    entries = "".join(f"100644 {blob}\t{path}\0" for path, blob in blobs.items()).encode()
    git.local(["update-index", "--add", "--replace", "-z", "--index-info"], deadline, stdin=entries, env=env)
