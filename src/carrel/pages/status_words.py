"""The words of statuses: which of five families each belongs to, and what a chip says.

The one place for it, for jobs (every StatusCode), for what the job server knows of requests, and for what a cell of the
run page may say. Meaning and next step of a job's code stand in carrel.jobs.statuses, once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from carrel.jobs.statuses import STATUSES, State, StatusCode


class Family(StrEnum):
    """What a status looks like: its icon and colours. The order is that of progress bars."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StatusWords:
    """How one status is told: `word` on the chip, `explanation` (what it means, what to do) beside it on its page."""

    code: str
    family: Family
    word: str
    explanation: str

    @property
    def short(self) -> str:
        """The word as a narrow cell has it: `Waiting` of `Waiting for a worker`."""
        first = self.word.partition(" ")[0].rstrip(":")
        return first if first in ("Waiting", "Stopped") else self.word

    @property
    def note(self) -> str:
        """What `short` leaves out: `for a worker`."""
        return self.word.removeprefix(self.short).lstrip(": ")


S = StatusCode

_JOB_WORDS: dict[StatusCode, tuple[Family, str]] = {
    S.CREATED: (Family.WAITING, "Waiting"),
    S.WAITING_PAUSED: (Family.WAITING, "Waiting: backend paused"),
    S.WAITING_DB_MAINTENANCE: (Family.WAITING, "Waiting for database maintenance"),
    S.WAITING_ON_DEPENDENCIES: (Family.WAITING, "Waiting for what it needs"),
    S.WAITING_ON_WORKERS: (Family.WAITING, "Waiting for a worker"),
    S.WAITING_ON_DB_WORKERS: (Family.WAITING, "Waiting for a database worker"),
    S.WAITING_ON_REBOOT: (Family.WAITING, "Waiting for a reboot"),
    S.WAITING_ON_NEW_TASK: (Family.WAITING, "Waiting to try again"),
    S.INITIATED: (Family.RUNNING, "Starting"),
    S.PREPARING: (Family.RUNNING, "Preparing"),
    S.PREPARED: (Family.RUNNING, "Ready to run"),
    S.EXECUTING: (Family.RUNNING, "Running"),
    S.EXECUTED: (Family.RUNNING, "Finishing"),
    S.FINALIZING: (Family.RUNNING, "Storing outputs"),
    S.FINALIZED: (Family.RUNNING, "Outputs stored"),
    S.SUCCEEDED: (Family.SUCCEEDED, "Succeeded"),
    S.DEPENDENCY_FAILED: (Family.STOPPED, "Not started"),
    S.NONZERO_EXIT: (Family.FAILED, "Failed"),
    S.CANCELLED_BY_USER: (Family.STOPPED, "Cancelled"),
    S.UNMATCHED_PATTERNS: (Family.FAILED, "Outputs missing"),
    S.INTERNAL_ERROR: (Family.FAILED, "Internal error"),
    S.KILLED_BY_ADMIN: (Family.STOPPED, "Stopped by an administrator"),
    S.STALE_CODELISTS: (Family.FAILED, "Codelists out of date"),
    S.JOB_ERROR: (Family.FAILED, "Could not run"),
    S.TIMED_OUT: (Family.FAILED, "Ran out of time"),
}

_OTHER_WORDS = (
    # A state of the task and RAP APIs, where no code is known.
    StatusWords("pending", Family.WAITING, "Waiting", "It has not started yet. Nothing to do."),
    StatusWords("running", Family.RUNNING, "Running", "It is under way. Nothing to do."),
    StatusWords("failed", Family.FAILED, "Failed", "It ended badly. Its page says why and what to do."),
    # A request on its way to a backend's controller.
    StatusWords(
        "to_send", Family.WAITING, "Being sent", "The request is stored and goes to the controller in a moment."
    ),
    StatusWords("sent", Family.WAITING, "Sent", "The controller has the request; its jobs show as soon as it says so."),
    StatusWords(
        "nothing_to_do",
        Family.SUCCEEDED,
        "Nothing to do",
        "Every action had succeeded already. To run one anyway, tick it by name.",
    ),
    StatusWords(
        "rejected", Family.FAILED, "Refused", "The controller refused the request. Its message says what to mend."
    ),
    StatusWords(
        "unknown",
        Family.STOPPED,
        "Not known",
        "The controller has not answered for this request. Nothing to do: it is asked again every few seconds.",
    ),
    StatusWords(
        "unknown_error_creating_jobs",
        Family.WAITING,
        "Not yet at the controller",
        "The controller did not say whether it has the request. Nothing to do: it is sent again until it does.",
    ),
    StatusWords(
        "cancelling", Family.RUNNING, "Being cancelled", "The controller is told to stop the jobs. Nothing to do."
    ),
    StatusWords("cancelled", Family.STOPPED, "Cancelled", "Somebody cancelled it. Run it again when you want it."),
    # A cell of a matrix of actions and backends.
    StatusWords("never_ran", Family.STOPPED, "Never ran", "This action has not run on this backend yet."),
    StatusWords("reused", Family.SUCCEEDED, "Reused", "Its earlier outputs are used; it does not run again."),
    # Outputs under review.
    StatusWords("draft", Family.WAITING, "Draft", "Its author has not handed it in yet."),
    StatusWords("submitted", Family.WAITING, "Submitted", "It waits for those who look at it."),
    StatusWords("returned", Family.WAITING, "Returned", "It went back to its author with a reason."),
    StatusWords("approved", Family.SUCCEEDED, "Approved", "It was looked at and may go on."),
    StatusWords("published", Family.SUCCEEDED, "Published", "Everybody can read it."),
    StatusWords("withdrawn", Family.STOPPED, "Withdrawn", "It was taken back and nobody can read it any more."),
)

STATUS_WORDS: Mapping[str, StatusWords] = MappingProxyType(
    {
        code.value: StatusWords(code.value, family, word, f"{STATUSES[code].meaning} {STATUSES[code].next_step}")
        for code, (family, word) in _JOB_WORDS.items()
    }
    | {row.code: row for row in _OTHER_WORDS}
)

FAMILY_OF_STATE: Mapping[State, Family] = MappingProxyType(
    {
        State.PENDING: Family.WAITING,
        State.RUNNING: Family.RUNNING,
        State.FAILED: Family.FAILED,
        State.SUCCEEDED: Family.SUCCEEDED,
    }
)


def status_words(code: str) -> StatusWords:
    """Find the words of a status code or state. One that nobody knows is told as it came, in the family `stopped`."""
    known_words = STATUS_WORDS.get(code)
    if known_words:
        return known_words
    return StatusWords(code, Family.STOPPED, code.replace("_", " ").capitalize() or "Not known", "")


def family_counts(codes: Iterable[str]) -> dict[Family, int]:
    """Count statuses by family; every family is there, in the order of progress bars."""
    counts = Counter(status_words(code).family for code in codes)
    return {family: counts[family] for family in Family}
