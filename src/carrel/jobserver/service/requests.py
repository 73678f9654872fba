"""A request's own status, where its jobs do not tell it; and the lock under which it changes."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from carrel.jobserver.models import Job, JobRequest, RunGroup
from carrel.jobserver.queries.refusals import refusals_since
from carrel.jobserver.runs.derivation import FAILED, FINAL_REQUEST_STATUSES, failed_by_cancelling
from carrel.jobserver.runs.reported import storable_text
from carrel.jobserver.service import notifications
from carrel.units.limits import MAX_MESSAGE


def lock_request(request_pk: int) -> JobRequest:
    """Return the request with its run, both locked until the transaction ends. Always the run first."""
    run_pk = JobRequest.objects.values_list("run_id", flat=True).get(pk=request_pk)
    RunGroup.objects.select_for_update().get(pk=run_pk)
    requests = JobRequest.objects.select_related(
        "run__workspace__project", "run__created_by", "backend", "workspace__project", "created_by"
    )
    return requests.select_for_update(of=("self",)).get(pk=request_pk)


def set_outcome(locked: JobRequest, status: str, message: str) -> None:
    """Set the status of a locked request that its jobs do not tell; a final one stays. Tells whoever is to be told."""
    if locked.status in FINAL_REQUEST_STATUSES:
        return
    now = timezone.now()
    locked.status, locked.status_message, locked.updated_at = status, storable_text(message, MAX_MESSAGE), now
    if status in FINAL_REQUEST_STATUSES:
        locked.completed_at = now
        locked.send_error = ""
    locked.was_cancelled = failed_by_cancelling(
        status, [job.outcome for job in locked.jobs.all()], locked.cancelled_actions
    )
    fields = ["status", "status_message", "was_cancelled", "updated_at", "completed_at", "send_error"]
    locked.save(update_fields=fields)
    notifications.tell_of(locked.run)


def withdraw_refused(requests: Sequence[JobRequest]) -> int:
    """End those of these requests that may not run any more, with the reason, and return how many.

    For backends whose controllers ask us. Those of which there are jobs go on. Nobody knows whether the controller has
    read of the others: where it had, and tells of jobs, the request follows them.
    """
    with_jobs = set(Job.objects.filter(request__in=requests).values_list("request_id", flat=True))
    refusals = refusals_since(request for request in requests if request.pk not in with_jobs)
    for request_pk, reason in refusals.items():
        with transaction.atomic():
            locked = lock_request(request_pk)
            if not locked.jobs.exists():
                set_outcome(locked, FAILED, reason)
    return len(refusals)
