"""Bare mirrors of study repositories under one folder: the one way the rest of Carrel reads git."""

from pathlib import Path

from carrel.repos.limits import Deadline, Limits
from carrel.repos.policy import RepoPolicy


class Mirrors:
    """Mirrors under `root`, read under `policy`. Safe for many threads and processes at once; holds no state in memory.

    Every method checks the policy first and may raise: RepoNotAllowed, RepoNotFound (user errors, like all
    `GitError`s), NetworkError, or RepoInfrastructureError. Commits are 40 lower-case hexadecimal digits.
    A call takes at most `limits.total` seconds; give several calls one `Deadline` to bound them together.
    """

    def __init__(self, root: Path, policy: RepoPolicy, limits: Limits | None = None) -> None:
        self.root = root
        self.policy = policy
        self.limits = limits or Limits()

    def read_file(self, repo_url: str, commit: str, path: str, deadline: Deadline | None = None) -> bytes:
        """The bytes of one file at `commit`; raises CommitNotFound, FileNotInRepo. No network when the commit is here."""
        raise NotImplementedError

    def ensure_commit(self, repo_url: str, commit: str, deadline: Deadline | None = None) -> None:
        """Fetch `commit` (its tree, not its history) unless it is here already; raises CommitNotFound."""
        raise NotImplementedError

    def check_commit_on_branch(self, repo_url: str, commit: str, branch: str, deadline: Deadline | None = None) -> None:
        """Raise BranchNotFound or CommitNotFound unless `commit` is, or once was seen to be, on `branch`."""
        raise NotImplementedError

    def branch_head(self, repo_url: str, branch: str, deadline: Deadline | None = None) -> str:
        """The commit at the head of `branch` now (always asks the repository); raises BranchNotFound."""
        raise NotImplementedError

    def resolve_tag(self, repo_url: str, tag: str, deadline: Deadline | None = None) -> str:
        """The commit that `tag` names now (annotated tags followed); raises TagNotFound."""
        raise NotImplementedError

    def checkout(self, repo_url: str, commit: str, dest: Path, deadline: Deadline | None = None) -> None:
        """Write the tree at `commit` to `dest`, which must not exist or be an empty folder; all of it or nothing.

        No hooks, no submodules (their folders stay empty), no smudge filters, no configuration of the user or the
        machine. Raises CheckoutRefused when a symlink of the tree leads outside of it.
        """
        raise NotImplementedError
