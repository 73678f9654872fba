"""What each URL needs, as data, and the guard that stands before every view.

Every room of `views` lists its pages as `Page` values; `urls.py` puts them together, so that one table says who may
open what (`docs/reference/job-server-rights.md` is made from it, and a test tries every URL with every role).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from carrel.jobserver.checks import remember_session
from carrel.jobserver.models import Backend, Job, JobRequest, Project, RunGroup, User, Workspace
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.rights.visibility import visible_backends, visible_persons, visible_projects
from carrel.jobserver.service.audit import record
from carrel.pages.errors import bad_request, error_page

View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class PageAccess:
    """What somebody needs to open a page.

    `permission` is asked for in the project of the URL, if it names one, and everywhere otherwise. `anywhere`: it is
    enough to have it in some project. Without a permission: `signed_in` people only, or everybody.
    """

    signed_in: bool = True
    permission: Permission | None = None
    anywhere: bool = False

    def words(self) -> str:
        """Return this as the table in the docs has it."""
        if self.permission is not None:
            return f"`{self.permission}`{' in any project' if self.anywhere else ''}"
        return "signed in" if self.signed_in else "everybody"


EVERYBODY = PageAccess(signed_in=False)
SIGNED_IN = PageAccess()


def permitted(permission: Permission, *, anywhere: bool = False) -> PageAccess:
    """Return the access of those who have this permission."""
    return PageAccess(permission=permission, anywhere=anywhere)


@dataclass(frozen=True, slots=True)
class Page:
    """One URL: its path as Django writes it, the view, the name to link to it by, and what it needs.

    Parts of the path that are named `project`, `workspace`, `run`, `rap_id`, `job`, `backend` or `username` reach the
    view as the rows they name: those that the person may not know of are "not found" before the view is called.
    """

    path: str
    view: View
    name: str
    access: PageAccess

    def url_pattern(self) -> URLPattern:
        return path(self.path, guarded(self), name=self.name)


class CarrelRequest(HttpRequest):
    """A request as views get it: with the person (None for a stranger) and their rights."""

    person: User | None
    rights: Rights


def identify(request: HttpRequest) -> CarrelRequest:
    """Put the person and their rights on the request, once."""
    carrel_request = cast(CarrelRequest, request)
    if not hasattr(carrel_request, "rights"):
        user = request.user
        carrel_request.person = user if isinstance(user, User) and user.is_authenticated else None
        carrel_request.rights = rights_of(carrel_request.person)
        if carrel_request.person is not None and request.session.session_key:
            remember_session(request.session.session_key)
    return carrel_request


def guarded(page: Page) -> View:
    """Return the page's view behind its guard."""

    @wraps(page.view)
    def view(request: HttpRequest, **parts: Any) -> HttpResponse:
        if not is_readable(request, parts):
            return bad_request(request)
        carrel_request = identify(request)
        if page.access.signed_in and carrel_request.person is None:
            return redirect(f"{reverse('account_login')}?{urlencode({'next': request.get_full_path()})}")
        rows = rows_of(carrel_request, parts)
        refusal = refusal_of(page.access, carrel_request.rights, rows.get("project"), rows.get("backend"))
        if refusal:
            return forbidden(carrel_request, refusal, page.access.permission)
        return page.view(carrel_request, **rows)

    return view


def is_readable(request: HttpRequest, parts: dict[str, Any]) -> bool:
    """Tell whether the address holds only text that a database can look for: PostgreSQL has no NUL in any."""
    texts = [*parts.values(), *(text for name, values in request.GET.lists() for text in (name, *values))]
    return not any("\0" in str(text) for text in texts)


def refusal_of(access: PageAccess, rights: Rights, project: Project | None, backend: Backend | None = None) -> str:
    """Say why the page may not be opened, in a sentence; empty when it may."""
    if access.permission is None or (access.anywhere and rights.holds_anywhere(access.permission)):
        return ""
    return rights.why_not(
        access.permission,
        project_id=project.pk if project else None,
        backend_id=backend.pk if backend else None,
    )


def forbidden(request: CarrelRequest, why: str, permission: Permission | None = None) -> HttpResponse:
    """403: says which right is missing and who can grant it; written to the security log."""
    record(
        request,
        "access.refused",
        category=SECURITY,
        subject_type="page",
        subject=request.path[:300],
        new={"permission": permission or ""},
    )
    who = "Those who lead the project, or staff, can grant it." if permission else ""
    return error_page(request, 403, "You may not do this", why, who)


def rows_of(request: CarrelRequest, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the rows that the parts of a path name, each within the one before it. Raises Http404."""
    rows = dict(parts)
    if "project" in parts:
        rows["project"] = _only(visible_projects(request.person, request.rights), slug=parts["project"])
    if "backend" in parts:
        rows["backend"] = _only(visible_backends(request.person, request.rights), slug=parts["backend"])
    if "workspace" in parts:
        workspaces = Workspace.objects.filter(project=rows["project"]).select_related("project")
        rows["workspace"] = _only(workspaces, name=parts["workspace"])
    if "run" in parts:
        runs = RunGroup.objects.filter(workspace=rows["workspace"])
        runs = runs.select_related("created_by", "definition", "side_file")
        rows["run"] = _only(runs, pk=parts["run"])
    if "rap_id" in parts:
        requests = JobRequest.objects.filter(run=rows["run"]).select_related("backend")
        backends = visible_backends(request.person, request.rights)
        rows["rap_id"] = _only(requests.filter(backend__in=backends), identifier=parts["rap_id"])
    if "job" in parts:
        jobs = Job.objects.filter(request__run=rows["run"]).select_related("backend", "request")
        backends = visible_backends(request.person, request.rights)
        rows["job"] = _only(jobs.filter(backend__in=backends), identifier=parts["job"])
    if "username" in parts:
        rows["username"] = _only(visible_persons(request.person, request.rights), username=parts["username"])
    return rows


def _only(rows: Any, **by: Any) -> Any:
    row = rows.filter(**by).first()
    if row is None:
        raise Http404(f"There is no such {rows.model._meta.verbose_name}, or you may not see it.")
    return row
