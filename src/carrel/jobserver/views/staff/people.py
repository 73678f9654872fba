"""People: the list, an account, what somebody may do and why."""

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.models import (
    AuditEvent,
    Backend,
    Organisation,
    Project,
    Requirement,
    Role,
    RoleAssignment,
    User,
)
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.service import backends, people
from carrel.jobserver.service.accounts import AccountError, password_link
from carrel.jobserver.service.changes import refuse
from carrel.jobserver.views.posting import DayInput, add_errors, posted
from carrel.jobserver.views.staff.actions import PageAction, status_of, take_action
from carrel.jobserver.views.staff.lists import section_tabs, staff_crumbs, staff_form
from carrel.pages.frame import PageLink
from carrel.pages.lists import active_filters, page_of, sort_order

LATEST_EVENTS = 15
FILTERS = {"q": "Search", "state": "State", "role": "Role", "backend": "Backend"}
STATES = {"active": "active", "closed": "closed", "program": "programs"}


# --- the list


def person_list(request: CarrelRequest) -> HttpResponse:
    """All accounts, by name; filters for state, role and backend."""
    rows = filtered(User.objects.all(), request.GET).prefetch_related("role_assignments__role", "backends")
    order = sort_order(request.GET, {"name": "fullname", "seen": "last_login", "made": "created_at"}, "name")
    context = {
        "page": page_of(request.GET, rows.order_by(*order)),
        "tabs": section_tabs(request, "staff-people"),
        "filters": active_filters(request.GET, FILTERS, {"state": STATES}),
        "states": STATES,
        "roles": Role.objects.order_by("title"),
        "backends": Backend.objects.all(),
    }
    return render(request, "jobserver/staff/people.html", context)


def filtered(rows: QuerySet[User], query: Any) -> QuerySet[User]:
    """Return the accounts that a URL's filters ask for."""
    for word in query.get("q", "").replace("\x00", "").split()[:8]:
        rows = rows.filter(Q(username__icontains=word) | Q(fullname__icontains=word) | Q(email__icontains=word))
    state = query.get("state", "")
    if state in ("active", "closed"):
        rows = rows.filter(is_active=state == "active")
    if state == "program":
        rows = rows.filter(is_bot=True)
    if role := query.get("role", ""):
        rows = rows.filter(pk__in=RoleAssignment.objects.filter(role__name=role).values("user"))
    if backend := query.get("backend", ""):
        rows = rows.filter(backends__slug=backend)
    return rows


def users(_request: CarrelRequest) -> HttpResponse:
    """The contract's address of the list."""
    return redirect("staff-people")


# --- a new account


class PersonForm(forms.ModelForm):
    """What an account is."""

    class Meta:
        model = User
        fields: tuple[str, ...] = ("fullname", "email")
        labels = {"fullname": "Full name", "email": "E-mail address"}


class NewPersonForm(PersonForm):
    """An account to be made."""

    class Meta(PersonForm.Meta):
        fields: tuple[str, ...] = ("username", *PersonForm.Meta.fields, "is_bot")
        labels = {**PersonForm.Meta.labels, "is_bot": "A program: it has tokens and cannot sign in"}
        help_texts = {"username": "Letters, digits and . _ @ + -. It never changes."}


def person_new(request: CarrelRequest) -> HttpResponse:
    """Make an account; the link with which its person chooses a password is shown once."""
    form = NewPersonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            user = people.create_person(form.cleaned_data, request)
        except forms.ValidationError as error:
            add_errors(form, error)
        else:
            return link_page(request, user) if not user.is_bot else redirect("staff-person", username=user.username)
    return staff_form(
        request,
        form,
        lambda values: None,
        heading="New account",
        standing="Afterwards you get a link with which the person chooses a password. No mail is needed.",
        verb="Make the account",
        back=PageLink("People", reverse("staff-people")),
        done="The account was made.",
    )


def link_page(request: CarrelRequest, user: User) -> HttpResponse:
    """Show a link to choose a password, this once."""
    context = {
        "member": user,
        "crumbs": staff_crumbs(PageLink("People", reverse("staff-people")), PageLink(user.fullname)),
    }
    try:
        context["link"] = password_link(user, request)
    except AccountError as error:
        context["problem"] = str(error)
    response = render(request, "jobserver/staff/password_link.html", context)
    response["Cache-Control"] = "no-store"
    return response


def person_edit(request: CarrelRequest, *, username: User) -> HttpResponse:
    """Change name and address."""
    back = PageLink(username.fullname, reverse("staff-person", args=[username.username]))
    return staff_form(
        request,
        PersonForm(posted(request), instance=User.objects.get(pk=username.pk)),
        lambda values: people.edit_person(username, {**values, "email": values["email"] or None}, request),
        heading=f"Change {username.fullname}",
        back=back,
        done="The account was changed.",
    )


# --- one person


class AssignRoleForm(forms.Form):
    """A role, everywhere or in a project, on all backends or one."""

    role = forms.ModelChoiceField(Role.objects.order_by("title"))
    project = forms.ModelChoiceField(Project.objects.all(), required=False, empty_label="everywhere", label="In")
    backend = forms.ModelChoiceField(Backend.objects.all(), required=False, empty_label="all backends", label="On")


class AssignmentForm(forms.Form):
    assignment = forms.ModelChoiceField(RoleAssignment.objects.select_related("role", "user", "project", "backend"))


class BackendsForm(forms.Form):
    """The backends somebody may use."""

    backends = forms.ModelMultipleChoiceField(
        Backend.objects.all(), widget=forms.CheckboxSelectMultiple, required=False, label="Member of"
    )


class OrganisationsForm(forms.Form):
    organisations = forms.ModelMultipleChoiceField(
        Organisation.objects.all(), widget=forms.CheckboxSelectMultiple, required=False, label="Belongs to"
    )


class RecordForm(forms.Form):
    """A training that was done, or an agreement that was signed on paper."""

    requirement = forms.ModelChoiceField(Requirement.objects.all(), label="Training or agreement")
    obtained_on = forms.DateField(widget=DayInput, label="On")
    expires_on = forms.DateField(
        widget=DayInput, required=False, label="Until", help_text="Empty: as long as it holds by itself."
    )
    evidence = forms.CharField(
        max_length=2000, required=False, help_text="A certificate's number, or where it is kept."
    )


def assign(request: CarrelRequest, user: User, values: dict[str, Any]) -> str:
    people.assign_role(user, values["role"], request, project=values["project"], backend=values["backend"])
    return f"{user.fullname} is {values['role'].title} now."


def unassign(request: CarrelRequest, user: User, values: dict[str, Any]) -> str:
    """Take a role of this person's away."""
    if values["assignment"].user_id != user.pk:
        raise refuse("This is somebody else's role.")
    people.remove_role(values["assignment"], request)
    return "The role was taken away."


def set_backends(request: CarrelRequest, user: User, values: dict[str, Any]) -> str:
    """Make these the backends that the person may use."""
    before, after = set(user.backends.all()), set(values["backends"])
    for backend in after - before:
        backends.add_backend_member(backend, user, request)
    for backend in before - after:
        backends.remove_backend_member(backend, user, request)
    return "The memberships were changed."


def set_organisations(request: CarrelRequest, user: User, values: dict[str, Any]) -> str:
    people.set_organisations_of(user, values["organisations"], request)
    return "The organisations were changed."


def record_requirement(request: CarrelRequest, user: User, values: dict[str, Any]) -> str:
    people.record_requirement(user, values.pop("requirement"), request, **values)
    return "It was recorded."


def clear(request: CarrelRequest, user: User, _values: dict[str, Any]) -> str:
    return f"{people.clear_roles(user, request)} roles were taken away."


def switch(request: CarrelRequest, user: User, _values: dict[str, Any]) -> str:
    """Close the account, or open it again."""
    if user == request.person:
        raise refuse("You cannot close the account that you are signed in with.")
    people.edit_person(user, {"is_active": not user.is_active}, request)
    return "The account is closed: nobody can sign in with it." if user.is_active else "The account is open again."


ACTIONS = {
    "role": PageAction(assign, AssignRoleForm),
    "unassign": PageAction(unassign, AssignmentForm),
    "backends": PageAction(set_backends, BackendsForm, lambda user: {"backends": user.backends.all()}),
    "organisations": PageAction(
        set_organisations, OrganisationsForm, lambda user: {"organisations": user.organisations.all()}
    ),
    "record": PageAction(record_requirement, RecordForm),
    "clear": PageAction(clear),
    "switch": PageAction(switch),
}


def person_page(request: CarrelRequest, *, username: User) -> HttpResponse:
    """All that is known of an account, and what can be changed of it."""
    if request.POST.get("do") == "link":
        return link_page(request, username)
    shown, response = take_action(request, username, ACTIONS)
    if response is not None:
        return response
    rights = rights_of(username)
    assignments = username.role_assignments.select_related("role", "project", "backend").order_by("role__title")
    events = AuditEvent.objects.filter(Q(actor=username.username) | Q(subject_type="user", subject=username.username))
    context = {
        "member": username,
        "forms": shown,
        "assignments": assignments,
        "records": username.requirements.select_related("requirement", "created_by"),
        "lacking": sorted({slug for grant in rights.grants for slug in rights.lacks(grant)}),
        "memberships": username.project_memberships.select_related("project"),
        "tokens": username.tokens.filter(revoked_at=None, expires_at__gt=timezone.now()),
        "events": events[:LATEST_EVENTS] if request.rights.holds(Permission.AUDIT_VIEW) else None,
        "today": timezone.now().date(),
        "crumbs": staff_crumbs(PageLink("People", reverse("staff-people")), PageLink(username.fullname)),
    }
    return render(request, "jobserver/staff/person.html", context, status=status_of(shown))


MAY = permitted(Permission.USER_MANAGE)
PAGES = [
    Page("users/", users, "users", MAY),
    Page("staff/people/", person_list, "staff-people", MAY),
    Page("staff/people/new/", person_new, "staff-person-new", MAY),
    Page("staff/people/<str:username>/", person_page, "staff-person", MAY),
    Page("staff/people/<str:username>/edit/", person_edit, "staff-person-edit", MAY),
]
