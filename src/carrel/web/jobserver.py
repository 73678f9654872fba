"""Django's settings of a process that serves the job server: its apps, sign-in and mail."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from carrel.jobserver.settings import JobServerSettings
from carrel.units.settings import EnvironmentSettings, Truth, read_settings
from carrel.web.sign_in import sign_in_settings
from carrel.web.site_pages import BEFORE_SESSIONS, site_settings, templates

SESSION_SECONDS = 14 * 86400


class PagesSettings(EnvironmentSettings):
    """What the environment says of the site as browsers and mail readers meet it."""

    jobserver_url: str = "http://127.0.0.1:8000"
    """The address that people type, without a path. With https, cookies are sent over TLS only."""
    email_host: str = ""
    """SMTP server; empty: no mail is sent, and the site says so."""
    email_port: int = 25
    email_host_user: str = ""
    email_host_password: SecretStr = SecretStr("")
    email_use_tls: Truth = False
    default_from_email: str = "carrel@localhost"


def jobserver_settings(workdir: Path, allowed_hosts: list[str]) -> dict[str, Any]:
    """Return Django's settings by name; lists are added to those of the project."""
    own = read_settings(PagesSettings)
    address = urlsplit(own.jobserver_url)
    return {
        **site_settings(
            own.jobserver_url, workdir, allowed_hosts=allowed_hosts, cookie="carrel", session_seconds=SESSION_SECONDS
        ),
        "JOBSERVER_URL": own.jobserver_url.rstrip("/"),
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            # Before the library that signs people in, whose templates they replace.
            "carrel.pages",
            "carrel.jobserver",
            "allauth",
            "allauth.account",
            "allauth.mfa",
            "allauth.socialaccount",
            "allauth.socialaccount.providers.github",
            "allauth.socialaccount.providers.openid_connect",
            "allauth.usersessions",
            "django_htmx",
            "csp",
        ],
        "MIDDLEWARE": [
            *BEFORE_SESSIONS,
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "django_htmx.middleware.HtmxMiddleware",
            "allauth.account.middleware.AccountMiddleware",
            "carrel.jobserver.views.redirects.RedirectMiddleware",
        ],
        "TEMPLATES": templates("django.contrib.auth.context_processors.auth", "carrel.jobserver.views.chrome.chrome"),
        # A model of our own; Django's groups and permissions are not used.
        "AUTH_USER_MODEL": "jobserver.User",
        "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
            for name, options in {
                "UserAttributeSimilarityValidator": {},
                "MinimumLengthValidator": {"min_length": 12},
                "CommonPasswordValidator": {},
            }.items()
        ],
        **sign_in_settings(is_local=address.hostname in ("localhost", "127.0.0.1")),
        "ACCOUNT_DEFAULT_HTTP_PROTOCOL": address.scheme or "http",
        "MFA_TOTP_ISSUER": read_settings(JobServerSettings).jobserver_name,
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend"
        if own.email_host
        else "django.core.mail.backends.dummy.EmailBackend",
        "EMAIL_HOST": own.email_host,
        "EMAIL_PORT": own.email_port,
        "EMAIL_HOST_USER": own.email_host_user,
        "EMAIL_HOST_PASSWORD": own.email_host_password.get_secret_value(),
        "EMAIL_USE_TLS": own.email_use_tls,
        "EMAIL_TIMEOUT": 10,
        "DEFAULT_FROM_EMAIL": own.default_from_email,
    }
