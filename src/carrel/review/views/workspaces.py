"""Workspaces of this backend: all of them, one's files, its requests, and files taken into a request (R1 to R7)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from carrel.pages.formats import count_text
from carrel.pages.frame import PageLink
from carrel.pages.lists import active_filters, page_of, url_with
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.machine import IN_AUTHORS_HANDS
from carrel.review.models import FileGroup, ReleaseRequest
from carrel.review.queries.file_states import file_states
from carrel.review.rules import Act, ActRefused, FileState, FileType, refusal_of
from carrel.review.service import files, requests
from carrel.review.service.groups import DEFAULT_GROUP
from carrel.review.viewers import Viewer
from carrel.review.views.request_rows import listed
from carrel.review.workspaces import (
    ListedWorkspace,
    WorkspaceOutput,
    WorkspaceUnreadable,
    read_workspace,
    workspace_names,
)

NEW = "new"
FILES_A_PAGE = 100
STATE_WORDS = {
    FileState.UNRELEASED: ("stopped", "not released"),
    FileState.RELEASED: ("succeeded", "released"),
    FileState.UNDER_REVIEW: ("running", "on your request"),
    FileState.UPDATED: ("waiting", "updated since"),
    FileState.WITHDRAWN: ("stopped", "withdrawn"),
    FileState.INVALID: ("failed", "not in the manifest"),
}
"""The chip of each state of a workspace's file: family and word."""
LOG, STUB = ("stopped", "about the workspace"), ("failed", "refused at level 4")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRow:
    """One workspace of the list. `note`: that it is archived, or that its project has ended."""

    name: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSection:
    """Workspaces that belong together: of one project, or of others."""

    title: str
    note: str
    rows: tuple[WorkspaceRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsedFile:
    """One file of a workspace as its row shows it."""

    output: WorkspaceOutput
    folder: str
    name: str
    family: str
    word: str
    state: FileState | None
    can_be_added: bool
    made_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderLink:
    """One folder of the tree beside the files: how many files are anywhere below it."""

    name: str
    depth: int
    url: str
    count: int
    is_current: bool


def all_workspaces(request: ReviewRequest) -> HttpResponse:
    """The workspaces that this person may see, their own by project first."""
    viewer, names = request.viewer, workspace_names()
    mine = [name for name in names if name in viewer.workspaces]
    copiloted = [name for name in names if name in viewer.copiloted and name not in viewer.workspaces]
    sees_all = not refusal_of(Act.VIEW, viewer.situation(""))
    others = [name for name in names if name not in {*mine, *copiloted}] if sees_all else []
    by_project: dict[str, list[str]] = {}
    for name in mine:
        by_project.setdefault(viewer.workspaces[name].project_details.name, []).append(name)
    sections = [
        *(_section(project, "Your project", by_project[project], viewer) for project in sorted(by_project)),
        _section("Copiloted", "You are their copilot", copiloted, viewer),
        _section("Other workspaces", "You see them, and write no requests there", others, viewer),
    ]
    return render(request, "review/workspaces.html", {"sections": [section for section in sections if section.rows]})


def _section(title: str, note: str, names: Iterable[str], viewer: Viewer) -> WorkspaceSection:
    rows = []
    for name in names:
        details = viewer.details(name)
        ended = "" if details is None or details.project_details.ongoing else "project has ended"
        rows.append(WorkspaceRow(name=name, note="archived" if details and details.archived else ended))
    return WorkspaceSection(title=title, note=note, rows=tuple(rows))


def workspace(request: ReviewRequest, workspace: str) -> HttpResponse:
    """The files that a workspace lists, with their states; `?folder=`, `?q=`, `?outdated=hide` narrow them down."""
    viewer, listing = request.viewer, _listing(workspace)
    states = file_states(viewer, listing)
    folder, query = request.GET.get("folder", ""), request.GET.get("q", "").strip()
    are_hidden = request.GET.get("outdated") == "hide"
    shown = [output for output in listing.files.values() if not (are_hidden and output.is_outdated)]
    chosen = [
        output
        for output in shown
        if (not folder or output.path.startswith(f"{folder}/")) and query.lower() in output.path.lower()
    ]
    page = page_of(request.GET, chosen, FILES_A_PAGE)
    own = ReleaseRequest.objects.filter(workspace=workspace, author_id=viewer.username, status__in=IN_AUTHORS_HANDS)
    context = {
        "workspace": listing,
        "details": viewer.details(workspace),
        "page": page,
        "rows": [_browsed(output, states) for output in page.object_list],
        "folders": _folders(shown, folder, request),
        "filters": active_filters(request.GET, {"folder": "Folder", "q": "Name"}),
        "are_hidden": are_hidden,
        "toggle_url": url_with(request.GET, outdated=None if are_hidden else "hide"),
        "total": len(shown),
        "why_not": refusal_of(Act.CREATE_REQUEST, viewer.situation(workspace, author=viewer.username)),
        "own_requests": list(own.order_by("-created_at")[:50]),
        "group_names": sorted(
            set(FileGroup.objects.filter(request__in=own.values("pk")).values_list("name", flat=True)[:100])
        ),
        "new": NEW,
        "links": workspace_links(workspace, "files"),
        "crumbs": [PageLink("Workspaces", reverse("workspaces")), PageLink(workspace)],
    }
    return render(request, "review/workspace.html", context)


def workspace_links(name: str, current: str) -> list[PageLink]:
    """Return the tabs of a workspace's pages."""
    return [
        PageLink("Files", reverse("workspace", args=[name]), current=current == "files"),
        PageLink("Requests", reverse("workspace_requests", args=[name]), current=current == "requests"),
    ]


def _listing(name: str) -> ListedWorkspace:
    try:
        return read_workspace(name)
    except WorkspaceUnreadable as error:
        if name not in workspace_names():
            raise Http404(str(error)) from None
        return ListedWorkspace(name=name, files={}, damaged=(str(error),))


def _browsed(output: WorkspaceOutput, states: dict[str, FileState]) -> BrowsedFile:
    state = states.get(output.path)
    family, word = STATE_WORDS[state] if state else STUB if output.is_stub else LOG
    path = PurePosixPath(output.path)
    return BrowsedFile(
        output=output,
        folder="" if str(path.parent) == "." else f"{path.parent}/",
        name=path.name,
        family=family,
        word=word,
        state=state,
        can_be_added=state in (FileState.UNRELEASED, FileState.RELEASED, FileState.WITHDRAWN),
        made_at=datetime.fromtimestamp(output.record.timestamp, UTC) if output.record else None,
    )


def _folders(shown: Iterable[WorkspaceOutput], current: str, request: ReviewRequest) -> list[FolderLink]:
    """Return every folder with files below it, in order, for the tree beside them."""
    counts = Counter(
        str(parent) for output in shown for parent in PurePosixPath(output.path).parents if str(parent) != "."
    )
    return [
        FolderLink(
            name=PurePosixPath(folder).name,
            depth=min(folder.count("/"), 5),
            url=url_with(request.GET, folder=folder),
            count=counts[folder],
            is_current=folder == current,
        )
        for folder in sorted(counts)[:1000]
    ]


def workspace_requests(request: ReviewRequest, workspace: str) -> HttpResponse:
    """All requests of a workspace, newest first."""
    page = page_of(request.GET, ReleaseRequest.objects.filter(workspace=workspace).select_related("author"))
    context = {
        "workspace": workspace,
        "page": page,
        "rows": listed(list(page.object_list)),
        "links": workspace_links(workspace, "requests"),
        "crumbs": [PageLink("Workspaces", reverse("workspaces")), PageLink(workspace)],
    }
    return render(request, "review/workspace_requests.html", context)


class AddFilesForm(forms.Form):
    """Which files go where. `path` may stand many times."""

    to = forms.CharField(max_length=40)
    title = forms.CharField(max_length=200, required=False)
    group = forms.CharField(max_length=200, required=False)
    file_type = forms.ChoiceField(choices=[(kind.value, "") for kind in (FileType.OUTPUT, FileType.SUPPORTING)])


@require_POST
def add_files(request: ReviewRequest, workspace: str) -> HttpResponse:
    """Put the ticked files on a request of one's own, or on a new one; says of each file that could not be why."""
    form, paths = AddFilesForm(request.POST), request.POST.getlist("path")
    if not form.is_valid() or not paths:
        messages.error(request, "Tick at least one file, and choose a request for it.")
        return redirect("workspace", workspace)
    chosen = form.cleaned_data
    try:
        if chosen["to"] == NEW:
            target = requests.create(request.viewer, workspace, title=chosen["title"])
        else:
            target = ReleaseRequest.objects.get(pk=chosen["to"], workspace=workspace, author_id=request.viewer.username)
        added, refused = files.add_all(
            request.viewer,
            target,
            paths,
            group=chosen["group"] or DEFAULT_GROUP,
            file_type=FileType(chosen["file_type"]),
        )
    except ReleaseRequest.DoesNotExist:
        raise Http404("There is no such request of yours.") from None
    except ActRefused as error:
        messages.error(request, str(error))
        return redirect("workspace", workspace)
    if added:
        messages.success(request, f"Added {count_text(len(added), 'file')}.")
    for path, reason in list(refused.items())[:20]:
        messages.warning(request, f"{path}: {reason}")
    if len(refused) > 20:
        messages.warning(request, f"{len(refused) - 20} more files could not be added, for like reasons.")
    return redirect("release_request", target.pk)


PAGES = [
    ReviewPage("workspaces/", all_workspaces, "workspaces", ReviewAccess.SIGNED_IN),
    ReviewPage("workspaces/<str:workspace>/", workspace, "workspace", ReviewAccess.VIEWERS),
    ReviewPage("workspaces/<str:workspace>/requests/", workspace_requests, "workspace_requests", ReviewAccess.VIEWERS),
    ReviewPage("workspaces/<str:workspace>/add/", add_files, "workspace_add", ReviewAccess.VIEWERS),
]
