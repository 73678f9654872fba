"""Scheduled runs of a workspace: when, what on which backend, what became of them last."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from carrel.jobserver import settings, studies
from carrel.jobserver.accounts import has_second_factor
from carrel.jobserver.models import Backend, Project, Schedule, User, Workspace
from carrel.jobserver.models.projects import NotifyWhen
from carrel.jobserver.queries.refusals import refusals_of
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.runs.cron import MAX_CRON, CronRefused, check_cron, cron_words, times_after
from carrel.jobserver.service import schedules
from carrel.jobserver.views.posting import SeeOther, form_page, posted
from carrel.jobserver.views.workspace import links_of
from carrel.pages.frame import PageLink
from carrel.project import ProjectValidationError
from carrel.project.constants import RUN_ALL_COMMAND

NEXT_TIMES = 5
MAX_LISTED_ACTIONS = 500
EXAMPLES = (
    ("0 2 * * *", "every night at 02:00"),
    ("0 6 * * 1", "every Monday at 06:00"),
    ("30 5 1 * *", "on the first of each month at 05:30"),
)


class ScheduleForm(forms.Form):
    """When, what, and whom to tell. Actions are boxes beside it, by backend."""

    cron = forms.CharField(
        label="When (UTC)",
        max_length=MAX_CRON,
        help_text=format_html(
            "Minute, hour, day of the month, month, day of the week: {}.",
            format_html_join("; ", '<code class="whole">{}</code> is {}', EXAMPLES),
        ),
    )
    force_run_dependencies = forms.BooleanField(
        label="Run again what the actions need, even if it succeeded", required=False
    )
    notify = forms.ChoiceField(label="Tell me", choices=NotifyWhen, widget=forms.RadioSelect)


def schedule_list(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """What is scheduled, its next times, and what became of it last."""
    now = timezone.now()
    visible = {backend.slug: backend.name for backend in visible_backends(request.person, request.rights)}
    rows = []
    for schedule in workspace.schedules.select_related("created_by"):
        actions = [(visible[slug], names) for slug, names in schedule.actions.items() if slug in visible]
        if actions:
            times = times_after(schedule.cron, now, NEXT_TIMES) if schedule.is_active else []
            rows.append((schedule, cron_words(schedule.cron, now), actions, times))
    context = {
        "workspace": workspace,
        "crumbs": _crumbs(workspace),
        "links": links_of(request, workspace),
        "rows": rows,
        "may_manage": request.rights.holds(Permission.SCHEDULE_MANAGE, project_id=project.pk),
        "url": reverse("schedules", args=[project.slug, workspace.name]),
    }
    return render(request, "jobserver/runs/schedules.html", context)


def new_schedule(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Sets one up. `preview` shows its next times and stores nothing."""
    person = request.person
    if person is None:
        raise Http404("Only somebody who is signed in schedules runs.")
    columns, problem = _columns(request, workspace, person)
    chosen = {backend.slug: request.POST.getlist(f"actions-{backend.slug}") for backend, _, _ in columns}
    form = ScheduleForm(posted(request), initial={"notify": workspace.notify, "cron": EXAMPLES[1][0]})
    here = reverse("schedules", args=[project.slug, workspace.name])
    preview: dict[str, Any] = {}
    if "preview" in request.POST and form.is_valid():
        preview = _preview(form)

    def submit(data: dict[str, Any]) -> str:
        schedules.create_schedule(
            workspace=workspace,
            person=person,
            cron=data["cron"],
            actions=chosen,
            force_run_dependencies=data["force_run_dependencies"],
            notify=data["notify"],
            has_second_factor=has_second_factor(request),
            actor=request,
        )
        messages.success(request, "It is scheduled, and runs as you.")
        return here

    context = {
        "workspace": workspace,
        "crumbs": [*_crumbs(workspace, here), PageLink("New")],
        "columns": columns,
        "chosen": chosen,
        "problem": problem,
        "actions": list(dict.fromkeys(name for _, names, _ in columns for name in names)),
        **preview,
    }
    if preview:
        return render(request, "jobserver/runs/schedule_form.html", {"form": form, **context})
    return form_page(request, form, submit, template="jobserver/runs/schedule_form.html", **context)


def toggle(request: CarrelRequest, *, project: Project, workspace: Workspace, pk: int) -> HttpResponse:
    """Pause it, or let it go on."""
    schedule = _schedule(workspace, pk)
    if request.method == "POST":
        schedules.set_active(schedule, not schedule.is_active, request)
        messages.success(request, "It is paused." if schedule.is_active else "It goes on with its next time.")
    return SeeOther(reverse("schedules", args=[project.slug, workspace.name]))


def remove(request: CarrelRequest, *, project: Project, workspace: Workspace, pk: int) -> HttpResponse:
    """Asks first; then it is gone, and its runs stay."""
    schedule = _schedule(workspace, pk)
    here = reverse("schedules", args=[project.slug, workspace.name])
    if request.method == "POST":
        schedules.remove_schedule(schedule, request)
        messages.success(request, "The schedule was removed. Its runs stay.")
        return SeeOther(here)
    context = {
        "question": "Remove this schedule?",
        "consequence": f"{workspace.name} runs no more “{cron_words(schedule.cron, timezone.now())}”. Its runs stay.",
        "verb": "Remove it",
        "back_url": here,
        "crumbs": [*_crumbs(workspace, here), PageLink("Remove")],
    }
    return render(request, "pages/confirm.html", context)


def _columns(
    request: CarrelRequest, workspace: Workspace, person: User
) -> tuple[list[tuple[Backend, list[str], str]], str]:
    """Return backends with the actions that may be ticked and why none may; and why the study cannot be read now."""
    backends = list(visible_backends(request.person, request.rights).filter(opt_ins__project=workspace.project))
    refusals = refusals_of(workspace, person, request.rights, backends, has_second_factor=has_second_factor(request))
    head = studies.branch_head(workspace)
    columns, problem = [], head.problem
    for backend in backends:
        names = [RUN_ALL_COMMAND]
        refusal = refusals[backend.slug].reason if backend.slug in refusals else ""
        if head.commit and not refusal:
            try:
                code = studies.study_at(workspace, head.commit)
                names_of_backends = studies.backend_names(workspace, backends)
                pipeline = studies.pipeline_on(code, names_of_backends, settings.get().default_backend, backend.slug)
                names += pipeline.all_actions[:MAX_LISTED_ACTIONS]
            except ProjectValidationError as error:
                refusal = str(error).splitlines()[-1]
            except (studies.StudyFault, studies.StudyUnavailable) as error:
                problem = str(error)
        columns.append((backend, [] if refusal else names, refusal))
    return columns, problem


def _preview(form: ScheduleForm) -> dict[str, Any]:
    cron, now = " ".join(form.cleaned_data["cron"].split()), timezone.now()
    try:
        check_cron(cron, now)
    except CronRefused as error:
        form.add_error("cron", str(error))
        return {}
    return {"words": cron_words(cron, now), "times": times_after(cron, now, NEXT_TIMES)}


def _crumbs(workspace: Workspace, url: str = "") -> list[PageLink]:
    return [
        PageLink(workspace.project.name, f"/{workspace.project.slug}/"),
        PageLink(workspace.name, workspace.get_absolute_url()),
        PageLink("Schedules", url),
    ]


def _schedule(workspace: Workspace, pk: int) -> Schedule:
    schedule = workspace.schedules.filter(pk=pk).first()
    if schedule is None:
        raise Http404("There is no such schedule.")
    schedule.workspace = workspace
    return schedule


BASE = "<slug:project>/<str:workspace>/schedules/"
MANAGERS = permitted(Permission.SCHEDULE_MANAGE)
PROJECT_PAGES = [
    Page(BASE, schedule_list, "schedules", EVERYBODY),
    Page(f"{BASE}new/", new_schedule, "schedule-new", MANAGERS),
    Page(f"{BASE}<int:pk>/toggle/", toggle, "schedule-toggle", MANAGERS),
    Page(f"{BASE}<int:pk>/remove/", remove, "schedule-remove", MANAGERS),
]
