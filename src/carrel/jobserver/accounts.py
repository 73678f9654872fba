"""How django-allauth signs people in here: who may have an account, what providers tell, how secrets are stored."""

import base64
import time
import unicodedata
from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.stagekit import clear_login
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from carrel.jobserver.models import User
from carrel.jobserver.service import sign_in
from carrel.jobserver.service.account_mails import send_soon

MFA_WORDS = ("mfa", "otp", "hwk", "swk", "pop")
"""Values of the claim `amr` (RFC 8176) by which a provider says that it asked for more than a password."""
MISMATCH = "This name or address and this password do not belong together."
"""The same for whoever has an account and whoever has none."""


def display_name(user: User) -> str:
    """Return what the library's messages call somebody."""
    return user.fullname


def has_second_factor(request: HttpRequest) -> bool:
    """Tell whether this session was signed in with more than a password: here, or at a provider that says so."""
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == "mfa" for record in records) or bool(
        request.session.get(sign_in.PROVIDER_SECOND_FACTOR)
    )


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by staff, on the command line or by another provider; nobody signs up alone."""

    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": MISMATCH,
        "email_password_mismatch": MISMATCH,
        "too_many_login_attempts": "Too many tries have failed. Wait five minutes, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send it after the answer, which tells nobody by its time whether there is such an account."""
        send_soon(self.render_mail(template_prefix, email, {"request": self.request, "email": email, **context}))

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link at the site's own address, whatever host was asked."""
        path = urlsplit(super().get_reset_password_from_key_url(key)).path
        return f"{settings.JOBSERVER_URL}{path}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Note in the security log who is locked out for too many tries."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            sign_in.record_lock_out(request, credentials)
            raise

    def pre_login(self, request: HttpRequest, user: Any, **options: Any) -> Any:
        """Refuse closed accounts, and those of programs, whose tokens are their only way in."""
        if user.is_active and not user.is_bot:
            return super().pre_login(request, user, **options)
        clear_login(request)
        sign_in.record_refusal(request, user)
        return self.respond_user_inactive(request, user)

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Who has neither password nor second factor here has shown who they are by signing in a moment ago."""
        if super().get_reauthentication_methods(self.request.user):
            return bool(super().is_reauthentication_required(app=app, **options))
        records = get_authentication_records(self.request, self.request.user)
        return not records or time.time() - records[-1]["at"] > app_settings.REAUTHENTICATION_TIMEOUT

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Who has neither signs out and in again."""
        again = {"id": "sign_in_again", "description": "Sign out and in again", "url": reverse("account_logout")}
        return super().get_reauthentication_methods(user) or [again]

    def add_message(self, request: HttpRequest, level: int, *args: Any, **options: Any) -> None:
        """That somebody has signed in or out is seen by the page itself."""
        template = args[0] if args else options.get("message_template", "")
        if not str(template).endswith(("logged_in.txt", "logged_out.txt")):
            super().add_message(request, level, *args, **options)


class ProviderAdapter(DefaultSocialAccountAdapter):
    """An account that another provider vouches for is matched by the provider's own id of the person, never by address.

    The first sign-in makes an account without any rights; staff give them.
    """

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Whoever the configured provider lets in has an account."""
        return True

    def can_authenticate_by_email(self, login: Any, email: str) -> bool:
        """Refuse: an address proves nobody."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Note whether the provider asked for a second factor; keep an address only if it is verified and nobody's."""
        token = sociallogin.account.extra_data.get("id_token") or {}
        methods = token.get("amr") if isinstance(token, dict) else None
        asked = isinstance(methods, list) and any(method in MFA_WORDS for method in methods)
        # Connecting another account to this one proves nothing of who owns this one.
        if sociallogin.state.get("process") != "connect":
            request.session[sign_in.PROVIDER_SECOND_FACTOR] = asked
        if sociallogin.is_existing:
            return
        verified = [address.email.lower() for address in sociallogin.email_addresses if address.verified]
        taken = User.objects.filter(email__in=verified).values_list("email", flat=True)
        free = [address for address in verified if address not in taken]
        sociallogin.user.email = free[0] if free else None
        sociallogin.email_addresses = []

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> Any:
        """Take the name over as one field, no longer than it may be; and no username that looks like an address.

        People choose it themselves at many a provider, and who gives rights to an address means its owner.
        """
        user = super().populate_user(request, sociallogin, data)
        user.username = "" if "@" in unicodedata.normalize("NFKC", user.username) else user.username
        parts = (data.get("first_name"), data.get("last_name"))
        user.fullname = str(data.get("name") or " ".join(filter(None, parts)) or user.username)[:200]
        return user


class SecondFactorAdapter(DefaultMFAAdapter):
    """Secrets of authenticator apps and recovery codes are encrypted by a key made from the site's secret key."""

    def encrypt(self, text: str) -> str:
        """Return what is stored."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was stored. Raises ValueError when the secret key has changed since."""
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken as error:
            raise ValueError("The secret key is another than that with which second factors were stored.") from error


def _fernet() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    derived = (HKDF(SHA256(), 32, None, b"carrel second factors").derive(key.encode()) for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
