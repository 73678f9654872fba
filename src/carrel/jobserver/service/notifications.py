"""Who is told of runs: messages are written with what they tell, in the same transaction, and sent by the link."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

from django.conf import settings as django_settings
from django.db.models import Q
from django.utils import timezone

from carrel.jobserver.models import Job, JobRequest, OutgoingMessage, RunGroup
from carrel.jobserver.models.people import NAME_LENGTH
from carrel.jobserver.runs.derivation import CANCELLED, FAILED, job_outcome
from carrel.jobserver.runs.notices import RunEvent, RunStanding, person_is_told
from carrel.pages.formats import count_text
from carrel.pages.status_words import status_words


def mail_is_configured() -> bool:
    """Tell whether this site can send mail (EMAIL_HOST)."""
    return bool(django_settings.EMAIL_HOST)


def absolute_url(path: str) -> str:
    """Return the address of one of the site's pages as people outside of it type it."""
    return urljoin(f"{django_settings.JOBSERVER_URL}/", path)


def tell_of(run: RunGroup) -> None:
    """Write the messages that a run's new standing calls for; each is written once.

    Call it inside the transaction that changed the run, with the run locked.
    """
    requests = list(run.requests.select_related("backend"))
    standing = standing_of(requests)
    events = standing.events()
    if not events:
        return
    if run.notified_at is None and mail_is_configured() and person_is_told(run.notify, events):
        RunGroup.objects.filter(pk=run.pk, notified_at=None).update(notified_at=timezone.now())
        person = run.created_by
        if person.email and person.is_active and not person.digest:
            _write_mail(run, requests, events)
    for event in events:
        _write_calls(run, requests, event)


def standing_of(requests: list[JobRequest]) -> RunStanding:
    """Return how a run stands, from its requests and their jobs."""
    jobs = list(Job.objects.filter(request__in=requests).values_list("request_id", "status", "status_code"))
    with_jobs = {request_id for request_id, _, _ in jobs}
    refused = [request for request in requests if request.outcome == FAILED and request.pk not in with_jobs]
    failed = [code for _, status, code in jobs if job_outcome(status, code) == FAILED]
    return RunStanding(tuple(request.status for request in requests), len(refused) + len(failed))


def _write_mail(run: RunGroup, requests: list[JobRequest], events: frozenset[RunEvent]) -> None:
    going_on = RunEvent.ENDED not in events
    word = "A job failed" if going_on else overall_word(request.outcome for request in requests)
    lines = [f"Run {run.pk} of {run.workspace.name}: {word.lower()}{', the rest goes on' if going_on else ''}.", ""]
    lines += [f"{request.backend.name}: {outcome_line(request)}" for request in requests]
    lines += ["", absolute_url(run.get_absolute_url())]
    OutgoingMessage.objects.bulk_create(
        [
            OutgoingMessage(
                channel=OutgoingMessage.Channel.MAIL,
                recipient=run.created_by,
                subject=f"{word}: run {run.pk} of {run.workspace.name}"[:NAME_LENGTH],
                body="\n".join(lines) + "\n",
                key=f"mail:run:{run.pk}",
            )
        ],
        ignore_conflicts=True,
    )


def overall_word(outcomes: Iterable[str]) -> str:
    """Return one word for a run over all its backends: the worst that is true of any."""
    unknown, going_on = ("unknown", "unknown_error_creating_jobs"), ("running", "pending")
    order = (FAILED, *unknown, *going_on, CANCELLED, "succeeded", "nothing_to_do")
    return status_words(min(outcomes, key=order.index)).word


def outcome_line(request: JobRequest) -> str:
    """Return what became of one backend's part: `Failed, 1 of 3 jobs succeeded`."""
    statuses = list(request.jobs.values_list("status", flat=True))
    word = status_words(request.outcome).word
    if not statuses:
        return f"{word}. {request.status_message}".strip()
    return f"{word}, {statuses.count('succeeded')} of {count_text(len(statuses), 'job')} succeeded"


def _write_calls(run: RunGroup, requests: list[JobRequest], event: RunEvent) -> None:
    webhooks = run.workspace.project.webhooks.filter(Q(run=None) | Q(run=run), is_active=True)
    OutgoingMessage.objects.bulk_create(
        (
            OutgoingMessage(
                channel=OutgoingMessage.Channel.WEBHOOK,
                webhook=webhook,
                subject=event.value,
                body=json.dumps(run_document(run, requests, event)),
                key=f"webhook:{webhook.pk}:{event.value}:{run.pk}",
            )
            for webhook in webhooks
        ),
        ignore_conflicts=True,
    )


def run_document(run: RunGroup, requests: list[JobRequest], event: RunEvent) -> dict[str, Any]:
    """Return what a webhook is told: what happened to which run, and how it stands on each backend."""
    return {
        "event": event.value,
        "message": f"{overall_word(request.outcome for request in requests)}: run {run.pk} of {run.workspace.name}",
        "run": run.pk,
        "url": absolute_url(run.get_absolute_url()),
        "project": run.workspace.project.slug,
        "workspace": run.workspace.name,
        "commit": run.commit,
        "created_by": run.created_by.username,
        "requests": [
            {
                "identifier": request.identifier,
                "backend": request.backend.slug,
                "status": request.outcome,
                "status_message": request.status_message,
            }
            for request in requests
        ],
    }
