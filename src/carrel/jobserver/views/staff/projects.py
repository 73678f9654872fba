"""Projects, as staff see them: approval, dates, organisations, backends, data, people, closing."""

from typing import Any

from django import forms
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.models import DataPermission, Organisation, Project, User
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service import people, projects
from carrel.jobserver.service.changes import refuse
from carrel.jobserver.views.posting import DayInput, posted
from carrel.jobserver.views.projects import PersonField, RolesField, matching, people_with_roles, project_roles
from carrel.jobserver.views.staff.actions import PageAction, status_of, take_action
from carrel.jobserver.views.staff.lists import StaffCell, StaffList, list_page, staff_crumbs, staff_form
from carrel.pages.frame import PageLink
from carrel.pages.templatetags.pages import day

PROJECTS = StaffList(
    title="Projects",
    url_name="staff-projects",
    noun="project",
    columns=("Project", "Approval", "Ends", "State"),
    cells=lambda project: (
        StaffCell(str(project), reverse("staff-project", args=[project.slug]), f"/{project.slug}/"),
        StaffCell(project.approval_reference or "not noted"),
        StaffCell(day(project.ends_on) if project.ends_on else "no date"),
        StaffCell(state_words(project)),
    ),
    standing="All projects, those that end first first.",
    nothing="Make the first one: it needs a name and an address; people and backends come after.",
    new_url_name="staff-project-new",
    new_label="New project",
)


def state_words(project: Project) -> str:
    """Say how a project stands, as the public list does."""
    if project.is_archived:
        return "Closed"
    is_over = project.ends_on is not None and project.ends_on < timezone.now().date()
    return "Ended" if is_over else project.get_status_display()


class ProjectForm(forms.ModelForm):
    """All that staff say of a project."""

    copilot = PersonField(required=False, label="Co-pilot", help_text="Username of the staff member who helps it.")

    class Meta:
        model = Project
        fields = (
            "name",
            "slug",
            "number",
            "purpose",
            "approval_reference",
            "starts_on",
            "ends_on",
            "status",
            "status_description",
            "is_listed",
            "copilot",
        )
        labels = {
            "slug": "Address",
            "starts_on": "Begins on",
            "ends_on": "Ends on",
            "is_listed": "In the public register",
        }
        help_texts = {
            "slug": "The first part of its pages' addresses. A new one leaves a redirect at the old one for a year.",
            "number": "Digits, or POS-20YY-NNNN.",
            "approval_reference": "Of the body that approved it.",
            "ends_on": "The last day on which something new may run. People are reminded 30, 7 and 1 days before.",
            "is_listed": "Otherwise only its people and staff see that it exists.",
        }
        widgets = {"starts_on": DayInput, "ends_on": DayInput}

    def clean_number(self) -> str | None:
        """No number is none, not an empty one: numbers differ."""
        return self.cleaned_data["number"] or None


def project_list(request: CarrelRequest) -> HttpResponse:
    rows = Project.objects.order_by(F("archived_at").asc(nulls_first=True), F("ends_on").asc(nulls_last=True), "name")
    return list_page(request, matching(rows, request.GET.get("q", "")), PROJECTS)


def project_new(request: CarrelRequest) -> HttpResponse:
    """A name, an address, an approval."""
    return staff_form(
        request,
        ProjectForm(posted(request), initial={"is_listed": True}),
        lambda values: projects.create_project(values, request),
        heading="New project",
        back=PageLink("Projects", reverse("staff-projects")),
        done="The project was made. Say who takes part, and where it may run.",
        go_to=lambda project: reverse("staff-project", args=[project.slug]),
    )


def project_edit(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """Change anything of it."""
    row = Project.objects.get(pk=project.pk)
    copilot = row.copilot.username if row.copilot else ""
    return staff_form(
        request,
        ProjectForm(posted(request), instance=row, initial={"copilot": copilot}),
        lambda values: projects.edit_project(project, values, request),
        heading=f"Change {project.name}",
        back=PageLink(project.name, reverse("staff-project", args=[project.slug])),
        done="The project was changed.",
        go_to=lambda changed: reverse("staff-project", args=[changed.slug]),
    )


# --- one project


class OrganisationsOfProject(forms.Form):
    """Who takes part, and who leads."""

    organisations = forms.ModelMultipleChoiceField(
        Organisation.objects.all(), widget=forms.CheckboxSelectMultiple, required=False
    )
    lead = forms.ModelChoiceField(Organisation.objects.all(), required=False, empty_label="none leads")


class DataForm(forms.Form):
    """Data beyond the standard."""

    kind = forms.ChoiceField(choices=DataPermission.DataKind.choices)
    name = forms.CharField(max_length=100, help_text="As the controller knows it (icnarc, include_t1oo).")


class WithdrawForm(forms.Form):
    permission = forms.ModelChoiceField(DataPermission.objects.select_related("project"))


class MemberRolesForm(forms.Form):
    """A person and the roles to give in the project."""

    person = PersonField()
    roles = RolesField(project_roles())


class CloseForm(forms.Form):
    reason = forms.CharField(max_length=1000, required=False, help_text="The audit log keeps it.")


def need(request: CarrelRequest, permission: Permission) -> None:
    """Raise ValidationError unless the person has this permission everywhere: parts of the page are for some staff."""
    if why := request.rights.why_not(permission):
        raise refuse(why)


def set_organisations(request: CarrelRequest, project: Project, values: dict[str, Any]) -> str:
    need(request, Permission.PROJECT_CREATE)
    projects.set_organisations(project, list(values["organisations"]), values["lead"], request)
    return "The organisations were changed."


def grant(request: CarrelRequest, project: Project, values: dict[str, Any]) -> str:
    need(request, Permission.PROJECT_CREATE)
    projects.grant_data(project, values["kind"], values["name"], request)
    return f"The project may use {values['name']} from its next request on."


def withdraw(request: CarrelRequest, project: Project, values: dict[str, Any]) -> str:
    """Take a permission of this project's back."""
    need(request, Permission.PROJECT_CREATE)
    if values["permission"].project_id != project.pk:
        raise refuse("This is another project's.")
    projects.withdraw_data(values["permission"], request)
    return "The permission was taken back."


def add_person(request: CarrelRequest, project: Project, values: dict[str, Any]) -> str:
    need(request, Permission.USER_EDIT_PROJECT_ROLES)
    people.add_member(project, values["person"], values["roles"], request)
    return f"{values['person'].fullname} takes part now."


def remove_person(request: CarrelRequest, project: Project, values: dict[str, Any]) -> str:
    need(request, Permission.USER_EDIT_PROJECT_ROLES)
    user: User = values["person"]
    people.remove_member(project, user, request, without_lead=True)
    return f"{user.fullname} takes no part any more."


def close(request: CarrelRequest, project: Project, values: dict[str, Any]) -> str:
    """Close it, or open it again."""
    need(request, Permission.PROJECT_CREATE)
    projects.set_archived(project, not project.is_archived, request, values["reason"])
    return "The project is open again." if project.is_archived else "The project is closed: all in it is read-only."


def organisations_now(project: Project) -> dict[str, Any]:
    rows = list(project.collaborations.select_related("organisation"))
    lead = next((row.organisation for row in rows if row.is_lead), None)
    return {"organisations": [row.organisation for row in rows], "lead": lead}


class RemovePersonForm(forms.Form):
    person = PersonField()


ACTIONS = {
    "organisations": PageAction(set_organisations, OrganisationsOfProject, organisations_now),
    "grant": PageAction(grant, DataForm),
    "withdraw": PageAction(withdraw, WithdrawForm),
    "person": PageAction(add_person, MemberRolesForm),
    "leave": PageAction(remove_person, RemovePersonForm),
    "close": PageAction(close, CloseForm),
}


def staff_project(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """All that staff change of a project, on one page."""
    shown, response = take_action(request, project, ACTIONS)
    if response is not None:
        return response
    context = {
        "project": project,
        "forms": shown,
        "people": people_with_roles(request, project),
        "opt_ins": project.opt_ins.select_related("backend", "created_by").order_by("backend__position"),
        "permissions": project.data_permissions.select_related("created_by"),
        "may_change": request.rights.holds(Permission.PROJECT_CREATE),
        "may_add": request.rights.holds(Permission.USER_EDIT_PROJECT_ROLES),
        "today": timezone.now().date(),
        "crumbs": staff_crumbs(PageLink("Projects", reverse("staff-projects")), PageLink(project.name)),
    }
    return render(request, "jobserver/staff/project.html", context, status=status_of(shown))


MAY_SEE, MAY_CHANGE = permitted(Permission.STAFF_AREA_ACCESS), permitted(Permission.PROJECT_CREATE)
PAGES = [
    Page("staff/projects/", project_list, "staff-projects", MAY_SEE),
    Page("staff/projects/new/", project_new, "staff-project-new", MAY_CHANGE),
    Page("staff/projects/<slug:project>/", staff_project, "staff-project", MAY_SEE),
    Page("staff/projects/<slug:project>/edit/", project_edit, "staff-project-edit", MAY_CHANGE),
]
