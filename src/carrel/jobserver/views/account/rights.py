"""Which roles one has and whether they take effect; trainings and agreements, and signing one."""

from dataclasses import dataclass
from datetime import date

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from carrel.jobserver.models import PersonRequirement, Requirement, RoleAssignment, User
from carrel.jobserver.rights.access import SIGNED_IN, CarrelRequest, Page
from carrel.jobserver.rights.permissions import WORDS, Permission
from carrel.jobserver.service import accounts
from carrel.jobserver.views.account.forms import AgreementForm
from carrel.jobserver.views.account.tab import apply_form, show_tab, signed_in_as


@dataclass(frozen=True, slots=True)
class RequirementStatus:
    """A training or agreement, and how it stands with a person. `ends_on`: the first day without it."""

    requirement: Requirement
    obtained_on: date | None
    ends_on: date | None
    is_current: bool
    is_needed: bool


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """A role of a person: where it holds, what it permits, and what is missing until it takes effect."""

    assignment: RoleAssignment
    permits: list[str]
    missing: list[RequirementStatus]


def rights(request: CarrelRequest) -> HttpResponse:
    """Show one's roles and why they do not hold, trainings and agreements."""
    person = signed_in_as(request)
    requirements = requirements_of(person)
    roles = roles_of(person, requirements)
    listed = [status for status in requirements.values() if status.is_needed or status.obtained_on]
    return show_tab(
        request,
        "settings-rights",
        "rights",
        roles=roles,
        requirements=listed,
        backends=person.backends.filter(is_active=True),
    )


def agreement(request: CarrelRequest, slug: str) -> HttpResponse:
    """Show an agreement; with a tick it is signed."""
    person = signed_in_as(request)
    requirement = Requirement.objects.filter(slug=slug, kind=Requirement.RequirementKind.AGREEMENT).first()
    if requirement is None:
        raise Http404("There is no such agreement.")
    form = AgreementForm(request.POST if request.method == "POST" else None)
    if form.is_bound and apply_form(form, lambda data: accounts.sign_agreement(person, requirement, request)):
        messages.success(request, f"You signed “{requirement.name}”.")
        return redirect("settings-rights")
    signed = requirements_of(person)[requirement.pk]
    status = 422 if form.is_bound else 200
    return show_tab(request, "settings-rights", "agreement", status, agreement=requirement, signed=signed, form=form)


def requirements_of(person: User) -> dict[int, RequirementStatus]:
    """Return how each training and agreement stands with the person, by its key: the latest record counts."""
    latest = {row.requirement_id: row for row in PersonRequirement.objects.filter(user=person).order_by("created_at")}
    needed = set(person.role_assignments.values_list("role__requirements", flat=True))
    today = timezone.now().date()
    found = {}
    for requirement in Requirement.objects.all():
        row = latest.get(requirement.pk)
        ends_on = row.expires_on if row else None
        is_current = row is not None and (ends_on is None or today < ends_on)
        obtained_on = row.obtained_on if row else None
        is_needed = requirement.pk in needed
        found[requirement.pk] = RequirementStatus(requirement, obtained_on, ends_on, is_current, is_needed)
    return found


def roles_of(person: User, requirements: dict[int, RequirementStatus]) -> list[RoleStatus]:
    """Return the person's roles, those that hold everywhere first."""
    assignments = (
        RoleAssignment.objects.filter(user=person)
        .select_related("role", "project", "backend")
        .prefetch_related("role__requirements")
        .order_by("project__name", "role__title")
    )
    return [
        RoleStatus(
            assignment,
            [WORDS[Permission(name)] for name in assignment.role.permissions if name in set(Permission)],
            [
                requirements[requirement.pk]
                for requirement in assignment.role.requirements.all()
                if not requirements[requirement.pk].is_current
            ],
        )
        for assignment in assignments
    ]


PAGES = [
    Page("settings/rights/", rights, "settings-rights", SIGNED_IN),
    Page("settings/agreements/<slug:slug>/", agreement, "settings-agreement", SIGNED_IN),
]
