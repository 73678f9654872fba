"""Roles as data: what each permits and requires; trainings and agreements."""

from typing import Any

from django import forms
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.urls import reverse

from carrel.jobserver.models import Requirement, Role
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import WORDS, Permission
from carrel.jobserver.service import people
from carrel.jobserver.views.posting import posted
from carrel.jobserver.views.staff.lists import StaffCell, StaffList, list_page, staff_form
from carrel.pages.formats import count_text
from carrel.pages.frame import PageLink

ROLES = StaffList(
    title="Roles",
    url_name="staff-roles",
    noun="role",
    columns=("Role", "Counts", "Permits", "Requires", "People"),
    cells=lambda role: (
        StaffCell(role.title, f"/staff/roles/{role.name}/", role.description),
        StaffCell(role.get_scope_display()),
        StaffCell(count_text(len(role.permissions), "permission")),
        StaffCell(", ".join(requirement.name for requirement in role.requirements.all()) or "nothing"),
        StaffCell(role.people),
    ),
    standing="What somebody may do is the sum of their roles. A change counts at once, for everybody who has the role.",
    nothing="A new site has the roles of the manual.",
    new_url_name="staff-role-new",
    new_label="New role",
)
REQUIREMENTS = StaffList(
    title="Trainings and agreements",
    url_name="staff-requirements",
    noun="requirement",
    columns=("Name", "Kind", "Holds for", "Required by"),
    cells=lambda row: (
        StaffCell(row.name, f"/staff/requirements/{row.slug}/", row.slug),
        StaffCell(row.get_kind_display()),
        StaffCell(count_text(row.valid_days, "day") if row.valid_days else "for ever"),
        StaffCell(", ".join(role.title for role in row.roles.all()) or "no role"),
    ),
    standing="Until a person has all that a role requires, and once one has expired, the role permits them nothing.",
    nothing="Add one, then ask for it in a role.",
    new_url_name="staff-requirement-new",
    new_label="New training or agreement",
)


class RoleForm(forms.ModelForm):
    """A role: what it is called, where it counts, what it permits and what it requires."""

    permissions = forms.MultipleChoiceField(
        choices=[(permission.value, f"May {WORDS[permission]} ({permission})") for permission in Permission],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    requirements = forms.ModelMultipleChoiceField(
        Requirement.objects.all(), widget=forms.CheckboxSelectMultiple, required=False
    )

    class Meta:
        model = Role
        fields: tuple[str, ...] = ("title", "description", "scope", "permissions", "requirements")


class NewRoleForm(RoleForm):
    """A role, with the name by which programs know it."""

    class Meta(RoleForm.Meta):
        fields: tuple[str, ...] = ("name", *RoleForm.Meta.fields)
        help_texts = {"name": "What programs are told; it never changes (StudyAuditor)."}


class RequirementForm(forms.ModelForm):
    class Meta:
        model = Requirement
        fields: tuple[str, ...] = ("name", "slug", "kind", "text", "valid_days")
        labels = {"valid_days": "Holds for (days)"}
        help_texts = {
            "text": "What people agree to, or where the training is given.",
            "valid_days": "From the day it was obtained; empty: for ever.",
        }


def roles(request: CarrelRequest) -> HttpResponse:
    rows = Role.objects.annotate(people=Count("assignments__user", distinct=True)).prefetch_related("requirements")
    return list_page(request, rows.order_by("title"), ROLES)


def role_new(request: CarrelRequest) -> HttpResponse:
    """A role of the site's own."""

    def submit(values: dict[str, Any]) -> Role:
        requirements = values.pop("requirements")
        return people.create_role(values, requirements, request)

    back = PageLink("Roles", reverse("staff-roles"))
    return staff_form(
        request, NewRoleForm(posted(request)), submit, heading="New role", back=back, done="The role was added."
    )


def role_edit(request: CarrelRequest, *, name: str) -> HttpResponse:
    """Change what a role permits and requires, or remove one that nobody has."""
    role = _only(Role, name=name)

    def submit(values: dict[str, Any]) -> None:
        requirements = values.pop("requirements")
        if "delete" in request.POST:
            people.delete_role(role, request)
        else:
            people.edit_role(role, values, requirements, request)

    return staff_form(
        request,
        RoleForm(posted(request), instance=_only(Role, name=name)),
        submit,
        heading=role.title,
        standing=f"{role.name}. {count_text(role.assignments.count(), 'person has it,people have it')}.",
        back=PageLink("Roles", reverse("staff-roles")),
        done="The roles were changed.",
        delete_verb="Delete the role",
    )


def requirements(request: CarrelRequest) -> HttpResponse:
    return list_page(request, Requirement.objects.prefetch_related("roles"), REQUIREMENTS)


def requirement_new(request: CarrelRequest) -> HttpResponse:
    return staff_form(
        request,
        RequirementForm(posted(request)),
        lambda values: people.create_requirement(values, request),
        heading="New training or agreement",
        back=PageLink("Trainings and agreements", reverse("staff-requirements")),
        done="It was added. Ask for it in a role.",
    )


def requirement_edit(request: CarrelRequest, *, slug: str) -> HttpResponse:
    """Change its words and how long it holds; what people have already keeps its expiry."""
    row = _only(Requirement, slug=slug)
    return staff_form(
        request,
        RequirementForm(posted(request), instance=row),
        lambda values: people.edit_requirement(row, values, request),
        heading=row.name,
        back=PageLink("Trainings and agreements", reverse("staff-requirements")),
        done="It was changed.",
    )


def _only(model: Any, **by: str) -> Any:
    row = model.objects.filter(**by).first()
    if row is None:
        raise Http404
    return row


MAY = permitted(Permission.USER_MANAGE)
PAGES = [
    Page("staff/roles/", roles, "staff-roles", MAY),
    Page("staff/roles/new/", role_new, "staff-role-new", MAY),
    Page("staff/roles/<str:name>/", role_edit, "staff-role", MAY),
    Page("staff/requirements/", requirements, "staff-requirements", MAY),
    Page("staff/requirements/new/", requirement_new, "staff-requirement-new", MAY),
    Page("staff/requirements/<slug:slug>/", requirement_edit, "staff-requirement", MAY),
]
