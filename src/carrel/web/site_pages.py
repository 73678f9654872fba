"""Django's settings that both sites of pages share: sessions, cookies, forms, what browsers are told."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from carrel.units.limits import MAX_FORM_FIELDS

BEFORE_SESSIONS = (
    "django.middleware.security.SecurityMiddleware",
    "carrel.web.headers.PrivacyHeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
)


def site_settings(
    url: str, workdir: Path, *, allowed_hosts: list[str], cookie: str, session_seconds: int
) -> dict[str, Any]:
    """Return settings by name for a site that people open at `url`; cookies are named `<cookie>_session` and so on."""
    address = urlsplit(url)
    is_https = address.scheme == "https"
    return {
        "ALLOWED_HOSTS": [*allowed_hosts, address.hostname or "localhost"],
        "CSRF_TRUSTED_ORIGINS": [f"{address.scheme}://{address.netloc}"],
        "APPEND_SLASH": True,
        "SESSION_COOKIE_AGE": session_seconds,
        "SESSION_COOKIE_NAME": f"{cookie}_session",
        "SESSION_COOKIE_SECURE": is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_NAME": f"{cookie}_csrf",
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
    }


def templates(*context_processors: str) -> list[dict[str, Any]]:
    """Return the setting TEMPLATES with these context processors beside Django's for requests and messages."""
    return [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.messages.context_processors.messages",
                    *context_processors,
                ],
            },
        }
    ]
