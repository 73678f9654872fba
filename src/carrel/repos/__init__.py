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
    from carrel.repos.mirrors import Mirrors
    from carrel.repos.settings import RepoSettings

__all__ = [
    "BranchNotFound",
    "CheckoutRefused",
    "CommitNotFound",
    "Deadline",
    "FileIsLink",
    "FileNotInRepo",
    "FileTooLarge",
    "GitError",
    "GivenUp",
    "Limits",
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
]

# Imported when first used: they bring pydantic and urllib, which `carrel run` starts faster without.
_LATER = {"Mirrors": "carrel.repos.mirrors", "RepoSettings": "carrel.repos.settings"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
