"""Password, second factors, other providers, and where one is signed in."""

from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from carrel.jobserver.accounts import has_second_factor
from carrel.jobserver.rights.access import EVERYBODY, SIGNED_IN, CarrelRequest, Page
from carrel.jobserver.service import accounts
from carrel.jobserver.views.account.tab import ask_who_it_is, posted_from, show_tab, signed_in_as


def security(request: CarrelRequest) -> HttpResponse:
    """Show how one signs in, and where one has."""
    person = signed_in_as(request)
    factors = list(Authenticator.objects.filter(user=person))
    recovery = next((factor for factor in factors if factor.type == Authenticator.Type.RECOVERY_CODES), None)
    context = {
        "has_password": person.has_usable_password(),
        "totp": next((factor for factor in factors if factor.type == Authenticator.Type.TOTP), None),
        "keys": [factor for factor in factors if factor.type == Authenticator.Type.WEBAUTHN],
        "recovery_codes": recovery and len(recovery.wrap().get_unused_codes()),
        "with_second_factor": has_second_factor(request),
        "providers": get_adapter().list_providers(request),
        "connected": SocialAccount.objects.filter(user=person),
        "sessions": UserSession.objects.filter(user=person).order_by("-last_seen_at"),
        "this_session": request.session.session_key,
    }
    return show_tab(request, "settings-security", "security", **context)


@posted_from("settings-security")
def end_sessions(request: CarrelRequest) -> HttpResponse:
    """Sign out everywhere else."""
    ended = accounts.end_sessions(signed_in_as(request), request, keep=request.session.session_key)
    messages.success(request, f"You are signed out everywhere else ({ended} sessions ended).")
    return redirect("settings-security")


@posted_from("account_login")
def use_provider(request: CarrelRequest, provider: str) -> HttpResponse:
    """Send the browser to another provider, to sign in or, for who has signed in, to connect that account.

    By a page of ours: browsers that keep to our policy for forms follow no redirection of one to another site.
    """
    if request.person is not None:
        ask_who_it_is(request)
    try:
        found = get_adapter().get_provider(request, provider)
    except SocialApp.DoesNotExist as error:
        raise Http404("No such provider is configured.") from error
    request.POST = request.POST.copy()
    request.POST["process"] = "connect" if request.person is not None else "login"
    answer = found.redirect_from_request(request)
    return render(request, "socialaccount/redirect.html", {"url": answer["Location"], "provider": found})


PAGES = [
    Page("settings/security/", security, "settings-security", SIGNED_IN),
    Page("settings/sessions/", end_sessions, "settings-sessions", SIGNED_IN),
    Page("accounts/with/<slug:provider>/", use_provider, "use-provider", EVERYBODY),
]
