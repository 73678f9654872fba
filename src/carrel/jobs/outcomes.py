"""What an agent's results mean for the job (spec: controller.md section 3.2 step 5; agent.md 1.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from carrel.jobs.exits import words_for
from carrel.jobs.statuses import STATUSES, StatusCode


class ErrorType(StrEnum):
    """`results["error"]["type"]`: what may end an attempt besides the command's own exit.

    The agent uses these words. Any other, and an error that is no mapping, counts as an infrastructure fault.
    """

    # infrastructure: tried again
    INTERNAL_ERROR = "internal_error"
    EXECUTOR_ERROR = "executor_error"
    IMAGE_UNAVAILABLE = "image_unavailable"
    DISK_FULL = "disk_full"
    RUNTIME_UNAVAILABLE = "runtime_unavailable"
    GIT_UNAVAILABLE = "git_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    MANIFEST_DAMAGED = "manifest_damaged"
    STORAGE_NOT_WRITABLE = "storage_not_writable"
    LOST = "lost"
    """The process ended without an exit code: its host or runtime was restarted."""
    # the request's, the study's or the backend's settings: trying again does not help
    INPUT_MISSING = "input_missing"
    INPUT_REPLACED = "input_replaced"
    TIMED_OUT = "timed_out"
    USER_ERROR = "user_error"
    BAD_TASK = "bad_task"
    REFUSED = "refused"
    IMAGE_NOT_ALLOWED = "image_not_allowed"
    NOT_SUPPORTED = "not_supported"
    WORKSPACE_ARCHIVED = "workspace_archived"


E = ErrorType

FAULT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        E.INTERNAL_ERROR: "the backend's agent met an unexpected error",
        E.EXECUTOR_ERROR: "the program that runs jobs on the backend failed",
        E.IMAGE_UNAVAILABLE: "the action's image could not be had on the backend",
        E.DISK_FULL: "the disk of the backend is full",
        E.RUNTIME_UNAVAILABLE: "the program that runs jobs on the backend does not answer",
        E.GIT_UNAVAILABLE: "the study's repository could not be reached from the backend",
        E.DATABASE_UNAVAILABLE: "the backend has no database of that name, or could not reach it",
        E.MANIFEST_DAMAGED: "the workspace's manifest on the backend is damaged",
        E.STORAGE_NOT_WRITABLE: "the backend's storage cannot be written to",
    }
)
"""Infrastructure faults in words."""


def is_infrastructure(kind: str) -> bool:
    """Whether a fault of this kind is tried again and told to operators, not to the researcher."""
    return kind in FAULT_WORDS or kind == E.LOST


REFUSAL_WORDS: Mapping[str, str] = MappingProxyType(
    {
        E.USER_ERROR: "The job could not be run as it was asked for. See job log for details.",
        E.BAD_TASK: "The backend's agent does not understand the job: is it older than the controller?",
        E.REFUSED: "This backend refuses what the job asks for.",
        E.IMAGE_NOT_ALLOWED: "The action's image is not allowed on this backend.",
        E.NOT_SUPPORTED: "This backend's executor cannot do what the job asks for.",
        E.WORKSPACE_ARCHIVED: "This workspace has been archived. Ask those who run the backend to restore it.",
    }
)
"""Errors that trying again does not mend, as messages."""

DATABASE_EXIT_CODES: Mapping[int, str] = MappingProxyType(
    {
        2: "The command line of the database action is not right; see the log for the argument it objects to",
        3: "A passing problem with the database. Running the job again later may help",
        4: "New data is being imported into the database. Please try again in a few hours",
        5: "Something is wrong with the database. Please contact support",
        6: "The SQL that this makes is too complex for the database. Please simplify the definition",
        10: "The definition or the query could not be read, or names what is not there; see the log for the line",
        11: "A data file given to the action could not be read or has the wrong contents",
        12: "The project has no permission for something that the definition uses",
        13: "The definition's own assurance tests failed",
        14: "The query made progress too slowly and was stopped",
    }
)
"""What a database action's exit code says (contract: controller.md section 3.2), in our words."""

EXCLUDED_NOTE = ", but some file(s) marked as moderately_sensitive were excluded. See job log for details."

_SAFE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. `code` is final, or `waiting_on_new_task` / `waiting_on_reboot`: to be tried again.

    `fault`: an infrastructure fault's cause in words ("the disk of the backend is full").
    `missing_inputs_of`: names of the actions whose output files were found gone (set `outputs_missing` on their jobs).
    """

    code: StatusCode
    message: str
    fault: str = ""
    reference: str = ""
    missing_inputs_of: tuple[str, ...] = ()


def results_to_outcome(results: Mapping[str, Any] | None, *, requires_db: bool = False) -> Outcome:
    """Read the results of a finished attempt. Never raises: results that say nothing useful are a fault.

    `results`: the mapping an agent sends (`messages.tasks.JobResults`). `error` comes first, then the time limit
    (`timed_out`, our agent's own key), the exit code, and unmatched patterns. `requires_db`: exit codes have the
    meanings of a database action.
    """
    if not isinstance(results, Mapping) or not ("error" in results or "exit_code" in results):
        return _from_error({"type": E.INTERNAL_ERROR})
    if results.get("error"):
        return _from_error(results["error"])
    if results.get("timed_out"):
        return _final(StatusCode.TIMED_OUT)
    exit_code = _exit_code(results.get("exit_code"))
    if exit_code != 0:
        message = results.get("status_message")
        detail = message if isinstance(message, str) else ""
        if not detail and requires_db and exit_code is not None:
            detail = DATABASE_EXIT_CODES.get(exit_code, "")
        # An OpenSAFELY agent says nothing of a signal, nor of a program that could not be started.
        detail = detail or words_for(exit_code) or ""
        return _final(StatusCode.NONZERO_EXIT, f": {detail}" if detail else "")
    if results.get("has_unmatched_patterns"):
        return _final(StatusCode.UNMATCHED_PATTERNS)
    return _final(StatusCode.SUCCEEDED, EXCLUDED_NOTE if results.get("has_level4_excluded_files") else "")


def _final(code: StatusCode, more: str = "") -> Outcome:
    return Outcome(code, STATUSES[code].message + more)


def _exit_code(value: object) -> int | None:
    """The contract's reading: a number, or text of one; anything else is None, a failure."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _from_error(error: object) -> Outcome:
    # A mapping without our `type` is an OpenSAFELY agent's, or a newer one's: a fault like any other.
    fields = error if isinstance(error, Mapping) else {}
    kind = str(fields.get("type"))
    reference = _matching(_REFERENCE, fields.get("reference"))
    if kind in (E.INPUT_MISSING, E.INPUT_REPLACED):
        return _unusable_input(kind, _matching(_SAFE_NAME, fields.get("action")))
    if kind == E.TIMED_OUT:
        return _final(StatusCode.TIMED_OUT)
    if kind == E.LOST:
        return Outcome(StatusCode.WAITING_ON_REBOOT, STATUSES[StatusCode.WAITING_ON_REBOOT].message)
    if kind in REFUSAL_WORDS:
        return Outcome(StatusCode.JOB_ERROR, REFUSAL_WORDS[kind] + reference_note(reference), reference=reference)
    fault = FAULT_WORDS.get(kind, FAULT_WORDS[E.INTERNAL_ERROR])
    message = STATUSES[StatusCode.WAITING_ON_NEW_TASK].message
    return Outcome(StatusCode.WAITING_ON_NEW_TASK, message, fault=fault, reference=reference)


def _unusable_input(kind: str, action: str) -> Outcome:
    whose = f"action '{action}'" if action else "an action that this one needs"
    if kind == E.INPUT_REPLACED:
        message = (
            f"The outputs of {whose} that this job was to read were replaced meanwhile by those of a later job."
            " Run this action again: it reads the present ones."
        )
        return Outcome(StatusCode.DEPENDENCY_FAILED, message)
    message = f"An output file of {whose} is missing from the workspace. Run this action again: that one runs first."
    return Outcome(StatusCode.DEPENDENCY_FAILED, message, missing_inputs_of=(action,) if action else ())


def reference_note(reference: str) -> str:
    """ " (reference abc123)", to find the full story in the logs; nothing without a reference."""
    return f" (reference {reference})" if reference else ""


def _matching(shape: re.Pattern[str], value: object) -> str:
    """The text if it has this shape, else nothing: what an agent sends is shown to people only in known shapes."""
    return value if isinstance(value, str) and shape.fullmatch(value) else ""
