"""A run over all its backends: how it stands, cancelling it, running it again, what changed in its code."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.crypto import get_random_string

from carrel.jobserver import studies
from carrel.jobserver.accounts import has_second_factor
from carrel.jobserver.models import Job, JobRequest, Project, RunGroup, Workspace
from carrel.jobserver.models.runs import ACTIVE_STATUSES
from carrel.jobserver.queries.prefixes import begins_with
from carrel.jobserver.rights.access import EVERYBODY, SIGNED_IN, CarrelRequest, Page, forbidden, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.runs.derivation import FAILED
from carrel.jobserver.runs.standing import counts_of, in_order, standing_sentence, title_of
from carrel.jobserver.service.cancellations import ask_to_cancel_run, may_cancel
from carrel.jobserver.service.notifications import mail_is_configured
from carrel.jobserver.service.submissions import Submission, SubmissionError, submit
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.run_rows import (
    BackendPart,
    cancelled_by_request,
    contacts_by_controller,
    earlier_request,
    parts_of,
    requests_of,
    sees_code,
)
from carrel.pages import live
from carrel.pages.frame import PageLink
from carrel.pages.lists import page_of
from carrel.pages.status_words import status_words
from carrel.project.loader import PROJECT_FILE, SIDE_FILE

ROWS = 100
"""Jobs in the table; the rest is on further pages."""
LIVE_STEP = 10
"""Seconds after which a page that is live looks at the clock again: durations grow, and minutes pass."""


def run_page(request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup) -> HttpResponse:
    """How the run stands on each backend, and what to do about it."""
    requests = requests_of(request, run)
    return render(request, "jobserver/runs/run.html", run_context(request, run, requests, timezone.now()))


def run_parts(request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup) -> HttpResponse:
    """The parts of the page that change, for a browser that asks again and again."""
    requests = requests_of(request, run)
    now = timezone.now()
    etag = live.etag_of(run.pk, request.person and request.person.pk, *_changing(requests, now))
    if live.is_current(request, etag):
        return live.unchanged(etag)
    context = {**run_context(request, run, requests, now), "live": True}
    html = render_to_string("jobserver/runs/run_parts.html", context, request)
    return live.live_response(html, etag, final=context["is_final"])


def _changing(requests: Sequence[JobRequest], now: datetime) -> list[object]:
    contacts = contacts_by_controller(requests)
    return [
        [(row.pk, row.status, row.updated_at, row.send_error, row.send_after, row.sent_at) for row in requests],
        sorted((key, sorted(names)) for key, names in cancelled_by_request(requests).items()),
        [(name, contact.failing_since) for name, contact in sorted(contacts.items())],
        int(now.timestamp() // LIVE_STEP),
    ]


def run_context(request: CarrelRequest, run: RunGroup, requests: Sequence[JobRequest], now: datetime) -> dict[str, Any]:
    """What the page and its live parts are made from."""
    project = run.workspace.project
    parts = parts_of(run, requests, now)
    rows = {id(row.standing): row for part in parts for row in part.rows}
    standings = [row.standing for row in rows.values()]
    is_final = all(part.is_final for part in parts)
    query = request.GET.urlencode()
    return {
        "run": run,
        "parts_url": f"{run.get_absolute_url()}parts/{'?' + query if query else ''}",
        "crumbs": run_crumbs(run),
        "parts": parts,
        "standings": standings,
        "counts": counts_of(standings),
        "sentence": sentence_of(parts, now),
        "state_title": title_of(standings) if standings else status_words(parts[0].chip[0]).word,
        "jobs": page_of(request.GET, [rows[id(standing)] for standing in in_order(standings)], ROWS),
        "bars": [bar for part in parts for bar in part.bars],
        "is_final": is_final,
        "is_stale": not is_final and any(part.is_stale for part in parts),
        "has_earlier": RunGroup.objects.filter(workspace=run.workspace, pk__lt=run.pk).exists(),
        "may_cancel": [part.request for part in parts if not part.is_final and _may_cancel(request, part.request)],
        "may_run": request.rights.holds(Permission.JOB_RUN, project_id=project.pk),
        "has_failed_jobs": any(row.job.outcome == FAILED for row in rows.values()),
        "sees_code": sees_code(request, project),
        "now": now,
        "mail_is_configured": mail_is_configured(),
    }


def run_crumbs(run: RunGroup, *more: PageLink) -> list[PageLink]:
    """Where a page of a run lies."""
    workspace = run.workspace
    runs = PageLink("Runs", f"{workspace.get_absolute_url()}logs/")
    here = PageLink(f"Run {run.pk}", run.get_absolute_url()) if more else None
    first = [
        PageLink(workspace.project.name, f"/{workspace.project.slug}/"),
        PageLink(workspace.name, workspace.get_absolute_url()),
        runs,
    ]
    return [*first, *([here] if here else []), *more]


def sentence_of(parts: Sequence[BackendPart], now: datetime) -> str:
    """Return how the whole stands: from its jobs, or while there are none from its requests."""
    standings = [row.standing for part in parts for row in part.rows]
    if standings:
        return standing_sentence(standings, now)
    if len(parts) == 1:
        return status_words(parts[0].chip[0]).explanation
    words = [f"{part.backend.name}: {status_words(part.chip[0]).word.lower()}" for part in parts]
    return f"{'; '.join(words)}."


def _may_cancel(request: CarrelRequest, row: JobRequest) -> bool:
    return may_cancel(request.person, request.rights, row)


# --- cancelling


def cancel(request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup) -> HttpResponse:
    """Asks first; then asks the controllers of all backends, or of the one in `?backend=`."""
    slug = request.GET.get("backend", "")
    requests = [row for row in requests_of(request, run) if slug in ("", row.backend.slug)]
    if not requests:
        raise Http404("This run has no part on that backend.")
    allowed = [row for row in requests if _may_cancel(request, row)]
    if not allowed:
        why = "Whoever asked for a run may cancel it, and those with the right to cancel jobs."
        return forbidden(request, why, Permission.JOB_CANCEL)
    active = [row for row in allowed if row.status in ACTIVE_STATUSES]
    if not active:
        messages.warning(request, "Everything has ended already: there is nothing to cancel.")
        return SeeOther(run.get_absolute_url())
    if request.method == "POST":
        done, refused = ask_to_cancel_run(active, request)
        for sentence in done:
            messages.success(request, sentence)
        for sentence in refused:
            messages.warning(request, sentence)
        return SeeOther(run.get_absolute_url())
    names = ", ".join(row.backend.name for row in active)
    return render(
        request,
        "pages/confirm.html",
        {
            "question": f"Cancel run {run.pk}?",
            "consequence": f"Everything of it that has not ended is stopped on {names}. What has succeeded stays.",
            "verb": "Cancel it",
            "back_url": run.get_absolute_url(),
            "back_label": "Let it run",
            "crumbs": run_crumbs(run, PageLink("Cancel")),
        },
    )


# --- running again


def again(request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup) -> HttpResponse:
    """Runs the same actions at the same commit again, or (`?failed`) those alone that failed; shows first what."""
    only_failed = "failed" in request.GET
    requests = requests_of(request, run)
    actions = failed_actions(requests) if only_failed else {row.backend.slug: row.requested_actions for row in requests}
    key = request.POST.get("submission_key", "") or get_random_string(32)
    problems: dict[str, str] = {}
    if request.method == "POST" and request.person is not None:
        submission = Submission(
            workspace=workspace,
            person=request.person,
            commit=run.commit,
            actions={slug: tuple(names) for slug, names in actions.items()},
            force=frozenset(row.backend.slug for row in requests if row.force_run_dependencies and not only_failed),
            notify=run.notify,
            submission_key=key,
            has_second_factor=has_second_factor(request),
        )
        try:
            return SeeOther(submit(submission, request).get_absolute_url())
        except SubmissionError as error:
            problems = error.problems
        except studies.StudyUnavailable as error:
            problems = {"": str(error)}
    names = {row.backend.slug: row.backend.name for row in requests}
    context = {
        "run": run,
        "crumbs": run_crumbs(run, PageLink("Re-run failed" if only_failed else "Run again")),
        "only_failed": only_failed,
        "actions": [(names[slug], list(listed)) for slug, listed in actions.items() if listed],
        "problems": [f"{names.get(slug, '')}: {text}" if slug in names else text for slug, text in problems.items()],
        "submission_key": key,
        "run_page_url": f"{workspace.get_absolute_url()}run/",
    }
    return render(request, "jobserver/runs/again.html", context, status=422 if problems else 200)


def failed_actions(requests: Sequence[JobRequest]) -> dict[str, list[str]]:
    """Return by backend the actions whose jobs failed or were not started, in the order of jobs; none cancelled."""
    failed: dict[str, list[str]] = {request.backend.slug: [] for request in requests}
    slugs = {request.pk: request.backend.slug for request in requests}
    for job in Job.objects.filter(request__in=requests, status=FAILED).order_by("id"):
        if job.outcome == FAILED:
            failed[slugs[job.request_id]].append(job.action)
    return failed


# --- what changed in the code


def compare(request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup) -> HttpResponse:
    """The code of this run beside that of the run before it, or of the last success, on the same backend."""
    if not sees_code(request, project):
        return forbidden(request, "The code of this study is shown to people of its project.")
    requests = requests_of(request, run)
    chosen = next((row for row in requests if row.backend.slug == request.GET.get("backend")), requests[0])
    since = "success" if request.GET.get("since") == "success" else "previous"
    earlier = earlier_request(chosen, succeeded=since == "success")
    named = request.GET.get("commit", "")[:40]
    backends = visible_backends(request.person, request.rights)
    has_run = named and RunGroup.objects.filter(workspace=workspace, commit=named, requests__backend__in=backends)
    other = named if has_run else (earlier.run.commit if earlier else "")
    problem, code = "", None
    if other and other != run.commit:
        try:
            code = studies.diff(workspace, other, run.commit)
        except (studies.StudyFault, studies.StudyUnavailable) as error:
            problem = str(error)
    context = {
        "run": run,
        "crumbs": run_crumbs(run, PageLink("What changed")),
        "backend": chosen.backend,
        "links": [
            PageLink(
                f"{row.backend.name}: since {words}",
                f"?backend={row.backend.slug}&since={name}",
                current=(row.backend.slug, name) == (chosen.backend.slug, since) and "commit" not in request.GET,
            )
            for row in requests
            for name, words in (("previous", "the previous run"), ("success", "the last success"))
        ],
        "since": since,
        "earlier": earlier,
        "other": other,
        "diff": code,
        "problem": problem,
    }
    return render(request, "jobserver/runs/compare.html", context)


def definition(request: CarrelRequest, *, project: Project, workspace: Workspace, run: RunGroup) -> HttpResponse:
    """project.yaml and backends.yaml as they were when the run was asked for, with the numbers of their lines."""
    requests_of(request, run)
    if not sees_code(request, project):
        return forbidden(request, "The code of this study is shown to people of its project.")
    if run.definition is None:
        raise Http404("This run has no project.yaml on record.")
    context = {
        "run": run,
        "crumbs": run_crumbs(run, PageLink("project.yaml")),
        "files": [
            (name, row.text, list(enumerate(row.text.splitlines(), start=1)), prefix)
            for name, row, prefix in ((PROJECT_FILE, run.definition, "L"), (SIDE_FILE, run.side_file, "B"))
            if row is not None
        ],
    }
    return render(request, "jobserver/runs/definition.html", context)


# --- short addresses


def visible(request: CarrelRequest) -> Q:
    """Return the condition that a request or job is of a backend and a project that this person may know of."""
    backends = visible_backends(request.person, request.rights)
    projects = visible_projects(request.person, request.rights)
    return Q(backend__in=backends, workspace__project__in=projects)


def short_request(request: CarrelRequest, *, pk: int) -> HttpResponse:
    """`/job-requests/<pk>/`, the contract's: the run that the request is part of."""
    row = JobRequest.objects.filter(visible(request), pk=pk).select_related("run__workspace__project").first()
    if row is None:
        raise Http404("There is no such request, or you may not see it.")
    return SeeOther(row.run.get_absolute_url())


def short_job(request: CarrelRequest, *, prefix: str) -> HttpResponse:
    """`/jobs/<identifier>/`, the contract's: any beginning of an identifier that one job alone has."""
    matching = Job.objects.filter(visible(request), begins_with("identifier", prefix))
    jobs = list(matching.select_related("request__run__workspace__project").order_by()[:2])
    if len(jobs) != 1:
        raise Http404("No job's identifier begins so, or several do.")
    return SeeOther(f"{jobs[0].request.run.get_absolute_url()}{jobs[0].identifier}/")


RUN = "<slug:project>/<str:workspace>/<int:run>/"
PROJECT_PAGES = [
    Page(RUN, run_page, "run", EVERYBODY),
    Page(f"{RUN}parts/", run_parts, "run-parts", EVERYBODY),
    Page(f"{RUN}cancel/", cancel, "run-cancel", SIGNED_IN),
    Page(f"{RUN}again/", again, "run-again", permitted(Permission.JOB_RUN)),
    Page(f"{RUN}compare/", compare, "run-compare", SIGNED_IN),
    Page(f"{RUN}definition/", definition, "run-definition", SIGNED_IN),
]
PAGES = [
    Page("job-requests/<int:pk>/", short_request, "short-request", EVERYBODY),
    Page("jobs/<str:prefix>/", short_job, "short-job", EVERYBODY),
]
