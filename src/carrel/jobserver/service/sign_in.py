"""Who signed in, who failed to, who changed what opens an account: written to the security log as it happens.

The library that signs people in says so by signals; `connect` is called once, when the app is ready.
"""

from collections.abc import Callable
from typing import Any

from allauth.account import signals as account_signals
from allauth.account.authentication import get_authentication_records
from allauth.mfa import signals as factor_signals
from allauth.socialaccount import signals as provider_signals
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.dispatch import Signal
from django.http import HttpRequest

from carrel.jobserver.models import User
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.rights.persons import person_named
from carrel.jobserver.service.audit import Actor, record

PROVIDER_SECOND_FACTOR = "carrel_provider_second_factor"
"""Key of the session: the provider said that it asked for a second factor."""
STRANGER = "stranger"


def connect() -> None:
    """Write what the library tells to the security log."""
    user_login_failed.connect(record_failure, dispatch_uid="carrel")
    user_logged_out.connect(_told("sign_in.ended"), weak=False, dispatch_uid="carrel")
    account_signals.user_logged_in.connect(record_sign_in, dispatch_uid="carrel")
    factor_signals.authentication_failed.connect(_told("second_factor.failed"), weak=False, dispatch_uid="carrel")
    told: dict[Signal, str] = {
        account_signals.user_signed_up: "person.created",
        account_signals.password_set: "password.set",
        account_signals.password_changed: "password.changed",
        account_signals.password_reset: "password.reset",
        factor_signals.authenticator_added: "second_factor.added",
        factor_signals.authenticator_removed: "second_factor.removed",
        factor_signals.authenticator_reset: "second_factor.reset",
        provider_signals.social_account_added: "provider.connected",
        provider_signals.social_account_removed: "provider.disconnected",
    }
    for signal, action in told.items():
        signal.connect(_told(action), weak=False, dispatch_uid="carrel")


def record_lock_out(request: HttpRequest, credentials: dict[str, Any]) -> None:
    """Somebody tried too often, so that no more is tried for a while."""
    _record(request, "sign_in.locked_out", _known_name(credentials))


def record_refusal(request: HttpRequest, user: User) -> None:
    """Somebody showed who they are, and the account is closed or a program's."""
    _record(request, "sign_in.refused", user.username)


def record_sign_in(request: HttpRequest, user: User, **_: Any) -> None:
    """Somebody signed in, by these methods."""
    methods = [entry.get("type", entry.get("method")) for entry in get_authentication_records(request, user)]
    _record(request, "sign_in.succeeded", user.username, new={"methods": methods})


def record_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """A password was wrong, or there is no such account."""
    _record(request or STRANGER, "sign_in.failed", _known_name(credentials))


def _told(action: str) -> Callable[..., None]:
    """Return a receiver that records `action` with what the signal says of it."""

    def receive(
        request: HttpRequest | None = None,
        user: User | None = None,
        authenticator: Any = None,
        sociallogin: Any = None,
        socialaccount: Any = None,
        **_: Any,
    ) -> None:
        account = socialaccount or getattr(sociallogin, "account", None)
        person = user or getattr(account, "user", None)
        kind = getattr(authenticator, "type", None) or getattr(account, "provider", None)
        _record(request or STRANGER, action, person.username if person else "", new={"kind": kind} if kind else None)

    return receive


def _known_name(credentials: dict[str, Any]) -> str:
    """Return whose account it was; nothing where there is none, since people type passwords into the wrong field."""
    typed = str(credentials.get("username") or credentials.get("email") or "")[:254]
    user = person_named(typed.replace("\0", ""))
    return user.username if user else ""


def _record(actor: Actor, action: str, username: str, new: Any = None) -> None:
    record(actor, action, category=SECURITY, subject_type="user", subject=username, new=new)
