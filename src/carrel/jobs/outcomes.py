"""What an agent's results mean for the job (spec: controller.md section 3.2 step 5; agent.md 1.5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from carrel.jobs.statuses import StatusCode


class ErrorType(StrEnum):
    """`results["error"]["type"]`: the closed list of what may end an attempt other than the command's own exit.

    Any other type, and an error that is no mapping, counts as an infrastructure fault.
    """

    # infrastructure: tried again
    AGENT_ERROR = "agent_error"
    EXECUTOR_ERROR = "executor_error"
    IMAGE_UNAVAILABLE = "image_unavailable"
    DISK_FULL = "disk_full"
    RUNTIME_UNAVAILABLE = "runtime_unavailable"
    REPOSITORY_UNAVAILABLE = "repository_unavailable"
    DATABASE_UNCONFIGURED = "database_unconfigured"
    HOST_REBOOTED = "host_rebooted"
    # the request's or the study's own: final
    INPUT_MISSING = "input_missing"
    BAD_COMMIT = "bad_commit"
    REPOSITORY_REFUSED = "repository_refused"
    IMAGE_REFUSED = "image_refused"
    WORKSPACE_ARCHIVED = "workspace_archived"
    INVALID_DEFINITION = "invalid_definition"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. `code` is final, or `waiting_on_new_task` / `waiting_on_reboot`: to be tried again.

    `missing_inputs_of`: names of the actions whose output files were found gone (set `outputs_missing` on their jobs).
    """

    code: StatusCode
    message: str
    fault: str = ""
    """For an infrastructure fault: its cause in words ("the disk of the backend is full")."""
    reference: str = ""
    missing_inputs_of: tuple[str, ...] = ()


def results_to_outcome(results: Mapping[str, Any] | None, *, requires_db: bool = False) -> Outcome:
    """Read the results of a finished attempt. Never raises: results that say nothing useful are a fault."""
    raise NotImplementedError
