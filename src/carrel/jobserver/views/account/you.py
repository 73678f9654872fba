"""Name, address and mails."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from carrel.jobserver.rights.access import SIGNED_IN, CarrelRequest, Page
from carrel.jobserver.service import accounts
from carrel.jobserver.service.accounts import AccountError
from carrel.jobserver.views.account.forms import AddressForm, DigestForm, NameForm
from carrel.jobserver.views.account.tab import apply_form, ask_who_it_is, posted_from, show_tab, signed_in_as


def settings(request: CarrelRequest) -> HttpResponse:
    """Show who one is here."""
    return _show(request)


@posted_from("settings")
def change_name(request: CarrelRequest) -> HttpResponse:
    """Take the name of the form."""
    form = NameForm(request.POST)
    if not apply_form(form, lambda data: accounts.change_name(signed_in_as(request), data["fullname"], request)):
        return _show(request, status=422, name_form=form)
    messages.success(request, "Your name was changed.")
    return redirect("settings")


@posted_from("settings")
def change_address(request: CarrelRequest) -> HttpResponse:
    """Take the address of the form, or send it a link that takes it."""
    ask_who_it_is(request)
    form = AddressForm(request.POST)
    sent = []
    if not apply_form(
        form, lambda data: sent.append(accounts.ask_for_address(signed_in_as(request), data["email"], request))
    ):
        return _show(request, status=422, address_form=form)
    if sent[0]:
        messages.success(request, "A link was sent to this address. Open it within a day, in this browser.")
    else:
        messages.success(request, "Your address was changed.")
    return redirect("settings")


def confirm_address(request: CarrelRequest, token: str) -> HttpResponse:
    """Take the address that a link was sent to."""
    try:
        accounts.confirm_address(signed_in_as(request), token, request)
    except AccountError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your address was changed.")
    return redirect("settings")


@posted_from("settings")
def choose_digest(request: CarrelRequest) -> HttpResponse:
    """Take the tick of the form."""
    form = DigestForm(request.POST)
    if not apply_form(form, lambda data: accounts.choose_digest(signed_in_as(request), data["digest"], request)):
        return _show(request, status=422, digest_form=form)
    messages.success(request, "Your choice was kept.")
    return redirect("settings")


def _show(request: CarrelRequest, status: int = 200, **forms: Any) -> HttpResponse:
    person = signed_in_as(request)
    context = {
        "name_form": NameForm(initial={"fullname": person.fullname}),
        "address_form": AddressForm(initial={"email": person.email}),
        "digest_form": DigestForm(initial={"digest": person.digest}),
        "sends_mail": accounts.mail_is_configured(),
        **forms,
    }
    return show_tab(request, "settings", "you", status, **context)


PAGES = [
    Page("settings/", settings, "settings", SIGNED_IN),
    Page("settings/name/", change_name, "settings-name", SIGNED_IN),
    Page("settings/address/", change_address, "settings-address", SIGNED_IN),
    Page("settings/address/<str:token>/", confirm_address, "confirm-address", SIGNED_IN),
    Page("settings/digest/", choose_digest, "settings-digest", SIGNED_IN),
]
