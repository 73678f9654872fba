"""How a run stands, in words and numbers: one sentence, what each job waits for, how long it takes yet. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from carrel.jobs.statuses import STATUSES, State, StatusCode
from carrel.jobserver.runs.derivation import FINAL_JOB_STATUSES
from carrel.pages.formats import count_text, duration_text, plain_duration
from carrel.pages.status_words import FAMILY_OF_STATE, Family, status_words

MAX_NAMED = 3
"""Actions that a note names; then it says how many more."""
STANDSTILL = {StatusCode.WAITING_PAUSED, StatusCode.WAITING_DB_MAINTENANCE, StatusCode.WAITING_ON_REBOOT}
"""Codes of jobs that wait for people who look after their backend."""
ORDER = (Family.FAILED, Family.RUNNING, Family.WAITING, Family.STOPPED, Family.SUCCEEDED)
"""Of jobs in a table: what needs somebody first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStanding:
    """One job as pages tell of it. `needs`: actions that its action needs, by project.yaml."""

    backend: str
    action: str
    status: str
    status_code: str
    status_message: str = ""
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    needs: tuple[str, ...] = ()
    usual_seconds: float | None = None
    """How long the action took on this backend the last times it succeeded there."""
    is_being_cancelled: bool = False

    @property
    def family(self) -> Family:
        words = status_words(self.status_code)
        is_told = words.explanation or self.status not in set(State)
        return words.family if is_told else FAMILY_OF_STATE[State(self.status)]

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_JOB_STATUSES

    def seconds(self, now: datetime) -> float | None:
        """Return how long it has run, up to now while it runs; None before it starts."""
        if self.started_at is None:
            return None
        return max(((self.completed_at or now) - self.started_at).total_seconds(), 0.0)


def in_order(jobs: Sequence[JobStanding]) -> list[JobStanding]:
    """Return jobs as a table shows them: failures first, then what runs, waits, was stopped, and has succeeded."""
    return sorted(jobs, key=lambda job: ORDER.index(job.family))


def counts_of(jobs: Sequence[JobStanding]) -> dict[Family, int]:
    """Count jobs by family, in the order of progress bars."""
    return {family: sum(job.family is family for job in jobs) for family in Family}


def counts_sentence(jobs: Sequence[JobStanding]) -> str:
    """Return `4 of 8 jobs done, 1 failed, 2 running, 1 waiting`, or for a run that has ended what became of all."""
    counts = counts_of(jobs)
    if counts[Family.SUCCEEDED] == len(jobs):
        return "The job succeeded" if len(jobs) == 1 else f"All {len(jobs):,} jobs succeeded"
    words = (
        (Family.FAILED, "failed"),
        (Family.RUNNING, "running"),
        (Family.WAITING, "waiting"),
        (Family.STOPPED, "stopped or not started"),
    )
    others = [f"{counts[family]:,} {word}" for family, word in words if counts[family]]
    return ", ".join([f"{counts[Family.SUCCEEDED]:,} of {count_text(len(jobs), 'job')} done", *others])


def seconds_left(jobs: Sequence[JobStanding], now: datetime) -> float | None:
    """Return about how long the jobs that have not ended take yet, as they took before; None where some never ran.

    None too where the backend of one stands still: nobody knows until when.
    Each waits for those of its own backend that it needs; that room may be short is not reckoned with.
    """
    active = {(job.backend, job.action): job for job in jobs if not job.is_final}
    if not active or any(job.usual_seconds is None or job.status_code in STANDSTILL for job in active.values()):
        return None
    ends: dict[tuple[str, str], float] = {}
    pending = dict(active)
    while pending:
        ready = [
            cell
            for cell, job in pending.items()
            if not any((job.backend, need) in pending for need in job.needs if need != job.action)
        ] or list(pending)
        for cell in ready:
            job = pending.pop(cell)
            starts = max((ends[job.backend, need] for need in job.needs if (job.backend, need) in ends), default=0.0)
            took = job.seconds(now) if job.status == State.RUNNING else 0.0
            ends[cell] = starts + max((job.usual_seconds or 0.0) - (took or 0.0), 0.0)
    return max(ends.values())


def note_of(job: JobStanding, others: Mapping[str, JobStanding], now: datetime) -> str:
    """Say in a few words what stands behind a job's status: what it waits for, what went wrong, how long it takes.

    `others`: the jobs of the same run on the same backend, by action.
    """
    if job.is_being_cancelled and not job.is_final:
        return "it is being cancelled"
    if job.status_code == StatusCode.WAITING_ON_DEPENDENCIES:
        awaited = [need for need in job.needs if need in others and others[need].status != State.SUCCEEDED]
        return f"it waits for {_named(awaited)}" if awaited else "it waits for what it needs"
    if job.status_code == StatusCode.DEPENDENCY_FAILED:
        failed = [need for need in job.needs if need in others and others[need].status == State.FAILED]
        return f"it needs {_named(failed)}, which failed" if failed else job.status_message.strip()
    if job.status == State.RUNNING and job.started_at is not None:
        usually = f"; it usually takes {duration_text(job.usual_seconds)}" if job.usual_seconds else ""
        return f"for {duration_text(job.seconds(now))}{usually}"
    message = job.status_message.strip()
    status = STATUSES.get(job.status_code)  # type: ignore[call-overload]  # texts are looked up as codes
    if job.status == State.SUCCEEDED or (status and message == status.message and job.status == State.FAILED):
        return ""
    return status.meaning if status and message in ("", status.message) else message


def standing_sentence(jobs: Sequence[JobStanding], now: datetime) -> str:
    """Return the one sentence that says how a run stands: counts, and what is left of it or how long it took."""
    sentence = counts_sentence(jobs)
    if all(job.is_final for job in jobs):
        ends = [job.completed_at for job in jobs if job.completed_at]
        took = (max(ends) - min(job.created_at for job in jobs)).total_seconds() if ends else None
        return f"{sentence} in {duration_text(took)}." if took is not None else f"{sentence}."
    remainder = plain_duration(seconds_left(jobs, now))
    return f"{sentence}: {remainder} left, as last time." if remainder else f"{sentence}."


def title_of(jobs: Sequence[JobStanding]) -> str:
    """Return what a window's title says of a run: `2 of 7 done`, `Failed`, `Succeeded`."""
    counts = counts_of(jobs)
    if all(job.is_final for job in jobs):
        if counts[Family.SUCCEEDED] == len(jobs):
            return "Succeeded"
        return "Failed" if counts[Family.FAILED] else "Stopped"
    return f"{counts[Family.SUCCEEDED]} of {len(jobs)} done"


def _named(actions: Sequence[str]) -> str:
    shown = ", ".join(actions[:MAX_NAMED])
    return f"{shown} and {len(actions) - MAX_NAMED} more" if len(actions) > MAX_NAMED else shown
