"""What the settings pages share: their tabs, and how a form that changes something is answered."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from carrel.jobserver.models import User
from carrel.jobserver.rights.access import CarrelRequest, View
from carrel.jobserver.service.accounts import AccountError
from carrel.jobserver.service.tokens import TokenNotIssued
from carrel.pages.frame import PageLink

TABS = (
    ("You", "settings"),
    ("Sign-in and security", "settings-security"),
    ("Tokens", "settings-tokens"),
    ("Roles and agreements", "settings-rights"),
)


def show_tab(request: CarrelRequest, name: str, template: str, status: int = 200, **context: Any) -> HttpResponse:
    """Answer with the settings page of this URL name."""
    tabs = [PageLink(label, reverse(tab), current=tab == name) for label, tab in TABS]
    address = reverse(name) if request.method == "POST" else ""
    return render(
        request, f"jobserver/settings/{template}.html", {"tabs": tabs, "address": address, **context}, status=status
    )


def signed_in_as(request: CarrelRequest) -> User:
    """Return whose settings these are: the guard lets nobody else in."""
    assert request.person is not None
    return request.person


def posted_from(tab: str) -> Callable[[View], View]:
    """Return a decorator: who opens the address of a form comes to the page that has it."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: CarrelRequest, **parts: Any) -> HttpResponse:
            return view(request, **parts) if request.method == "POST" else redirect(tab)

        return guarded

    return decorate


def ask_who_it_is(request: CarrelRequest) -> None:
    """Whoever sits here shows again who they are, unless they just did: raises what the library answers with a page."""
    raise_if_reauthentication_required(request, app="allauth.account")


def apply_form(form: Form, change: Callable[[dict[str, Any]], object]) -> bool:
    """Change what the form says, if it may be; a refusal becomes an error of the form."""
    if not form.is_valid():
        return False
    try:
        change(form.cleaned_data)
    except (AccountError, TokenNotIssued) as error:
        form.add_error(None, str(error))
    return form.is_valid()
