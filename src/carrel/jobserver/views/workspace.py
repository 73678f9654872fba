"""A workspace: how each action stands on each backend, its latest runs, its settings."""

import re
from collections import Counter
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from carrel.jobserver import studies
from carrel.jobserver.models import Project, Workspace
from carrel.jobserver.models.projects import NotifyWhen
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.run_options import RunChoices, run_options
from carrel.jobserver.runs.derivation import CANCELLED
from carrel.jobserver.service import projects
from carrel.jobserver.studies import StudyFault, StudyUnavailable
from carrel.jobserver.views.latest import visible_runs
from carrel.jobserver.views.matrix_cells import state_rows
from carrel.jobserver.views.posting import SeeOther, form_page, posted
from carrel.pages import live
from carrel.pages.frame import PageLink
from carrel.pages.lists import PAGE_PARAMETER, page_of
from carrel.project import ProjectValidationError

LATEST_RUNS = 8
LOOK_SECONDS = 0.5
"""How long this page waits to hear where the branch is now: it has what was known last."""
CLOCK_SECONDS = 60
"""After which a page that is live is drawn again: times grow old."""


def workspace_page(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Show the workspace at the head of its branch."""
    head = studies.branch_head(workspace, LOOK_SECONDS)
    choices, problem = choices_at(request, workspace, head.commit)
    shown = {"commit": head.commit, PAGE_PARAMETER: request.GET.get(PAGE_PARAMETER, "1")}
    context = {
        **parts_of(request, workspace, choices),
        "workspace": workspace,
        "project": project,
        "crumbs": [PageLink(project.name, project.get_absolute_url()), PageLink(workspace.name)],
        "problem": problem or (head.problem if not head.commit else ""),
        "warning": head.problem if head.commit else "",
        "choices": choices,
        "supported": [column.name for column in choices.columns if column.pipeline] if choices else [],
        "parts_url": f"{workspace.get_absolute_url()}parts/?{urlencode(shown)}",
        "links": links_of(request, workspace),
        "may_run": may_run(request, workspace),
        "may": {name for name in Permission if request.rights.holds(name, project_id=project.pk)},
    }
    return render(request, "jobserver/workspace/page.html", context)


def workspace_parts(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """What changes on the page while jobs run, at the commit that it shows; asks no repository."""
    commit = request.GET.get("commit", "")
    can_be_shown = re.fullmatch(r"[0-9a-f]{40}", commit) and studies.is_here(workspace, commit)
    choices, _ = choices_at(request, workspace, commit if can_be_shown else "")
    runs = list(visible_runs(request).filter(workspace=workspace).values_list("pk", flat=True)[:1])
    states = choices.states.items() if choices else ()
    shown = sorted((cell, state.identifier, state.status_code, state.status_message) for cell, state in states)
    minute = int(timezone.now().timestamp()) // CLOCK_SECONDS
    etag = live.etag_of(
        workspace.pk, request.person and request.person.pk, request.GET.urlencode(), runs, shown, minute
    )
    if live.is_current(request, etag):
        return live.unchanged(etag)
    context = {**parts_of(request, workspace, choices), "workspace": workspace, "project": project, "live": True}
    html = render_to_string("jobserver/workspace/parts.html", context, request)
    return live.live_response(html, etag, final=context["is_final"])


def choices_at(request: CarrelRequest, workspace: Workspace, commit: str) -> tuple[RunChoices | None, str]:
    """Return what the study has at a commit, and how it stands; or why that cannot be told."""
    if not commit:
        return None, ""
    try:
        return run_options(workspace, commit, request.person, request.rights, is_to_run=False), ""
    except (StudyFault, StudyUnavailable, ProjectValidationError) as error:
        return None, str(error)


def parts_of(request: CarrelRequest, workspace: Workspace, choices: RunChoices | None) -> dict[str, Any]:
    """Return what changes while jobs run: the matrix, a sentence on how it stands, the latest runs."""
    states = choices.states.values() if choices else ()
    counts = Counter(row.outcome for row in states)
    words = {
        "running": "running",
        "pending": "waiting",
        "failed": "failed",
        CANCELLED: "cancelled",
        "succeeded": "succeeded",
    }
    rows: SafeString | None = None
    page = page_of(request.GET, choices.pipeline.all_actions if choices else ())
    if choices and choices.columns:
        rows = state_rows(choices.rows(page.object_list), timezone.now(), workspace.get_absolute_url())
    return {
        "page": page,
        "columns": choices.columns if choices else (),
        "body": rows,
        "standing": ", ".join(f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome]),
        "is_final": not counts["running"] and not counts["pending"],
        "runs": list(visible_runs(request).filter(workspace=workspace)[:LATEST_RUNS]),
    }


def may_run(request: CarrelRequest, workspace: Workspace) -> bool:
    """Whether there is any point in showing the way to the run page."""
    is_closed = workspace.is_archived or workspace.project.archived_at is not None
    return not is_closed and any(
        request.rights.holds(Permission.JOB_RUN, project_id=workspace.project_id, backend_id=grant.backend_id)
        for grant in request.rights.grants
    )


def links_of(request: CarrelRequest, workspace: Workspace) -> list[PageLink]:
    """Return the pages of a workspace that the person may open, as tabs."""
    here = [workspace.project.slug, workspace.name]
    names = [("Runs", "workspace-log"), ("Releases", "releases"), ("Schedules", "schedules")]
    if request.rights.holds(Permission.RELEASE_FILE_VIEW, project_id=workspace.project_id):
        names.insert(1, ("Outputs", "outputs"))
    if request.rights.holds(Permission.WORKSPACE_CREATE, project_id=workspace.project_id):
        names.append(("Settings", "workspace-edit"))
    urls = [("Actions", workspace.get_absolute_url())] + [(label, reverse(name, args=here)) for label, name in names]
    return [PageLink(label, url, current=url == request.path) for label, url in urls]


# --- settings


class WorkspaceForm(forms.Form):
    """What may change of a workspace; its repository and branch never do."""

    purpose = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=5000, help_text="What this workspace is to find out."
    )
    notify = forms.ChoiceField(
        choices=NotifyWhen.choices,
        widget=forms.RadioSelect,
        label="Tell the person who asked for a run",
        help_text="What the run page suggests; each run may choose otherwise.",
    )


def edit_workspace(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Its purpose, and when people are told."""

    def submit(values: dict[str, Any]) -> str:
        if projects.edit_workspace(workspace, values, request):
            messages.success(request, "The workspace was changed.")
        return workspace.get_absolute_url()

    form = WorkspaceForm(posted(request), initial={"purpose": workspace.purpose, "notify": workspace.notify})
    return form_page(
        request,
        form,
        submit,
        template="jobserver/workspace/settings.html",
        heading="Settings",
        standing=f"Of {workspace.name}. Its repository and branch never change.",
        verb="Save",
        workspace=workspace,
        links=links_of(request, workspace),
        may_archive=request.rights.holds(Permission.WORKSPACE_ARCHIVE, project_id=project.pk),
        back_url=workspace.get_absolute_url(),
        crumbs=crumbs_below(workspace, "Settings"),
    )


def toggle_archive(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Ask, then archive the workspace, or take it up again."""
    archived = workspace.is_archived
    if request.method == "POST":
        try:
            projects.set_workspace_archived(workspace, not archived, request)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            word = "taken up again" if archived else "archived"
            messages.success(request, f"The workspace was {word}.")
        return SeeOther(workspace.get_absolute_url())
    consequence = (
        "Runs can be asked for again." if archived else "Nothing new runs in it. What ran, and what it made, stays."
    )
    context = {
        "question": f"{'Take up' if archived else 'Archive'} {workspace.name}{' again' if archived else ''}?",
        "consequence": consequence,
        "verb": "Take it up again" if archived else "Archive it",
        "back_url": workspace.get_absolute_url(),
        "crumbs": crumbs_below(workspace, "Archive"),
    }
    return render(request, "pages/confirm.html", context)


def toggle_notifications(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Tell people when runs end, or never: the contract's switch."""
    if request.method != "POST":
        raise Http404("This address takes a form.")
    notify = NotifyWhen(NotifyWhen.END if workspace.notify == NotifyWhen.NEVER else NotifyWhen.NEVER)
    try:
        projects.edit_workspace(workspace, {"notify": notify}, request)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"People are now told {notify.label}.")
    return SeeOther(workspace.get_absolute_url())


def crumbs_below(workspace: Workspace, label: str) -> list[PageLink]:
    return [
        PageLink(workspace.project.name, workspace.project.get_absolute_url()),
        PageLink(workspace.name, workspace.get_absolute_url()),
        PageLink(label),
    ]


_HERE = "<slug:project>/<str:workspace>/"
PROJECT_PAGES = [
    Page(_HERE, workspace_page, "workspace", EVERYBODY),
    Page(f"{_HERE}parts/", workspace_parts, "workspace-parts", EVERYBODY),
    Page(f"{_HERE}edit/", edit_workspace, "workspace-edit", permitted(Permission.WORKSPACE_CREATE)),
    Page(f"{_HERE}archive-toggle/", toggle_archive, "workspace-archive", permitted(Permission.WORKSPACE_ARCHIVE)),
    Page(
        f"{_HERE}notifications-toggle/",
        toggle_notifications,
        "workspace-notifications",
        permitted(Permission.WORKSPACE_TOGGLE_NOTIFICATIONS),
    ),
]
