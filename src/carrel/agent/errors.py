"""What can go wrong with an attempt on a backend, and the one word for it that the controller may learn."""

import errno

from carrel.executors.base import (
    DiskFull,
    ExecutorError,
    ExecutorRefusal,
    ImageNotAllowed,
    ImageUnavailable,
    JobImpossible,
    NotSupported,
    RuntimeUnavailable,
)
from carrel.jobs.outcomes import ErrorType
from carrel.outputs.errors import InfrastructureFault, UserError
from carrel.repos import GitError, RepoInfrastructureError, RepoNotAllowed

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class InputMissing(UserError):
    """An output of a needed action is not in the store. `action` is the needed action's name, where it is known."""

    kind = ErrorType.INPUT_MISSING

    def __init__(self, message: str, action: str | None) -> None:
        super().__init__(message)
        self.action = action


class InputReplaced(UserError):
    """Another job has replaced the outputs that this one was to read. `action` is the needed action's name."""

    kind = ErrorType.INPUT_REPLACED

    def __init__(self, message: str, action: str | None) -> None:
        super().__init__(message)
        self.action = action


class WorkspaceArchived(UserError):
    """The workspace has been put away, and its outputs with it."""

    kind = ErrorType.WORKSPACE_ARCHIVED

    def __init__(self, workspace: str) -> None:
        super().__init__(f"Workspace {workspace} has been archived. Contact the OpenSAFELY tech team to resolve")


class DatabaseRefused(UserError):
    """The task asks for database access with an image or command that never gets it."""

    kind = ErrorType.REFUSED


class InvalidDefinition(UserError):
    """The agent does not understand the job that the task tells of."""

    kind = ErrorType.BAD_TASK


class DatabaseUnavailable(InfrastructureFault):
    """This backend has no database of that name, or its host has no address now."""

    kind = ErrorType.DATABASE_UNAVAILABLE


class ProcessLost(InfrastructureFault):
    """The process ended and nobody knows how: its host or runtime was restarted, or somebody removed it."""

    kind = ErrorType.LOST


_KINDS: tuple[tuple[type[Exception], ErrorType], ...] = (
    (ImageNotAllowed, ErrorType.IMAGE_NOT_ALLOWED),
    (NotSupported, ErrorType.NOT_SUPPORTED),
    (JobImpossible, ErrorType.USER_ERROR),
    (ExecutorRefusal, ErrorType.REFUSED),
    (ImageUnavailable, ErrorType.IMAGE_UNAVAILABLE),
    (DiskFull, ErrorType.DISK_FULL),
    (RuntimeUnavailable, ErrorType.RUNTIME_UNAVAILABLE),
    (ExecutorError, ErrorType.EXECUTOR_ERROR),
    (RepoNotAllowed, ErrorType.REFUSED),
    (GitError, ErrorType.USER_ERROR),
    (RepoInfrastructureError, ErrorType.GIT_UNAVAILABLE),
)
"""The first that fits."""


def kind_of(error: BaseException) -> ErrorType:
    """The one word that the controller may learn of `error`."""
    if isinstance(error, UserError | InfrastructureFault):
        return error.kind
    if _is_disk_full(error):
        return ErrorType.DISK_FULL
    return next((kind for family, kind in _KINDS if isinstance(error, family)), ErrorType.INTERNAL_ERROR)


def _is_disk_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            return True
        error = error.__cause__
    return False
