"""What is posted to a polled job server: the jobs of a request, or one pseudo-job that says why there are none.

Values in, values out: the rows are read elsewhere.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carrel.controller.models import Rap, RapOutcome
from carrel.jobs.identifiers import job_id
from carrel.jobs.statuses import State
from carrel.messages.job_requests import ERROR_ACTION, PostedJob, posted_body
from carrel.messages.rap import RapJob, RapStatusCode
from carrel.units.limits import MAX_POSTED_BYTES

CODELISTS = "Codelists are out of date"
"""How the refusal begins that has a status code of its own."""
_FINAL = frozenset({State.SUCCEEDED.value, State.FAILED.value})


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that is to be told of one request, and never less: the server deletes what is missing."""

    rap_id: str
    jobs: tuple[PostedJob, ...]
    size: int
    """Bytes of the jobs as they are sent."""
    digest: bytes
    """Two parcels with the same tell the same."""

    @classmethod
    def of(cls, rap_id: str, jobs: Sequence[PostedJob]) -> "Parcel":
        body = posted_body(jobs)
        return cls(rap_id, tuple(jobs), len(body), hashlib.sha256(body).digest())

    @property
    def is_last(self) -> bool:
        """Once the server has this there is nothing left to come."""
        return all(job.status in _FINAL for job in self.jobs)


def posted_job(job: RapJob) -> PostedJob:
    """A job of `rap/status/` as this link shows it: the request under another name, and no backend."""
    values = job.model_dump(exclude={"rap_id", "backend"})
    return PostedJob(job_request_id=job.rap_id, **values)


def outcome_job(rap: Rap, created_at: str, ended_at: str) -> PostedJob | None:
    """The pseudo-job of a request whose outcome is known and which has no jobs.

    Nothing to do is a success: all that was asked for has been done, or is being done by another request.
    """
    if rap.outcome == RapOutcome.NOTHING_TO_DO:
        code = RapStatusCode.SUCCEEDED
    elif rap.outcome == RapOutcome.ERROR:
        code = refusal_code(rap.outcome_details)
    else:
        return None
    return pseudo_job(rap.id, code, rap.outcome_details, created_at, ended_at)


def refusal_code(message: str) -> RapStatusCode:
    """The status code for a request that is refused with this message."""
    return RapStatusCode.STALE_CODELISTS if message.startswith(CODELISTS) else RapStatusCode.JOB_ERROR


def pseudo_job(rap_id: str, code: RapStatusCode, message: str, created_at: str, ended_at: str | None) -> PostedJob:
    """The job `__error__` of a request. With `ended_at` None the request waits, and the job goes when others come."""
    status = State.SUCCEEDED if code is RapStatusCode.SUCCEEDED else State.FAILED
    return PostedJob(
        job_request_id=rap_id,
        identifier=job_id(rap_id, ERROR_ACTION),
        action=ERROR_ACTION,
        run_command="",
        status=status.value if ended_at else State.PENDING.value,
        status_code=code.value,
        status_message=message,
        created_at=created_at,
        updated_at=ended_at or created_at,
        started_at=None,
        completed_at=ended_at,
        trace_context={},
        metrics={},
        requires_db=False,
    )


def batches(parcels: Iterable[Parcel], limit: int = MAX_POSTED_BYTES) -> Iterator[list[Parcel]]:
    """Parcels in their order, whole, as many together as fit in `limit` bytes; one that is larger goes alone."""
    batch: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if batch and size + parcel.size > limit:
            yield batch
            batch, size = [], 0
        batch.append(parcel)
        size += parcel.size
    if batch:
        yield batch
