"""What a mirror knows of how code came to be: the commits of a branch, and what changed between two of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from carrel.repos.errors import CommitNotFound
from carrel.repos.git import Git
from carrel.repos.limits import Deadline
from carrel.units.limits import MAX_DIFF_BYTES

MAX_SUBJECT = 200
"""Characters of a commit's subject that are read."""
_FIELDS = "%H%x00%P%x00%at%x00%an%x00%s"
_FIELD_COUNT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCommit:
    """One commit of a history: when its code was written, by whom, and the first line of what they said of it."""

    sha: str
    parents: tuple[str, ...]
    """None where the history that is here ends, which need not be where it began."""
    authored_at: datetime
    author: str
    subject: str


@dataclass(frozen=True, slots=True)
class CodeDiff:
    """What changed, as `git diff` writes it. `is_cut`: there was more of it than is read."""

    text: str
    is_cut: bool = False


def log(git: Git, ref: str, count: int, deadline: Deadline) -> tuple[LoggedCommit, ...]:
    """The latest `count` commits that `ref` leads to, newest first; none where the ref is not here. One git process."""
    args = [
        "log",
        "-z",
        f"--max-count={count}",
        "--topo-order",
        f"--format={_FIELDS}",
        "--no-show-signature",
        ref,
        "--",
    ]
    result = git.run(args, deadline)
    if not result.ok:
        return ()
    words = result.stdout.decode(errors="replace").removesuffix("\0").split("\0")
    return tuple(_commit(words[at : at + _FIELD_COUNT]) for at in range(0, len(words) - _FIELD_COUNT + 1, _FIELD_COUNT))


def _commit(words: Sequence[str]) -> LoggedCommit:
    sha, parents, seconds, author, subject = words
    try:
        authored_at = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):  # its author may have written any number, of which no calendar knows
        authored_at = datetime.fromtimestamp(0, UTC)
    return LoggedCommit(
        sha=sha,
        parents=tuple(parents.split()),
        authored_at=authored_at,
        author=author[:MAX_SUBJECT],
        subject=subject[:MAX_SUBJECT],
    )


def commits_between(history: Iterable[LoggedCommit], old: str, new: str) -> int | None:
    """How many commits `new` has in its history that `old` has not; None where this history does not hold both."""
    parents = {commit.sha: commit.parents for commit in history}
    if old not in parents or new not in parents:
        return None
    return len(_ancestry(new, parents) - _ancestry(old, parents))


def _ancestry(sha: str, parents: dict[str, tuple[str, ...]]) -> set[str]:
    """The commit itself and all that it descends from, as far as they are here."""
    ancestry: set[str] = set()
    pending = [sha]
    while pending:
        commit = pending.pop()
        if commit in parents and commit not in ancestry:
            ancestry.add(commit)
            pending += parents[commit]
    return ancestry


def diff(git: Git, old: str, new: str, paths: Collection[str], deadline: Deadline) -> CodeDiff:
    """What changed in `paths` (all where there are none; a folder is all that is in it) between two trees.

    No program of the study's and no setting of the machine's has a say in it. At most MAX_DIFF_BYTES are read.
    """
    flags = ["--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--submodule=short", "--no-prefix"]
    args = ["--literal-pathspecs", "diff", *flags, f"{old}^{{tree}}", f"{new}^{{tree}}", "--", *paths]
    text = b""
    with git.answering(args, deadline) as answer:
        for piece in answer:
            text += piece
            if len(text) > MAX_DIFF_BYTES:
                return CodeDiff(text[:MAX_DIFF_BYTES].decode(errors="replace"), is_cut=True)
    if answer.returncode != 0:
        raise CommitNotFound(f"Cannot compare {old} with {new} in {git.shown_url}")
    return CodeDiff(text.decode(errors="replace"))


def changed_paths(git: Git, old: str, new: str, deadline: Deadline) -> frozenset[str] | None:
    """The paths of all files that differ between two trees; None where they are not both here."""
    result = git.run(
        ["diff", "--name-only", "--no-renames", "-z", f"{old}^{{tree}}", f"{new}^{{tree}}", "--"], deadline
    )
    if not result.ok:
        return None
    return frozenset(path.decode(errors="replace") for path in result.stdout.split(b"\0") if path)
