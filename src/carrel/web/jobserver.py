"""Django's settings of a process that serves the job server: sign-in, sessions, mail, what browsers are told."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from pydantic import SecretStr

from carrel.jobserver.settings import JobServerSettings
from carrel.units.limits import MAX_FORM_FIELDS
from carrel.units.settings import EnvironmentSettings, Truth, read_settings
from carrel.web.sign_in import sign_in_settings

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
    is_https = address.scheme == "https"
    return {
        "ALLOWED_HOSTS": [*allowed_hosts, address.hostname or "localhost"],
        "CSRF_TRUSTED_ORIGINS": [f"{address.scheme}://{address.netloc}"],
        "JOBSERVER_URL": own.jobserver_url.rstrip("/"),
        "APPEND_SLASH": True,
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
            "django.middleware.security.SecurityMiddleware",
            "carrel.web.headers.PrivacyHeadersMiddleware",
            "whitenoise.middleware.WhiteNoiseMiddleware",
            "csp.middleware.CSPMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "django_htmx.middleware.HtmxMiddleware",
            "allauth.account.middleware.AccountMiddleware",
            "carrel.jobserver.views.redirects.RedirectMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                        "carrel.jobserver.views.chrome.chrome",
                    ],
                },
            }
        ],
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
        "SESSION_COOKIE_AGE": SESSION_SECONDS,
        "SESSION_COOKIE_NAME": "carrel_session",
        "SESSION_COOKIE_SECURE": is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_NAME": "carrel_csrf",
        "CSRF_COOKIE_SECURE": is_https,
        "CSRF_COOKIE_SAMESITE": "Lax",
        # The run page posts a box for each action on each backend.
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": MAX_FORM_FIELDS,
        "SECURE_HSTS_SECONDS": 31536000 if is_https else 0,
        "SECURE_REFERRER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        "CONTENT_SECURITY_POLICY": {
            "DIRECTIVES": {
                "default-src": [NONE],
                "script-src": [SELF],
                "style-src": [SELF],
                "img-src": [SELF, "data:"],
                "font-src": [SELF],
                "connect-src": [SELF],
                "form-action": [SELF],
                "base-uri": [NONE],
                "frame-ancestors": [NONE],
                "manifest-src": [SELF],
            }
        },
        "STATIC_URL": "/static/",
        "WHITENOISE_USE_FINDERS": True,
        "FORM_RENDERER": "carrel.pages.forms.FormRenderer",
        "CSRF_FAILURE_VIEW": "carrel.pages.errors.csrf_failure",
        # Login throttling counts in it, for all processes of one machine.
        "CACHES": {
            "default": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": str(workdir / "cache"),
                # Sessions and tokens that are in use, and tries to sign in, are one entry each.
                "OPTIONS": {"MAX_ENTRIES": 20000},
            }
        },
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
