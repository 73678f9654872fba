"""Git, the only place that runs it: mirrors, a file at a commit, safe checkouts, who may be read."""

from carrel.repos.errors import (
    BranchNotFound,
    CheckoutRefused,
    CommitNotFound,
    FileNotInRepo,
    GitError,
    NetworkError,
    RepoInfrastructureError,
    RepoNotAllowed,
    RepoNotFound,
    TagNotFound,
)
from carrel.repos.limits import Deadline, Limits
from carrel.repos.mirrors import Mirrors
from carrel.repos.policy import RepoPolicy
from carrel.repos.settings import RepoSettings

__all__ = [
    "BranchNotFound",
    "CheckoutRefused",
    "CommitNotFound",
    "Deadline",
    "FileNotInRepo",
    "GitError",
    "Limits",
    "Mirrors",
    "NetworkError",
    "RepoInfrastructureError",
    "RepoNotAllowed",
    "RepoNotFound",
    "RepoPolicy",
    "RepoSettings",
    "TagNotFound",
]
