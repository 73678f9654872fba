"""Django's settings of the gallery: a site that has nothing but pages, with a strict policy for content."""

from typing import Any

SETTINGS: dict[str, Any] = {
    "DEBUG": False,
    "SECRET_KEY": "gallery",
    "ALLOWED_HOSTS": ["*"],
    "ROOT_URLCONF": "tests.pages.gallery.urls",
    "INSTALLED_APPS": [
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "django_htmx",
        "carrel.controller",
        "carrel.pages",
        "tests.pages.gallery",
    ],
    "MIDDLEWARE": [
        "csp.middleware.CSPMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
    "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.messages.context_processors.messages",
                    "tests.pages.gallery.views.frame",
                ],
            },
        }
    ],
    "FORM_RENDERER": "carrel.pages.forms.FormRenderer",
    "STATIC_URL": "/static/",
    "CSRF_FAILURE_VIEW": "carrel.pages.errors.csrf_failure",
    "CONTENT_SECURITY_POLICY": {
        "DIRECTIVES": {
            "default-src": ["'none'"],
            "script-src": ["'self'"],
            "style-src": ["'self'"],
            "img-src": ["'self'"],
            "connect-src": ["'self'"],
            "form-action": ["'self'"],
            "base-uri": ["'none'"],
            "frame-ancestors": ["'none'"],
        }
    },
}
