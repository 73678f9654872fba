"""Handing a study to a site: which commit, to which backends, and watching it there."""

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carrel.local.code import read_version
from carrel.repos import BranchNotFound, Mirrors, RepoPolicy
from carrel.site.layout import SiteError

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What to run: `repo` is a URL or an absolute path, `commit` 40 hexadecimal digits."""

    repo: str
    commit: str
    branch: str
    workspace: str
    actions: tuple[str, ...]
    force: bool = False
    user: str = "local"
    database: str = "default"

    def body(self, rap_id: str, backend: str) -> dict[str, object]:
        """Return the body of `rap/create` for one backend."""
        return {
            "rap_id": rap_id,
            "backend": backend,
            "workspace": self.workspace,
            "repo_url": self.repo,
            "branch": self.branch,
            "commit": self.commit,
            "database_name": self.database,
            "requested_actions": list(self.actions),
            "codelists_ok": True,
            "force_run_dependencies": self.force,
            "created_by": self.user,
            "project": self.workspace,
            "orgs": [],
        }


def new_rap_id() -> str:
    """Make a fresh request id: 16 characters of lower-case base32, as the RAP API asks."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def head_of(repo: str, branch: str, mirrors: Path) -> str:
    """Return the commit at the head of `branch`; raises what `carrel.repos` raises, in words for the user."""
    policy = RepoPolicy(allow_local_git_repos=True)
    try:
        return Mirrors(mirrors, policy).branch_head(repo, branch)
    except BranchNotFound as error:
        raise SiteError(f"{error} in {repo}: is the study committed? Name another branch with --branch") from None


def is_url(repo: str) -> bool:
    return "://" in repo


def repository(text: str) -> str:
    """Return a URL as it is, a folder as its absolute path; SiteError when it is neither."""
    if is_url(text):
        return text
    if not Path(text).exists():
        raise SiteError(f"there is no folder {text} here: name the study's folder, or its https:// address")
    return str(Path(text).resolve())


def check_commit(text: str) -> str:
    """Return `text` when it is a whole commit id; SiteError when it is none."""
    if not _COMMIT.fullmatch(text):
        raise SiteError(f"'{text}' is no commit: give all 40 hexadecimal digits, as `git rev-parse HEAD` prints them")
    return text


def uncommitted(folder: Path) -> bool:
    """Tell whether the folder has changes that a request, which names a commit, leaves out."""
    return read_version(folder).dirty


def workspace_name(repo: str) -> str:
    """Name a workspace after the repository, of the characters a workspace may have."""
    stem = Path(repo.rstrip("/").removesuffix(".git")).name
    name = "".join(char if (char.isalnum() and char.isascii()) or char in "-_" else "-" for char in stem).strip("-")
    if not name:
        raise SiteError(f"cannot name a workspace after '{repo}': give one with --workspace")
    return name


def choose_backends(names: Sequence[str], existing: Sequence[str]) -> list[str]:
    """Choose the backends asked for, or all there are; SiteError names one that is not there."""
    for name in names:
        if name not in existing:
            raise SiteError(f"no backend '{name}' at this site; there are: {', '.join(existing)}")
    return list(names or existing)
