"""What a personal token may be used for. It never permits more than its owner's roles do."""

from enum import StrEnum


class Scope(StrEnum):
    """One thing that a program may do with a personal token."""

    READ = "read"
    RUN = "run"
    CANCEL = "cancel"
    WORKSPACE = "workspace"
    RELEASES = "releases"


SCOPE_WORDS: dict[Scope, str] = {
    Scope.READ: "read projects, workspaces, runs and jobs",
    Scope.RUN: "run actions",
    Scope.CANCEL: "cancel jobs",
    Scope.WORKSPACE: "create workspaces",
    Scope.RELEASES: "list and fetch released files",
}
"""Ends the sentence "A program with this token may ..."."""
