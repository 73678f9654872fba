"""Personal tokens, and the three words of level 4. Both are shown once, in the answer to the form that makes them."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from carrel.jobserver.accounts import has_second_factor
from carrel.jobserver.models import PersonalToken
from carrel.jobserver.rights.access import SIGNED_IN, CarrelRequest, Page
from carrel.jobserver.rights.scopes import SCOPE_WORDS, Scope
from carrel.jobserver.service import tokens
from carrel.jobserver.service.tokens import TokenNotIssued
from carrel.jobserver.views.account.forms import TokenForm
from carrel.jobserver.views.account.tab import apply_form, ask_who_it_is, posted_from, show_tab, signed_in_as
from carrel.jobserver.views.posting import is_posted_again


def personal_tokens(request: CarrelRequest) -> HttpResponse:
    """Show one's tokens without what is secret of them."""
    return _show(request)


@posted_from("settings-tokens")
def create_token(request: CarrelRequest) -> HttpResponse:
    """Make a token, and show it this once."""
    ask_who_it_is(request)
    form = TokenForm(request.POST)
    made = []

    def create(data: dict[str, Any]) -> None:
        ends_at = timezone.now() + data["life"]
        raw = tokens.create_personal_token(
            signed_in_as(request),
            data["name"],
            data["scopes"],
            ends_at,
            request,
            with_second_factor=has_second_factor(request),
        )
        made.append(raw)

    if not apply_form(form, create):
        return _show(request, status=422, form=form)
    return _show(request, new_token=made[0])


@posted_from("settings-tokens")
def revoke_token(request: CarrelRequest, token: int) -> HttpResponse:
    """End a token of one's own."""
    person = signed_in_as(request)
    row = PersonalToken.objects.filter(user=person, pk=token).first()
    if row is None:
        raise Http404("You have no such token.")
    tokens.revoke_personal_token(row, person)
    messages.success(request, f"The token “{row.name}” is revoked.")
    return redirect("settings-tokens")


@posted_from("settings-tokens")
def create_level4_token(request: CarrelRequest) -> HttpResponse:
    """Make three words, and show them this once."""
    ask_who_it_is(request)
    if is_posted_again(request):
        messages.warning(request, "This form made words before, which were shown once. Ask for new ones.")
        return redirect("settings-tokens")
    try:
        words = tokens.create_level4_token(signed_in_as(request), request)
    except TokenNotIssued as error:
        return _show(request, status=422, level4_refusal=str(error))
    return _show(request, level4_words=words)


def _show(request: CarrelRequest, status: int = 200, **context: Any) -> HttpResponse:
    person = signed_in_as(request)
    now = timezone.now()
    rows = person.tokens.filter(revoked_at=None, expires_at__gt=now)
    listed = [(row, [SCOPE_WORDS[Scope(scope)] for scope in row.scopes if scope in set(Scope)]) for row in rows]
    context.setdefault("form", TokenForm())
    context["may_enter_level4"] = person.backends.filter(is_active=True).exists()
    return show_tab(request, "settings-tokens", "tokens", status, tokens=listed, **context)


PAGES = [
    Page("settings/tokens/", personal_tokens, "settings-tokens", SIGNED_IN),
    Page("settings/tokens/create/", create_token, "settings-token-create", SIGNED_IN),
    Page("settings/tokens/<int:token>/revoke/", revoke_token, "settings-token-revoke", SIGNED_IN),
    Page("settings/level4/", create_level4_token, "settings-level4", SIGNED_IN),
]
