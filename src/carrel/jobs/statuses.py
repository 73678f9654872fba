"""States and status codes of a job, and THE table of how it may move (spec: controller.md section 3.1).

Everything else is read from the table below: `transition()`, the docs' diagram, the words shown to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


class StatusCode(StrEnum):
    # pending
    CREATED = "created"
    WAITING_PAUSED = "paused"
    WAITING_DB_MAINTENANCE = "waiting_db_maintenance"
    WAITING_ON_DEPENDENCIES = "waiting_on_dependencies"
    WAITING_ON_WORKERS = "waiting_on_workers"
    WAITING_ON_DB_WORKERS = "waiting_on_db_workers"
    WAITING_ON_REBOOT = "waiting_on_reboot"
    WAITING_ON_NEW_TASK = "waiting_on_new_task"
    # running
    INITIATED = "initiated"
    PREPARING = "preparing"
    PREPARED = "prepared"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FINALIZING = "finalizing"
    FINALIZED = "finalized"
    # final
    SUCCEEDED = "succeeded"
    DEPENDENCY_FAILED = "dependency_failed"
    NONZERO_EXIT = "nonzero_exit"
    CANCELLED_BY_USER = "cancelled_by_user"
    UNMATCHED_PATTERNS = "unmatched_patterns"
    INTERNAL_ERROR = "internal_error"
    KILLED_BY_ADMIN = "killed_by_admin"
    STALE_CODELISTS = "stale_codelists"
    JOB_ERROR = "job_error"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Status:
    """What one status code means. `message` is the one a job gets when nobody has a better one."""

    code: StatusCode
    state: State
    message: str
    meaning: str
    next_step: str


S = StatusCode

_ROWS = (
    # --- pending ---
    Status(
        S.CREATED,
        State.PENDING,
        "Created",
        "The job was made and nothing has looked at it yet.",
        "Nothing to do: it is looked at within a second.",
    ),
    Status(
        S.WAITING_PAUSED,
        State.PENDING,
        "Backend is currently paused for maintenance, job will start once this is completed",
        "The backend starts no new jobs for now. Jobs already running continue.",
        "Nothing to do: it starts when the backend is no longer paused. The backend's status page says since when.",
    ),
    Status(
        S.WAITING_DB_MAINTENANCE,
        State.PENDING,
        "Waiting for database to finish maintenance",
        "The job reads the database, which is being maintained. If it was running it was stopped, and starts afresh.",
        "Nothing to do: it starts when the maintenance ends.",
    ),
    Status(
        S.WAITING_ON_DEPENDENCIES,
        State.PENDING,
        "Waiting on dependencies",
        "An action that this one needs has not finished yet.",
        "Nothing to do. To see how far the other is, look at its own status.",
    ),
    Status(
        S.WAITING_ON_WORKERS,
        State.PENDING,
        "Waiting on available workers",
        "All the room for jobs that do not read the database is taken.",
        "Nothing to do: workspaces take turns, and those with the fewest running jobs come first.",
    ),
    Status(
        S.WAITING_ON_DB_WORKERS,
        State.PENDING,
        "Waiting on available database workers",
        "All the room for jobs that read the database is taken.",
        "Nothing to do: workspaces take turns, and those with the fewest running jobs come first.",
    ),
    Status(
        S.WAITING_ON_REBOOT,
        State.PENDING,
        "Job restarted - waiting for server to reboot",
        "The job was stopped because its server restarts. It runs again from its beginning.",
        "Nothing to do: it starts when the server is back.",
    ),
    Status(
        S.WAITING_ON_NEW_TASK,
        State.PENDING,
        "This job returned an error that could be retried with a new task.",
        "Something failed that is not the study's fault (image, disk, runtime). It is tried again after a pause.",
        "Nothing to do: the message says which attempt comes next. After the last one the job fails and says why.",
    ),
    # --- running ---
    Status(
        S.INITIATED,
        State.RUNNING,
        "Job executing on the backend",
        "The job was handed to the backend's agent, which has not reported yet.",
        "Nothing to do. When it stays so for minutes the agent may be down: the backend's last seen time tells.",
    ),
    Status(
        S.PREPARING,
        State.RUNNING,
        "Preparing your code and workspace files",
        "The agent is fetching the image, the code and the outputs of the needed actions.",
        "Nothing to do.",
    ),
    Status(
        S.PREPARED,
        State.RUNNING,
        "Prepared and ready to run",
        "Everything the job needs is in place.",
        "Nothing to do.",
    ),
    Status(
        S.EXECUTING,
        State.RUNNING,
        "Executing job on the backend",
        "The action's command is running.",
        "Nothing to do. Cancel it if it takes longer than it should.",
    ),
    Status(
        S.EXECUTED,
        State.RUNNING,
        "Job has finished executing and is waiting to be finalized",
        "The command has ended; its outputs have not been looked at yet.",
        "Nothing to do.",
    ),
    Status(
        S.FINALIZING,
        State.RUNNING,
        "Recording job results",
        "The agent is checking, classifying and storing the outputs and the log.",
        "Nothing to do.",
    ),
    Status(
        S.FINALIZED,
        State.RUNNING,
        "Finished recording results",
        "Outputs and log are stored; the result is about to be known.",
        "Nothing to do.",
    ),
    # --- final ---
    Status(
        S.SUCCEEDED,
        State.SUCCEEDED,
        "Completed successfully",
        "The command ended with exit code 0 and every output pattern matched a file.",
        "Look at the outputs. The message says so when a moderately sensitive file was held back; the log says why.",
    ),
    Status(
        S.DEPENDENCY_FAILED,
        State.FAILED,
        "Not starting as dependency failed",
        "An action that this one needs failed, was cancelled, or its output files are gone.",
        "Mend the action it needs, then run this one again: what it needs runs again with it.",
    ),
    Status(
        S.NONZERO_EXIT,
        State.FAILED,
        "Job exited with an error",
        "The action's command ended with an exit code other than 0.",
        "Read the action's log (level 4, or `carrel logs`), mend the code, run it again.",
    ),
    Status(
        S.CANCELLED_BY_USER,
        State.FAILED,
        "Cancelled by user",
        "Somebody cancelled the job.",
        "Run it again when you want it.",
    ),
    Status(
        S.UNMATCHED_PATTERNS,
        State.FAILED,
        "Outputs matching expected patterns were not found. See job log for details.",
        "The command ended well, but an output pattern of project.yaml matched no file.",
        "Compare the files listed in the log with the patterns under `outputs`, mend one of them, run it again.",
    ),
    Status(
        S.INTERNAL_ERROR,
        State.FAILED,
        "Internal error",
        "Carrel itself failed, several times. The study is not to blame.",
        "Give the reference number in the message to those who run this installation; then run it again.",
    ),
    Status(
        S.KILLED_BY_ADMIN,
        State.FAILED,
        "Job killed by an administrator",
        "Those who run the backend stopped the job.",
        "Ask them why before you run it again.",
    ),
    Status(
        S.STALE_CODELISTS,
        State.FAILED,
        "Codelists are out of date",
        "The study's codelists differ from those published. Today such a request is refused instead.",
        "Run `carrel codelists update`, commit, and run it again.",
    ),
    Status(
        S.JOB_ERROR,
        State.FAILED,
        "This job returned a fatal error.",
        "The agent could not run the job: what the job asks for is not there, or the backend failed at every attempt.",
        "The message says what was wrong. Mend it, or give its reference to those who run the backend.",
    ),
    Status(
        S.TIMED_OUT,
        State.FAILED,
        "Job ran longer than its time limit and was stopped",
        "The job reached its time limit (`resources: timeout` in project.yaml, or the backend's own).",
        "Make the action faster or smaller, or raise its timeout, then run it again.",
    ),
)

STATUSES: Mapping[StatusCode, Status] = MappingProxyType({row.code: row for row in _ROWS})

PENDING_CODES = frozenset(row.code for row in _ROWS if row.state is State.PENDING)
RUNNING_CODES = frozenset(row.code for row in _ROWS if row.state is State.RUNNING)
FINAL_CODES = frozenset(row.code for row in _ROWS if row.state in (State.FAILED, State.SUCCEEDED))
RESET_CODES = frozenset({S.WAITING_ON_REBOOT, S.WAITING_DB_MAINTENANCE, S.WAITING_ON_NEW_TASK})
"""Codes that take a running job back to pending: its attempt is given up and `started_at` forgotten."""

_WAITING = PENDING_CODES - {S.CREATED, S.WAITING_ON_REBOOT}
_RUNNING_IN_ORDER = (S.INITIATED, S.PREPARING, S.PREPARED, S.EXECUTING, S.EXECUTED, S.FINALIZING, S.FINALIZED)
_ENDS_BEFORE_START = frozenset(
    {S.DEPENDENCY_FAILED, S.CANCELLED_BY_USER, S.INTERNAL_ERROR, S.JOB_ERROR, S.KILLED_BY_ADMIN}
)
_ENDS_AFTER_START = FINAL_CODES - {S.STALE_CODELISTS}


def _allowed(code: StatusCode) -> frozenset[StatusCode]:
    if code in FINAL_CODES:
        return frozenset()
    if code in PENDING_CODES:
        stale = {S.STALE_CODELISTS} if code is S.CREATED else set()
        return (_WAITING | {S.INITIATED} | _ENDS_BEFORE_START | stale) - {code}
    later = _RUNNING_IN_ORDER[_RUNNING_IN_ORDER.index(code) + 1 :]
    # An agent that lost the attempt's container prepares it afresh under the same task.
    return (frozenset(later) | {S.PREPARING} | RESET_CODES | _ENDS_AFTER_START) - {code}


TRANSITIONS: Mapping[StatusCode, frozenset[StatusCode]] = MappingProxyType({c: _allowed(c) for c in StatusCode})
"""THE transition table: from each code, the codes a job may go to. Final codes go nowhere."""


def status_named(code: str) -> Status | None:
    """Return what is known of a status code as it came over a wire; None for one of another system."""
    return STATUSES[StatusCode(code)] if code in set(StatusCode) else None


def state_of(code: StatusCode) -> State:
    return STATUSES[code].state


def is_final(code: StatusCode) -> bool:
    return code in FINAL_CODES


def can_transition(from_code: StatusCode, to_code: StatusCode) -> bool:
    """True when the table allows this change. Staying where one is is no change, and always allowed but for finals."""
    return to_code in TRANSITIONS[from_code]


def public_code(code: StatusCode) -> StatusCode:
    """The code to say on the RAP API, whose list of 24 is closed: `timed_out` is said as `killed_by_admin`.

    The job's message goes out unchanged and says that it was the time limit.
    """
    return StatusCode.KILLED_BY_ADMIN if code is StatusCode.TIMED_OUT else code
