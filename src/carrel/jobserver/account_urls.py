"""Sign-in by django-allauth: which of its pages this site has, and what each needs.

The library makes the URLs and refuses strangers itself; `ALLAUTH_ACCESS` is the same fact for the table of rights and
for the test that tries every URL. What the library has and this site does not is not found.
"""

import logging
from collections.abc import Callable
from typing import cast

from allauth.account.views import password_reset
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.github.views import oauth2_callback
from allauth.socialaccount.providers.openid_connect.views import callback as oidc_callback
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from carrel.jobserver.rights.access import EVERYBODY, SIGNED_IN, PageAccess
from carrel.jobserver.service import accounts

logger = logging.getLogger(__name__)

ALLAUTH_ACCESS: dict[str, PageAccess] = {
    "account_login": EVERYBODY,
    "account_logout": EVERYBODY,
    "account_inactive": EVERYBODY,
    "account_reauthenticate": SIGNED_IN,
    "account_change_password": SIGNED_IN,
    "account_set_password": SIGNED_IN,
    "account_reset_password": EVERYBODY,
    "account_reset_password_done": EVERYBODY,
    "account_reset_password_from_key": EVERYBODY,
    "account_reset_password_from_key_done": EVERYBODY,
    "mfa_index": SIGNED_IN,
    "mfa_authenticate": EVERYBODY,
    "mfa_reauthenticate": SIGNED_IN,
    "mfa_activate_totp": SIGNED_IN,
    "mfa_deactivate_totp": SIGNED_IN,
    "mfa_view_recovery_codes": SIGNED_IN,
    "mfa_generate_recovery_codes": SIGNED_IN,
    "mfa_download_recovery_codes": SIGNED_IN,
    "mfa_list_webauthn": SIGNED_IN,
    "mfa_add_webauthn": SIGNED_IN,
    "mfa_reauthenticate_webauthn": SIGNED_IN,
    "mfa_remove_webauthn": SIGNED_IN,
    "mfa_edit_webauthn": SIGNED_IN,
    "mfa_login_webauthn": EVERYBODY,
    "socialaccount_login_cancelled": EVERYBODY,
    "socialaccount_login_error": EVERYBODY,
    "socialaccount_connections": SIGNED_IN,
    "github_callback": EVERYBODY,
    "openid_connect_callback": EVERYBODY,
}

SWITCHED_OFF = {
    "account_signup": "signup/",
    "account_email": "email/",
    "account_email_verification_sent": "confirm-email/",
    "account_confirm_email": "confirm-email/<str:key>/",
    "account_request_reauthentication_code": "reauthenticate/code/",
    "account_confirm_reauthentication_code": "reauthenticate/code/confirm/",
    "account_confirm_login_code": "login/code/confirm/",
    "socialaccount_signup": "3rdparty/signup/",
    "usersessions_list": "sessions/",
    "github_login": "github/login/",
    "openid_connect_login": "oidc/<str:provider_id>/login/",
}
"""Pages of the library that this site does not have. Their names stay, since the library links to them."""


def not_here(_request: HttpRequest, **_: object) -> HttpResponse:
    """There is no such page."""
    raise Http404("This site does not have this page of the library.")


def from_provider(provider: str, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view of coming back from a provider: what it tells may lack anything, and then nobody is signed in."""

    def answer(request: HttpRequest, **parts: str) -> HttpResponse:
        try:
            return view(request, **parts)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            logger.exception("What %s tells of a person cannot be read.", provider)
            return cast(HttpResponse, render_authentication_error(request, provider, exception=error))

    return answer


def reset_password(request: HttpRequest) -> HttpResponse:
    """Send a link to choose a new password; a site without mail says whom to ask."""
    if accounts.mail_is_configured():
        return password_reset(request)
    return render(request, "account/password_reset.html")


urlpatterns: list[URLPattern | URLResolver] = [
    *(path(address, not_here, name=name) for name, address in SWITCHED_OFF.items()),
    path("password/reset/", reset_password, name="account_reset_password"),
    path("social/<path:rest>", not_here),
    path("github/login/callback/", from_provider("github", oauth2_callback), name="github_callback"),
    path(
        "oidc/<str:provider_id>/login/callback/", from_provider("oidc", oidc_callback), name="openid_connect_callback"
    ),
    path("2fa/", RedirectView.as_view(pattern_name="settings-security"), name="mfa_index"),
    path("", include("allauth.urls")),
]
