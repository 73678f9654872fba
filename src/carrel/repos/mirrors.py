"""Bare mirrors of study repositories under one folder: the one way the rest of Carrel reads git.

A mirror holds the trees of the commits that were asked for, each under a ref of ours that git writes only once all
of the commit's files have arrived: the ref's being there is the proof that the commit can be read without a network.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from carrel.repos import connect, history, tree
from carrel.repos.errors import (
    BranchNotFound,
    CommitNotFound,
    FileNotInRepo,
    NetworkError,
    RepoInfrastructureError,
    TagNotFound,
)
from carrel.repos.git import Git, Result
from carrel.repos.limits import Deadline, Limits
from carrel.repos.locks import locked
from carrel.repos.policy import RepoPolicy
from carrel.telemetry import faults
from carrel.units.limits import MAX_GIT_FILE_BYTES

Read = TypeVar("Read")
_MAX_REF_BYTES = 1024
_COMMIT = re.compile(r"[0-9a-f]{40}")
_EVERYTHING = 2147483647
"""Git's word for "infinite depth"."""
_DEPTHS = (10, _EVERYTHING)


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

    def deadline(self, given_up: Callable[[], bool] = lambda: False) -> Deadline:
        """A deadline `limits.total` seconds from now, to be shared by the calls of one request.

        With `given_up`, calls raise GivenUp soon after it is true.
        """
        return Deadline(self.limits.total, given_up)

    def read_file(self, repo_url: str, commit: str, path: str, deadline: Deadline | None = None) -> bytes:
        """The bytes of one file at `commit`; raises CommitNotFound, FileNotInRepo, FileTooLarge, FileIsLink.

        Needs no network and one git process when the commit is here already.
        """
        git, deadline = self._begin(repo_url, deadline)
        _check_commit(commit)
        content = tree.blob(git, _held(commit), path, deadline, MAX_GIT_FILE_BYTES)
        if content is tree.NO_COMMIT:
            self.ensure_commit(repo_url, commit, deadline)
            content = tree.blob(git, _held(commit), path, deadline, MAX_GIT_FILE_BYTES)
        if not isinstance(content, bytes):
            raise FileNotInRepo(f"No {path} file found in {git.shown_url}")
        return content

    def read_files(
        self, repo_url: str, commit: str, paths: Collection[str], deadline: Deadline | None = None
    ) -> dict[str, bytes]:
        """The bytes of those of `paths` that are there at `commit`, together no more than one file may have.

        Raises CommitNotFound, FileTooLarge, FileIsLink. One git process when the commit is here already.
        """
        return self._of_commit(
            repo_url, commit, deadline, lambda git, ref, by: tree.blobs(git, ref, paths, by, MAX_GIT_FILE_BYTES)
        )

    def list_folder(self, repo_url: str, commit: str, folder: str, deadline: Deadline | None = None) -> list[str]:
        """The names in one folder at `commit`, sorted; none where there is no such folder. Raises CommitNotFound."""
        return self._of_commit(repo_url, commit, deadline, lambda git, ref, by: tree.names_in(git, ref, folder, by))

    def _of_commit(
        self,
        repo_url: str,
        commit: str,
        deadline: Deadline | None,
        read: Callable[[Git, str, Deadline], Read | tree.NoCommit],
    ) -> Read:
        """What `read` finds at the commit, which is fetched where it is not here."""
        git, deadline = self._begin(repo_url, deadline)
        _check_commit(commit)
        answer = read(git, _held(commit), deadline)
        if answer is tree.NO_COMMIT:
            self.ensure_commit(repo_url, commit, deadline)
            answer = read(git, _held(commit), deadline)
        if answer is tree.NO_COMMIT:
            raise RepoInfrastructureError(f"The mirror of {git.shown_url} cannot be read")
        return answer

    def follow_branch(self, repo_url: str, branch: str, depth: int, deadline: Deadline | None = None) -> str:
        """The commit at the head of `branch` now, which is here afterwards with `depth` commits of its history.

        Raises BranchNotFound. What was known last stays where the repository does not answer: `last_head`.
        """
        head = self.branch_head(repo_url, branch, deadline)
        if self.last_head(repo_url, branch) == head:
            return head
        _, deadline = self._begin(repo_url, deadline)
        with self._writing(repo_url, deadline) as writer:
            if not self._fetch(writer, f"refs/heads/{branch}:{_fetched(branch)}", depth, deadline).ok:
                raise BranchNotFound(f"Could not find branch '{branch}'")
            head = writer.local(["rev-parse", "--verify", _fetched(branch)], deadline).stdout.decode().strip()
            for ref in (_held(head), _seen(branch, head), _followed(branch)):
                writer.local(["update-ref", ref, head], deadline)
        return head

    def last_head(self, repo_url: str, branch: str, deadline: Deadline | None = None) -> str | None:
        """The head of `branch` when `follow_branch` saw it last. Asks nobody."""
        git, deadline = self._begin(repo_url, deadline)
        answer = git.run(["rev-parse", "--quiet", "--verify", _followed(branch)], deadline)
        return answer.stdout.decode().strip() if answer.ok else None

    def log(
        self, repo_url: str, commit: str, count: int, deadline: Deadline | None = None
    ) -> tuple[history.LoggedCommit, ...]:
        """The latest `count` commits that lead to `commit`, newest first, as far as they are here. Asks nobody."""
        git, deadline = self._begin(repo_url, deadline)
        _check_commit(commit)
        return history.log(git, commit, count, deadline)

    def diff(
        self, repo_url: str, old: str, new: str, paths: Collection[str] = (), deadline: Deadline | None = None
    ) -> history.CodeDiff:
        """What changed in `paths` (everything where there are none) from `old` to `new`; raises CommitNotFound."""
        git, deadline = self._begin(repo_url, deadline)
        for commit in (old, new):
            self.ensure_commit(repo_url, commit, deadline)
        return history.diff(git, _held(old), _held(new), paths, deadline)

    def changed_paths(
        self, repo_url: str, old: str, new: str, deadline: Deadline | None = None
    ) -> frozenset[str] | None:
        """The paths of all files that differ between two commits; None where they are not both here. Asks nobody."""
        git, deadline = self._begin(repo_url, deadline)
        for commit in (old, new):
            _check_commit(commit)
        return history.changed_paths(git, old, new, deadline)

    def ensure_commit(self, repo_url: str, commit: str, deadline: Deadline | None = None) -> None:
        """Fetch `commit` (its tree, not its history) unless it is here already; raises CommitNotFound."""
        git, deadline = self._begin(repo_url, deadline)
        _check_commit(commit)
        if self._has(git, _held(commit), deadline):
            return
        # All commits of the histories that are here came with their files.
        if git.run(["for-each-ref", "--count=1", f"--contains={commit}", _HISTORIES], deadline).stdout:
            git.run(["update-ref", _held(commit), commit], deadline)
            if self._has(git, _held(commit), deadline):
                return
        self._knock(repo_url)
        with self._writing(repo_url, deadline) as writer:
            if not self._has(writer, _held(commit), deadline):
                self._fetch_commit(writer, commit, deadline)

    def check_commit_on_branch(self, repo_url: str, commit: str, branch: str, deadline: Deadline | None = None) -> None:
        """Raise BranchNotFound or CommitNotFound unless `commit` is, or once was seen to be, on `branch`.

        A commit once seen on a branch was put there by somebody who may write to the repository; that does not
        become untrue, so it is remembered, and a host that is down stops nothing that was seen before.
        """
        git, deadline = self._begin(repo_url, deadline)
        _check_commit(commit)
        seen = _seen(branch, commit)
        if _is_noted(self.path_of(repo_url), seen, commit) or self._has(git, seen, deadline):
            return
        if git.run(["merge-base", "--is-ancestor", commit, _fetched(branch)], deadline).ok:
            return
        head = self.branch_head(repo_url, branch, deadline)
        with self._writing(repo_url, deadline) as writer:
            if head != commit and not self._in_history(writer, commit, branch, deadline):
                raise CommitNotFound(f"Could not find commit on branch '{branch}': {commit}")
            if not self._has(writer, _held(commit), deadline):
                self._fetch_commit(writer, commit, deadline)
            writer.local(["update-ref", seen, commit], deadline)

    def branch_head(self, repo_url: str, branch: str, deadline: Deadline | None = None) -> str:
        """The commit at the head of `branch` now (always asks the repository); raises BranchNotFound."""
        if not branch:
            raise BranchNotFound("A branch name must be supplied")
        heads = self._ls_remote(repo_url, [f"refs/heads/{branch}"], deadline)
        if f"refs/heads/{branch}" not in heads:
            raise BranchNotFound(f"Could not find branch '{branch}'")
        return heads[f"refs/heads/{branch}"]

    def resolve_tag(self, repo_url: str, tag: str, deadline: Deadline | None = None) -> str:
        """The commit that `tag` names now (annotated tags followed); raises TagNotFound."""
        name = f"refs/tags/{tag}"
        tags = self._ls_remote(repo_url, [name, f"{name}^{{}}"], deadline)
        commit = tags.get(f"{name}^{{}}") or tags.get(name)
        if not commit:
            raise TagNotFound(f"Could not find tag '{tag}' in {self.policy.redact(repo_url)}")
        return commit

    def checkout(
        self,
        repo_url: str,
        commit: str,
        dest: Path,
        deadline: Deadline | None = None,
        leave_out: Callable[[str], bool] = lambda path: False,
    ) -> None:
        """Write the tree at `commit` to `dest`, which must not exist or be an empty folder; all of it or nothing.

        `leave_out(path)` names files and folders that are not written. No hooks, no submodules (their folders stay
        empty), no smudge filters, no configuration of the user or the machine. Raises GivenUp, and CheckoutRefused when
        something of the tree must not or cannot be written, such as a symlink that leads outside of it.
        """
        git, deadline = self._begin(repo_url, deadline)
        _check_commit(commit)
        entries = tree.check(git, _held(commit), deadline)
        if entries is None:
            self.ensure_commit(repo_url, commit, deadline)
            entries = tree.check(git, _held(commit), deadline)
        if entries is None:
            raise RepoInfrastructureError(f"The mirror of {git.shown_url} cannot be read")
        partial = dest.with_name(f".{dest.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            partial.chmod(0o755)
            tree.write(git, _held(commit), partial, entries, leave_out, deadline)
            faults.point("repos.checkout.written")
            partial.rename(dest)
        except OSError as error:
            raise RepoInfrastructureError(f"Cannot write the study's code: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    # -- the mirror

    def path_of(self, repo_url: str) -> Path:
        """Where the mirror of `repo_url` is (or would be)."""
        name = re.sub(r"[^A-Za-z0-9_-]", "", Path(repo_url.removesuffix(".git")).name) or "repo"
        digest = hashlib.sha256(repo_url.encode()).hexdigest()[:16]
        return self.root / f"{name[:60]}-{digest}.git"

    def _begin(self, repo_url: str, deadline: Deadline | None) -> tuple[Git, Deadline]:
        self.policy.check(repo_url)
        deadline = deadline or self.deadline()
        mirror = self.path_of(repo_url)
        if not _is_sound(mirror):
            self._make(mirror, deadline)
        return Git(self.policy, repo_url, mirror), deadline

    def _make(self, mirror: Path, deadline: Deadline) -> None:
        """Make an empty mirror, in one rename, so that nobody ever sees half of one; a damaged one is replaced."""
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(mirror.with_suffix(".lock"), deadline):
            if _is_sound(mirror):
                return
            for half_made in (mirror, scratch := mirror.with_suffix(".new")):
                shutil.rmtree(half_made, ignore_errors=True)
            scratch.mkdir()
            Git(self.policy, "", scratch).local(["init", "--quiet", "--bare", "--template=", str(scratch)], deadline)
            faults.point("repos.mirror.made")
            scratch.rename(mirror)

    @contextmanager
    def _writing(self, repo_url: str, deadline: Deadline) -> Iterator[Git]:
        mirror = self.path_of(repo_url)
        with locked(mirror.with_suffix(".lock"), deadline) as fd:
            _clear_leftovers(mirror)
            yield Git(self.policy, repo_url, mirror, fd)

    def _has(self, git: Git, ref: str, deadline: Deadline) -> bool:
        return git.run(["rev-parse", "--quiet", "--verify", f"{ref}^{{tree}}"], deadline).ok

    # -- the network

    def _knock(self, repo_url: str) -> None:
        if not self.policy.is_local(repo_url):
            connect.knock(self.policy.fetch_url(repo_url), self.limits.connect, self.policy.redact(repo_url))

    def _ls_remote(self, repo_url: str, patterns: list[str], deadline: Deadline | None) -> dict[str, str]:
        git, deadline = self._begin(repo_url, deadline)
        self._knock(repo_url)
        result = git.remote(["ls-remote", "--quiet", self.policy.fetch_url(repo_url), *patterns], deadline)
        lines = (line.split("\t", 1) for line in result.stdout.decode(errors="replace").splitlines())
        return {name: commit for commit, name in lines}

    def _fetch_commit(self, git: Git, commit: str, deadline: Deadline) -> None:
        try:
            result = self._fetch(git, f"{commit}:{_held(commit)}", 1, deadline)
        except NetworkError as error:
            raise NetworkError(
                f"Network error when fetching commit {commit} from\n {git.shown_url}\n"
                "(This may work if you try again later)"
            ) from error
        if not result.ok:
            raise CommitNotFound(f"Error fetching commit {commit} from {git.shown_url}")
        faults.point("repos.fetched")

    def _in_history(self, git: Git, commit: str, branch: str, deadline: Deadline) -> bool:
        """Fetch more and more of the branch until `commit` is seen in it."""
        for depth in _DEPTHS:
            result = self._fetch(git, f"refs/heads/{branch}:{_history(branch)}", depth, deadline)
            if not result.ok:
                raise BranchNotFound(f"Could not find branch '{branch}'")
            if git.run(["merge-base", "--is-ancestor", commit, _history(branch)], deadline).ok:
                return True
        return False

    def _fetch(self, git: Git, refspec: str, depth: int, deadline: Deadline) -> Result:
        url = self.policy.fetch_url(git.repo_url)
        options = ["--quiet", "--force", "--no-tags", "--no-write-fetch-head", f"--depth={depth}"]
        return git.remote(["fetch", *options, url, refspec], deadline)


def _check_commit(commit: str) -> None:
    if not _COMMIT.fullmatch(commit):
        raise CommitNotFound(f"'{commit}' is not a full commit hash of 40 hexadecimal digits")


def _held(commit: str) -> str:
    """Ref that says: every file of this commit is here."""
    return f"refs/carrel/held/{commit}"


_HISTORIES = "refs/carrel/fetched/"


def _history(branch: str) -> str:
    return f"refs/carrel/history/{_key(branch)}"


def _fetched(branch: str) -> str:
    return f"{_HISTORIES}{_key(branch)}"


def _followed(branch: str) -> str:
    """Ref that names the head as it was seen last; written after everything of it is here."""
    return f"refs/carrel/followed/{_key(branch)}"


def _seen(branch: str, commit: str) -> str:
    """Ref that says: this commit is, or was, on the branch."""
    return f"refs/carrel/seen/{_key(branch)}/{commit}"


def _key(branch: str) -> str:
    """Branch names may clash as folders (`a` and `a/b`): a hash never does."""
    return hashlib.sha256(branch.encode()).hexdigest()[:20]


def _is_noted(mirror: Path, ref: str, commit: str) -> bool:
    """Whether git's file of a ref says so: a tenth of a millisecond. False where only git can tell."""
    try:
        with (mirror / ref).open("rb") as file:
            return file.read(_MAX_REF_BYTES) == commit.encode() + b"\n"
    except OSError:
        return False


def _clear_leftovers(mirror: Path) -> None:
    """Remove what a killed git left behind; whoever holds our lock is alone, so no lock file of git's is in use."""
    stale = [mirror / "shallow.lock", mirror / "packed-refs.lock", mirror / "config.lock", mirror / "HEAD.lock"]
    stale += (mirror / "refs").rglob("*.lock")
    stale += (mirror / "objects" / "pack").glob("tmp_*")
    for path in stale:
        path.unlink(missing_ok=True)
    for folder in (mirror / "objects").glob("tmp_objdir-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_sound(mirror: Path) -> bool:
    """False when there is no mirror, or a power cut left it without its head."""
    try:
        with (mirror / "HEAD").open("rb") as file:
            return file.read(_MAX_REF_BYTES).startswith(b"ref: ")
    except OSError:
        return False
