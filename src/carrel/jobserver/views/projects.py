"""Projects: the list, one project, its description, its people, a new workspace in it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, F, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.models import Backend, JobRequest, Project, Role, RunGroup, User, Workspace
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import person_named
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.service import people, projects
from carrel.jobserver.service.changes import refuse
from carrel.jobserver.views.latest import latest_requests, visible_runs
from carrel.jobserver.views.posting import SeeOther, form_page, posted
from carrel.pages.frame import PageLink
from carrel.pages.lists import active_filters, page_of

LATEST_RUNS = 8


# --- the list


def project_list(request: CarrelRequest) -> HttpResponse:
    """Your projects first, then all that you may know of; searched by name, number and purpose."""
    query = request.GET.get("q", "").strip()
    shown = with_counts(matching(visible_projects(request.person, request.rights), query))
    mine = list(shown.filter(memberships__user=request.person)) if request.person else []
    others = shown.exclude(pk__in=[project.pk for project in mine])
    context = {
        "mine": mine,
        "page": page_of(request.GET, others),
        "query": query,
        "filters": active_filters(request.GET, {"q": "Search"}),
        "may_create": request.rights.holds(Permission.PROJECT_CREATE),
        "today": timezone.now().date(),
    }
    return render(request, "jobserver/projects/list.html", context)


def matching(rows: QuerySet[Project], query: str) -> QuerySet[Project]:
    """Return the projects whose name, slug, number or purpose has every word of the query."""
    for word in query.split()[:8]:
        in_text = Q(name__icontains=word) | Q(slug__icontains=word) | Q(purpose__icontains=word)
        rows = rows.filter(in_text | Q(number__iexact=word))
    return rows


def with_counts(rows: QuerySet[Project]) -> QuerySet[Project]:
    """Add how many people and workspaces each project has, and when it last ran."""
    workspaces = Workspace.objects.filter(project=OuterRef("pk")).order_by().values("project")
    people_of = Project.members.through.objects.filter(project=OuterRef("pk")).order_by().values("project")
    runs = RunGroup.objects.filter(workspace__project=OuterRef("pk")).order_by().values("workspace__project")
    return rows.annotate(
        workspace_count=Subquery(workspaces.annotate(count=Count("pk")).values("count")),
        people_count=Subquery(people_of.annotate(count=Count("pk")).values("count")),
        last_run_at=Subquery(runs.annotate(at=Max("created_at")).values("at")),
    )


# --- one project


def project_page(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """What it is for, who takes part, where it runs, how its workspaces stand."""
    backends = backends_of(request, project)
    workspaces = list(project.workspaces.order_by(F("archived_at").asc(nulls_first=True), "name"))
    for workspace in workspaces:
        workspace.project = project
    states = latest_requests(workspaces, backends)
    runs = visible_runs(request).filter(workspace__project=project)[: LATEST_RUNS + 1]
    context = {
        "project": project,
        "crumbs": [PageLink("Projects", reverse("projects")), PageLink(project.name)],
        "backends": backends,
        "rows": [
            (workspace, [(backend, states[workspace.pk].get(backend.pk)) for backend in backends])
            for workspace in workspaces
        ],
        "runs": list(runs),
        "people": people_with_roles(request, project),
        "collaborations": project.collaborations.select_related("organisation"),
        "data_permissions": project.data_permissions.all(),
        "may": permissions_in(request, project),
        "today": timezone.now().date(),
    }
    return render(request, "jobserver/projects/project.html", context)


def backends_of(request: CarrelRequest, project: Project) -> list[Backend]:
    """Return the backends that the project may run on or did run on, of those that this person may know of."""
    visible = visible_backends(request.person, request.rights)
    used = JobRequest.objects.filter(workspace__project=project).order_by().values("backend").distinct()
    return list(visible.filter(Q(opt_ins__project=project) | Q(pk__in=used)).distinct())


def people_with_roles(request: CarrelRequest, project: Project) -> list[tuple[User, list[str]]]:
    """Return the members with the titles of their roles here, in two questions; none on a backend that is hidden."""
    roles: dict[int, list[str]] = {}
    visible = visible_backends(request.person, request.rights)
    shown = project.role_assignments.filter(Q(backend=None) | Q(backend__in=visible))
    for assignment in shown.select_related("role", "backend").order_by("role__title"):
        where = f" on {assignment.backend.name}" if assignment.backend else ""
        roles.setdefault(assignment.user_id, []).append(f"{assignment.role.title}{where}")
    members = project.memberships.select_related("user").order_by("user__fullname")
    return [(row.user, roles.get(row.user_id, [])) for row in members]


def permissions_in(request: CarrelRequest, project: Project) -> set[str]:
    """Return what this person may do in the project, for the buttons of its page."""
    return {permission for permission in Permission if request.rights.holds(permission, project_id=project.pk)}


# --- its description


class OwnProjectForm(forms.ModelForm):
    """What those who lead a project say of it."""

    class Meta:
        model = Project
        fields = projects.OWN_FIELDS
        help_texts = {
            "purpose": "In plain words: what is found out, and for whom. The public register shows it.",
            "status_description": "What has come out, or why it waits.",
        }


def edit_project(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """Purpose and status; approval, dates and name are for staff."""

    def submit(values: dict[str, Any]) -> str:
        row = projects.edit_project(project, values, request)
        messages.success(request, "The project was changed.")
        return row.get_absolute_url()

    form = OwnProjectForm(posted(request), instance=Project.objects.get(pk=project.pk))
    return form_page(
        request,
        form,
        submit,
        heading="Describe the project",
        standing="Its name, number, approval and dates are changed by staff.",
        back_url=project.get_absolute_url(),
        crumbs=crumbs(project, "Describe"),
    )


def crumbs(project: Project, label: str) -> list[PageLink]:
    return [
        PageLink("Projects", reverse("projects")),
        PageLink(project.name, project.get_absolute_url()),
        PageLink(label),
    ]


# --- its people


def project_roles() -> QuerySet[Role]:
    """Return the roles that can be given within a project."""
    return Role.objects.exclude(scope=Role.RoleScope.GLOBAL).order_by("title")


class RolesField(forms.ModelMultipleChoiceField):
    """Roles as boxes to tick, each with what it is for."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, queryset: QuerySet[Role], **options: Any) -> None:
        super().__init__(queryset, **{"label": "Roles", "required": False, **options})

    def label_from_instance(self, obj: Role) -> str:
        return f"{obj.title}: {obj.description}" if obj.description else obj.title


class PersonField(forms.CharField):
    """An account, by its username or its e-mail address."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{"max_length": 254, "label": "Person", "help_text": "Username or e-mail address.", **options}
        )

    def clean(self, value: Any) -> User | None:
        """Return the account. Raises ValidationError."""
        text = super().clean(value)
        if not text:
            return None
        user = person_named(text)
        if user is None:
            raise refuse(f"No account has the username or address “{text}”, or two have. Staff can make one.")
        return user


class NewMemberForm(forms.Form):
    """A person who joins a project."""

    person = PersonField()
    roles = RolesField(Role.objects.none())

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.fields["roles"].queryset = project_roles()


class MemberForm(forms.Form):
    """What somebody may do in a project, or that they leave it."""

    roles = RolesField(Role.objects.none())
    without_lead = forms.BooleanField(
        required=False, label="Even if nobody is left who leads the project", help_text="Only staff can help then."
    )

    def __init__(self, *values: Any, **options: Any) -> None:
        super().__init__(*values, **options)
        self.fields["roles"].queryset = project_roles()


def project_people(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """Who takes part, with which roles; a lead adds people here."""

    def submit(values: dict[str, Any]) -> str:
        people.add_member(project, values["person"], values["roles"], request)
        messages.success(request, f"{values['person'].fullname} takes part now.")
        return request.path

    context = {
        "project": project,
        "people": people_with_roles(request, project),
        "backends": list(visible_backends(request.person, request.rights).filter(opt_ins__project=project)),
        "crumbs": crumbs(project, "People"),
    }
    form = NewMemberForm(posted(request))
    return form_page(request, form, submit, template="jobserver/projects/people.html", **context)


def project_member(request: CarrelRequest, *, project: Project, username: User) -> HttpResponse:
    """One member: roles to tick, or leave the project."""
    back_url = reverse("project-people", args=[project.slug])
    if not project.memberships.filter(user=username).exists():
        messages.warning(request, f"{username.fullname} takes no part in this project.")
        return SeeOther(back_url)

    def submit(values: dict[str, Any]) -> str:
        if "remove" in request.POST:
            people.remove_member(project, username, request, without_lead=values["without_lead"])
            messages.success(request, f"{username.fullname} takes no part any more.")
        else:
            people.set_project_roles(project, username, values["roles"], request, without_lead=values["without_lead"])
            messages.success(request, f"The roles of {username.fullname} were changed.")
        return back_url if username != request.person else reverse("projects")

    roles_now = Role.objects.filter(assignments__user=username, assignments__project=project, assignments__backend=None)
    form = MemberForm(posted(request), initial={"roles": roles_now})
    return form_page(
        request,
        form,
        submit,
        template="jobserver/projects/member.html",
        project=project,
        member=username,
        back_url=back_url,
        crumbs=[*crumbs(project, "People")[:-1], PageLink("People", back_url), PageLink(username.fullname)],
    )


# --- a new workspace


class NewWorkspaceForm(forms.Form):
    """One branch of one repository, under a name."""

    name = forms.CharField(
        max_length=100,
        help_text="Lower-case letters, digits, - and _. It is a folder's name at every backend, and never changes.",
    )
    repo_url = forms.CharField(max_length=2000, label="Repository", help_text="Its address, or a path on the server.")
    branch = forms.CharField(max_length=255, initial="main", help_text="Each run takes a commit of this branch.")
    purpose = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=5000, help_text="What this workspace is to find out."
    )


def new_workspace(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """Name, repository, branch, purpose; the branch has to be there."""

    def submit(values: dict[str, Any]) -> str:
        workspace = projects.create_workspace(project, actor=request, **values)
        messages.success(request, f"The workspace {workspace.name} was made.")
        return workspace.get_absolute_url()

    form = NewWorkspaceForm(posted(request))
    return form_page(
        request,
        form,
        submit,
        heading="New workspace",
        standing=f"In {project.name}. Repository and branch cannot be changed afterwards.",
        verb="Create the workspace",
        back_url=project.get_absolute_url(),
        crumbs=crumbs(project, "New workspace"),
    )


PAGES = [Page("projects/", project_list, "projects", EVERYBODY)]
PROJECT_PAGES = [
    Page("<slug:project>/", project_page, "project", EVERYBODY),
    Page("<slug:project>/edit/", edit_project, "project-edit", permitted(Permission.PROJECT_MANAGE)),
    Page("<slug:project>/people/", project_people, "project-people", permitted(Permission.PROJECT_MEMBERS_MANAGE)),
    Page(
        "<slug:project>/people/<str:username>/",
        project_member,
        "project-member",
        permitted(Permission.PROJECT_MEMBERS_MANAGE),
    ),
    Page("<slug:project>/new-workspace/", new_workspace, "new-workspace", permitted(Permission.WORKSPACE_CREATE)),
]
