"""One job: what its status means and what to do, its states, how the action did before, command, code, metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from carrel.jobs.statuses import status_named
from carrel.jobserver.models import Job, JobStatusChange, Project, RunGroup, Workspace
from carrel.jobserver.queries.latest import usual_seconds
from carrel.jobserver.rights.access import EVERYBODY, SIGNED_IN, CarrelRequest, Page, forbidden
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.runs.definitions import DefinedAction
from carrel.jobserver.runs.derivation import FINAL_JOB_STATUSES
from carrel.jobserver.runs.standing import note_of
from carrel.jobserver.service.cancellations import CancelError, ask_to_cancel, may_cancel
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.run_rows import (
    MEGABYTE,
    cancelled_by_request,
    contacts_by_controller,
    definition_of,
    last_success,
    sees_code,
    standing_of,
)
from carrel.jobserver.views.runs import LIVE_STEP, RUN, run_crumbs
from carrel.pages import live
from carrel.pages.charts import LastRun
from carrel.pages.frame import PageLink
from carrel.pages.status_words import status_words

LAST_RUNS = 10
MAX_STEPS = 60
"""Steps of the timeline that are shown, the latest."""


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """A state that the job was in: since when, and for how long (None: it still is)."""

    code: str
    message: str
    at: datetime
    lasted: timedelta | None


def steps_of(job: Job, changes: Sequence[JobStatusChange]) -> list[TimelineStep]:
    """Return the states of a job in their order; the first is that it was made."""
    moments = [(change.status_code, change.status_message, change.at) for change in changes]
    if not moments or moments[0][2] > job.created_at:
        moments.insert(0, ("created", "", job.created_at))
    steps = [TimelineStep(code, message, at, after[2] - at) for (code, message, at), after in pairwise(moments)]
    return [*steps, TimelineStep(*moments[-1], None)]


def job_page(
    request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup, job: Job
) -> HttpResponse:
    """How the job stands, and what to do about it."""
    return render(request, "jobserver/runs/job.html", job_context(request, run, job, timezone.now()))


def job_parts(
    request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup, job: Job
) -> HttpResponse:
    """The parts of the page that change, for a browser that asks again and again."""
    now = timezone.now()
    cancelling = sorted(cancelled_by_request([job.request])[job.request_id])
    is_final = job.status in FINAL_JOB_STATUSES
    moment = None if is_final else int(now.timestamp() // LIVE_STEP)
    person_key = request.person and request.person.pk
    etag = live.etag_of(
        job.pk, job.status, job.status_code, job.status_message, job.updated_at, cancelling, moment, person_key
    )
    if live.is_current(request, etag):
        return live.unchanged(etag)
    html = render_to_string(
        "jobserver/runs/job_parts.html", {**job_context(request, run, job, now), "live": True}, request
    )
    return live.live_response(html, etag, final=is_final)


def job_context(request: CarrelRequest, run: RunGroup, job: Job, now: datetime) -> dict[str, Any]:
    """What the page and its live parts are made from."""
    backend, row = job.backend, job.request
    row.backend, row.workspace = backend, run.workspace
    definition = definition_of(run, backend.slug)
    siblings = list(row.jobs.exclude(pk=job.pk).defer("run_command", "trace_context").order_by("id"))
    cancelling = cancelled_by_request([row])[row.pk]
    is_final = job.status in FINAL_JOB_STATUSES
    usual = {} if is_final else usual_seconds(run.workspace, [backend], [(backend.slug, job.action)])
    standing = standing_of(job, row, definition, cancelling, usual)
    others = {sibling.action: standing_of(sibling, row, definition, cancelling) for sibling in siblings}
    status = status_named(job.status_code)
    contact = contacts_by_controller([row]).get(backend.controller)
    success = last_success(job)
    changes = list(job.changes.order_by("-at", "-id")[:MAX_STEPS])[::-1]
    sees_names = sees_code(request, run.workspace.project)
    defined = definition.get(job.action, DefinedAction())
    urls = {sibling.action: f"{run.get_absolute_url()}{sibling.identifier}/" for sibling in siblings}
    return {
        "run": run,
        "job": job,
        "backend": backend,
        "request_row": row,
        "url": f"{run.get_absolute_url()}{job.identifier}/",
        "parts_url": f"{run.get_absolute_url()}{job.identifier}/parts/",
        "crumbs": run_crumbs(run, PageLink(job.action)),
        "standing": standing,
        "words": status_words(job.status_code or job.status),
        "meaning": with_code(status.meaning if status else ""),
        "next_step": with_code(status.next_step if status else ""),
        "note": note_of(standing, others, now),
        "seconds": standing.seconds(now),
        "steps": steps_of(job, changes),
        "is_final": is_final,
        "history": history_of(request, job),
        "success": success,
        "metrics": metrics_of(job),
        "sees_code": sees_names,
        "needs": [(need, urls.get(need, ""), need in row.reused) for need in defined.needs] if sees_names else [],
        "outputs": defined.outputs if sees_names else (),
        "may_cancel": not is_final and may_cancel(request.person, request.rights, row),
        "is_cancelling": standing.is_being_cancelled and not is_final,
        "problem": contact.problem.replace("{backend}", backend.name) if contact and contact.failing_since else "",
        "failing_since": contact.failing_since if contact else None,
        "now": now,
    }


def with_code(text: str) -> SafeString:
    """Return a sentence in which what stands between backticks is code."""
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<code>{}</code>", part) if number % 2 else part,)
            for number, part in enumerate(text.split("`"))
        ),
    )


def history_of(request: CarrelRequest, job: Job) -> dict[str, list[LastRun]]:
    """Return how long the action's last runs on this backend took, and how much memory; the oldest first."""
    same = Job.objects.filter(workspace=job.workspace_id, backend=job.backend_id, action=job.action)
    ran = same.filter(created_at__lte=job.created_at).select_related("request__run__workspace__project")
    rows = list(ran.defer("run_command").order_by("-created_at", "-pk")[:LAST_RUNS])[::-1]
    took, memory = [], []
    for row in rows:
        url = f"{row.request.run.get_absolute_url()}{row.identifier}/"
        seconds = (row.completed_at - row.started_at).total_seconds() if row.started_at and row.completed_at else None
        took.append(LastRun(row.created_at, row.status_code or row.status, seconds, url))
        peak = row.metrics.get("mem_mb_peak")
        memory.append(
            LastRun(
                row.created_at,
                row.status_code or row.status,
                peak * MEGABYTE if isinstance(peak, int | float) else None,
                url,
            )
        )
    return {"took": took, "memory": memory if any(run.value is not None for run in memory) else []}


def metrics_of(job: Job) -> dict[str, Any]:
    """Return the means and peaks that were measured, and the samples as lines over time, where there are any."""
    metrics = {name: value for name, value in job.metrics.items() if isinstance(value, int | float)}
    samples = [sample for sample in job.samples if len(sample) == len(SAMPLE)]
    moments = [datetime.fromisoformat(sample[0]) for sample in samples]
    return {
        "cpu_mean": metrics.get("cpu_mean"),
        "cpu_peak": metrics.get("cpu_peak"),
        "memory_mean": metrics["mem_mb_mean"] * MEGABYTE if "mem_mb_mean" in metrics else None,
        "memory_peak": metrics["mem_mb_peak"] * MEGABYTE if "mem_mb_peak" in metrics else None,
        "cpu": [(moment, sample[1]) for moment, sample in zip(moments, samples, strict=True) if sample[1] is not None],
        "memory": [
            (moment, sample[2] * MEGABYTE)
            for moment, sample in zip(moments, samples, strict=True)
            if sample[2] is not None
        ],
    }


SAMPLE = ("at", "cpu_sample", "mem_mb_sample")


def job_changes(
    request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup, job: Job
) -> HttpResponse:
    """What changed in the code since the action last succeeded on this backend."""
    success = last_success(job)
    commit = f"&commit={success.request.run.commit}" if success else ""
    return SeeOther(f"{run.get_absolute_url()}compare/?backend={job.backend.slug}&since=success{commit}")


def cancel_job(
    request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup, job: Job
) -> HttpResponse:
    """Asks first; then asks the backend's controller to cancel this one job."""
    row, backend = job.request, job.backend
    row.backend, row.workspace = backend, workspace
    url = f"{run.get_absolute_url()}{job.identifier}/"
    if not may_cancel(request.person, request.rights, row):
        why = "Whoever asked for a run may cancel it, and those with the right to cancel jobs."
        return forbidden(request, why, Permission.JOB_CANCEL)
    if request.method == "POST":
        try:
            messages.success(request, ask_to_cancel(row, [job.action], request).words)
        except CancelError as error:
            messages.warning(request, str(error))
        return SeeOther(url)
    return render(
        request,
        "pages/confirm.html",
        {
            "question": f"Cancel {job.action} on {backend.name}?",
            "consequence": "It is stopped, and what needs it does not start. The rest of the run goes on.",
            "verb": "Cancel it",
            "back_url": url,
            "back_label": "Let it run",
            "crumbs": run_crumbs(run, PageLink(job.action, url), PageLink("Cancel")),
        },
    )


PROJECT_PAGES = [
    Page(f"{RUN}<str:job>/", job_page, "job", EVERYBODY),
    Page(f"{RUN}<str:job>/parts/", job_parts, "job-parts", EVERYBODY),
    Page(f"{RUN}<str:job>/changes/", job_changes, "job-changes", SIGNED_IN),
    Page(f"{RUN}<str:job>/cancel/", cancel_job, "job-cancel", SIGNED_IN),
]
