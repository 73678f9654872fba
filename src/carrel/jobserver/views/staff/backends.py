"""Backends: add one, its tokens, who may use it, which projects may run on it, how to pause it."""

import secrets
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver import settings
from carrel.jobserver.backend_setup import SetupValues, controller_commands, setup_steps
from carrel.jobserver.backend_standing import standing_of
from carrel.jobserver.models import Backend, BackendToken, Project
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service import backends, projects
from carrel.jobserver.service.changes import refuse
from carrel.jobserver.service.tokens import TokenNotIssued, create_backend_token, revoke_backend_token
from carrel.jobserver.views.posting import SeeOther, is_posted_again, posted
from carrel.jobserver.views.projects import PersonField
from carrel.jobserver.views.staff.actions import PageAction, status_of, take_action
from carrel.jobserver.views.staff.lists import section_tabs, staff_crumbs, staff_form
from carrel.pages import live
from carrel.pages.frame import PageLink
from carrel.pages.lists import PAGE_SIZE, BoundedPaginator, active_filters

OVERLAPS = (("0", "at once"), ("3600", "in an hour"), ("86400", "in a day"), ("604800", "in a week"), ("", "never"))
"""When the older tokens end: seconds, in words."""
SHOWN_ONCE = "This form made tokens before, which were shown once. Make new ones if you do not have them."
MAX_QUERY = 100


# --- the list, a new one


class BackendForm(forms.ModelForm):
    """What is said of a backend; its slug never changes."""

    level4_url = forms.URLField(assume_scheme="https", required=False, label="Address of its review site")

    class Meta:
        model = Backend
        fields: tuple[str, ...] = (
            "name",
            "description",
            "link",
            "controller",
            "position",
            "is_active",
            "is_listed",
            "holds_dummy_data",
            "requires_mfa",
            "level4_url",
            "alert_timeout_seconds",
        )
        labels = {
            "link": "How requests reach its controller",
            "is_active": "It takes requests",
            "is_listed": "Everybody may see that it exists",
            "holds_dummy_data": "Its data is made up",
            "requires_mfa": "Only persons who signed in with a second factor may run there",
            "alert_timeout_seconds": "Missing after (seconds)",
        }
        help_texts = {
            "controller": "Which of the configured controllers serves it (setting CONTROLLERS).",
            "position": "Backends stand in this order everywhere.",
            "is_listed": "Otherwise only its members, the projects opted in and staff.",
            "alert_timeout_seconds": "Not heard of for longer, it is called missing.",
        }


class NewBackendForm(BackendForm):
    """A backend to be added."""

    class Meta(BackendForm.Meta):
        fields: tuple[str, ...] = ("slug", *BackendForm.Meta.fields)
        help_texts = {
            **BackendForm.Meta.help_texts,
            "slug": "As its controller calls it: lower-case letters, digits, _.",
        }


def backend_list(request: CarrelRequest) -> HttpResponse:
    """All backends, in their order."""
    now = timezone.now()
    rows = Backend.objects.prefetch_related("memberships", "opt_ins")
    context = {
        "rows": [(backend, standing_of(backend, now)) for backend in rows],
        "tabs": section_tabs(request, "staff-backends"),
    }
    return render(request, "jobserver/staff/backends.html", context)


def backend_new(request: CarrelRequest) -> HttpResponse:
    """Add one; the commands for its machine come next."""
    return staff_form(
        request,
        NewBackendForm(posted(request)),
        lambda values: backends.create_backend(values, request),
        heading="New backend",
        standing="Nobody but staff knows of it until you list it, make somebody a member, or opt a project in.",
        verb="Add it, and show what to do next",
        back=PageLink("Backends", reverse("staff-backends")),
        done="The backend was added.",
        go_to=lambda backend: reverse("staff-backend-setup", args=[backend.slug]),
    )


def backend_edit(request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """Change what is said of it."""
    return staff_form(
        request,
        BackendForm(posted(request), instance=Backend.objects.get(pk=backend.pk)),
        lambda values: backends.edit_backend(backend, values, request),
        heading=f"Change {backend.name}",
        back=PageLink(backend.name, reverse("staff-backend", args=[backend.slug])),
        done="The backend was changed.",
    )


# --- its machine


def backend_setup(request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """Settings and commands for its machines, with tokens that are shown this once; waits for the first contact."""
    tokens: dict[str, str] = {}
    problem = ""
    if request.method == "POST" and is_posted_again(request):
        messages.warning(request, SHOWN_ONCE)
        return SeeOther(reverse("staff-backend-setup", args=[backend.slug]))
    if request.method == "POST":
        try:
            tokens = {
                "agent_token": secrets.token_urlsafe(32),
                "client_token": secrets.token_urlsafe(32),
                "backend_token": create_backend_token(backend, request),
            }
        except TokenNotIssued as error:
            problem = str(error)
    context = {
        "backend": backend,
        "steps": setup_steps(values_for(backend, tokens)),
        "tokens": tokens,
        "problem": problem,
        **contact_context(backend),
        "crumbs": staff_crumbs(
            PageLink("Backends", reverse("staff-backends")),
            PageLink(backend.name, reverse("staff-backend", args=[backend.slug])),
            PageLink("Set-up"),
        ),
    }
    response = render(request, "jobserver/staff/setup.html", context, status=422 if problem else 200)
    response["Cache-Control"] = "no-store"
    return response


def values_for(backend: Backend, tokens: dict[str, str]) -> SetupValues:
    """Return what the commands are made of, as this site is set up."""
    link = settings.get().links.get(backend.controller)
    is_polled = backend.link == Backend.LinkKind.POLLED
    url = link.rap_api_base_url if link else ""
    if url:
        # The controller is asked already: it knows this server by the token that is set here.
        tokens = {**tokens, "client_token": ""}
    return SetupValues(
        slug=backend.slug,
        is_polled=is_polled,
        site_url=django_settings.JOBSERVER_URL,
        prefix="" if backend.controller == "default" else f"{backend.controller.upper()}_",
        controller_url=url,
        **tokens,
    )


def contact_context(backend: Backend) -> dict[str, Any]:
    """Return what the box says that waits for the first contact."""
    now = timezone.now()
    return {
        "backend": backend,
        "standing": standing_of(backend, now),
        "heard": backend.last_seen_at is not None,
        "now": now,
    }


def backend_contact(request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """Whether it has been heard of, for the page that waits."""
    context = contact_context(backend)
    etag = live.etag_of(backend.pk, context["heard"])
    if live.is_current(request, etag):
        return live.unchanged(etag)
    html = render_to_string("jobserver/staff/contact.html", {**context, "live": True}, request)
    return live.live_response(html, etag, final=context["heard"])


# --- one backend


class BackendTokenForm(forms.Form):
    """When the older tokens end."""

    overlap = forms.ChoiceField(choices=OVERLAPS, required=False, initial="86400", label="The older ones end")


class RevokeForm(forms.Form):
    token = forms.ModelChoiceField(BackendToken.objects.select_related("backend"))


class MemberOfBackendForm(forms.Form):
    person = PersonField()


class OptInForm(forms.Form):
    project = forms.ModelChoiceField(Project.objects.filter(archived_at=None), to_field_name="slug")


class OptOutForm(forms.Form):
    project = forms.ModelChoiceField(Project.objects.all(), to_field_name="slug")


def revoke(request: CarrelRequest, backend: Backend, values: dict[str, Any]) -> str:
    """End a token of this backend at once."""
    if values["token"].backend_id != backend.pk:
        raise refuse("This is another backend's token.")
    revoke_backend_token(values["token"], request)
    return "The token has ended."


def add_member(request: CarrelRequest, backend: Backend, values: dict[str, Any]) -> str:
    backends.add_backend_member(backend, values["person"], request)
    return f"{values['person'].fullname} may use {backend.name} now."


def remove_member(request: CarrelRequest, backend: Backend, values: dict[str, Any]) -> str:
    backends.remove_backend_member(backend, values["person"], request)
    return f"{values['person'].fullname} may use {backend.name} no longer."


def opt_in(request: CarrelRequest, backend: Backend, values: dict[str, Any]) -> str:
    projects.opt_in(values["project"], backend, request)
    return f"{values['project'].name} may run on {backend.name} now."


def opt_out(request: CarrelRequest, backend: Backend, values: dict[str, Any]) -> str:
    projects.opt_out(values["project"], backend, request)
    return f"{values['project'].name} may run on {backend.name} no longer."


def switch(request: CarrelRequest, backend: Backend, _values: dict[str, Any]) -> str:
    backends.edit_backend(backend, {"is_active": not backend.is_active}, request)
    return "It takes no requests now." if backend.is_active else "It takes requests again."


ACTIONS = {
    "member": PageAction(add_member, MemberOfBackendForm),
    "leave": PageAction(remove_member, MemberOfBackendForm),
    "opt_in": PageAction(opt_in, OptInForm),
    "opt_out": PageAction(opt_out, OptOutForm),
    "revoke": PageAction(revoke, RevokeForm),
    "switch": PageAction(switch),
}


def backend_page(request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """All that staff change of a backend, on one page."""
    if request.POST.get("do") == "token":
        return token_page(request, backend)
    shown, response = take_action(request, backend, ACTIONS)
    if response is not None:
        return response
    now = timezone.now()
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    memberships = backend.memberships.select_related("user", "created_by").order_by("user__username")
    opt_ins = backend.opt_ins.select_related("project", "created_by").order_by("project__name")
    if query:
        is_named = Q(user__fullname__icontains=query) | Q(user__username__icontains=query)
        memberships, opt_ins = memberships.filter(is_named), opt_ins.filter(project__name__icontains=query)
    member_page, opt_in_page = (BoundedPaginator(rows, PAGE_SIZE).get_page(1) for rows in (memberships, opt_ins))
    context = {
        "backend": backend,
        "standing": standing_of(backend, now),
        "forms": {**shown, "token": BackendTokenForm(prefix="token")},
        "query": query,
        "filters": active_filters(request.GET, {"q": "Search"}),
        "is_long": bool(query) or member_page.has_next() or opt_in_page.has_next(),
        "members": member_page,
        "opt_ins": opt_in_page,
        "tokens": backend.tokens.select_related("created_by"),
        "commands": controller_commands(backend.slug),
        "now": now,
        "crumbs": staff_crumbs(PageLink("Backends", reverse("staff-backends")), PageLink(backend.name)),
    }
    return render(request, "jobserver/staff/backend.html", context, status=status_of(shown))


def token_page(request: CarrelRequest, backend: Backend) -> HttpResponse:
    """Make a token and show it, this once; the older ones go on for the time that was chosen."""
    if is_posted_again(request):
        messages.warning(request, SHOWN_ONCE)
        return SeeOther(reverse("staff-backend", args=[backend.slug]))
    form = BackendTokenForm(request.POST, prefix="token")
    overlap = form.cleaned_data["overlap"] if form.is_valid() else "86400"
    context: dict[str, Any] = {
        "backend": backend,
        "crumbs": staff_crumbs(
            PageLink("Backends", reverse("staff-backends")),
            PageLink(backend.name, reverse("staff-backend", args=[backend.slug])),
            PageLink("New token"),
        ),
        "overlap": dict(OVERLAPS).get(overlap, ""),
    }
    try:
        ends = timedelta(seconds=int(overlap)) if overlap else None
        context["token"] = create_backend_token(backend, request, older_end_after=ends)
    except TokenNotIssued as error:
        context["problem"] = str(error)
    response = render(request, "jobserver/staff/token.html", context, status=200 if "token" in context else 422)
    response["Cache-Control"] = "no-store"
    return response


MAY = permitted(Permission.BACKEND_MANAGE)
PAGES = [
    Page("staff/backends/", backend_list, "staff-backends", MAY),
    Page("staff/backends/new/", backend_new, "staff-backend-new", MAY),
    Page("staff/backends/<slug:backend>/", backend_page, "staff-backend", MAY),
    Page("staff/backends/<slug:backend>/edit/", backend_edit, "staff-backend-edit", MAY),
    Page("staff/backends/<slug:backend>/setup/", backend_setup, "staff-backend-setup", MAY),
    Page("staff/backends/<slug:backend>/contact/", backend_contact, "staff-backend-contact", MAY),
]
