"""Git, the only place that runs it: mirrors, a file at a commit, safe checkouts, who may be read."""

from importlib import import_module
from typing import TYPE_CHECKING

from carrel.repos.errors import (
    BranchNotFound,
    CheckoutRefused,
    CommitNotFound,
    FileIsLink,
    FileNotInRepo,
    FileTooLarge,
    GitError,
    GivenUp,
    NetworkError,
    RepoDamaged,
    RepoInfrastructureError,
    RepoNotAllowed,
    RepoNotFound,
    RepoTooLarge,
    TagNotFound,
)
from carrel.repos.limits import Deadline, Limits
from carrel.repos.policy import RepoPolicy

if TYPE_CHECKING:
    from carrel.repos.history import CodeDiff, LoggedCommit, commits_between
    from carrel.repos.mirrors import Mirrors
    from carrel.repos.settings import RepoSettings

__all__ = [
    "BranchNotFound",
    "CheckoutRefused",
    "CodeDiff",
    "CommitNotFound",
    "Deadline",
    "FileIsLink",
    "FileNotInRepo",
    "FileTooLarge",
    "GitError",
    "GivenUp",
    "Limits",
    "LoggedCommit",
    "Mirrors",
    "NetworkError",
    "RepoDamaged",
    "RepoInfrastructureError",
    "RepoNotAllowed",
    "RepoNotFound",
    "RepoPolicy",
    "RepoSettings",
    "RepoTooLarge",
    "TagNotFound",
    "commits_between",
]

# Imported when first used: they bring pydantic and urllib, which `carrel run` starts faster without.
_LATER = {
    "CodeDiff": "carrel.repos.history",
    "LoggedCommit": "carrel.repos.history",
    "Mirrors": "carrel.repos.mirrors",
    "RepoSettings": "carrel.repos.settings",
    "commits_between": "carrel.repos.history",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
