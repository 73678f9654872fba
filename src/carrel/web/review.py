"""Django's settings of a process that serves the review site."""

from pathlib import Path
from typing import Any

from carrel.units.settings import EnvironmentSettings, read_settings
from carrel.web.site_pages import BEFORE_SESSIONS, site_settings, templates

SESSION_SECONDS = 8 * 7 * 86400
"""Sliding, as the contract has it; rights are asked for anew all the time."""


class ReviewPagesSettings(EnvironmentSettings):
    """What the environment says of the review site as browsers meet it."""

    review_url: str = "http://127.0.0.1:8001"
    """The address that people type, without a path. With https, cookies are sent over TLS only."""


def review_settings(workdir: Path, allowed_hosts: list[str]) -> dict[str, Any]:
    """Return Django's settings by name; lists are added to those of the project."""
    own = read_settings(ReviewPagesSettings)
    return {
        **site_settings(
            own.review_url, workdir, allowed_hosts=allowed_hosts, cookie="review", session_seconds=SESSION_SECONDS
        ),
        "REVIEW_URL": own.review_url.rstrip("/"),
        "SESSION_SAVE_EVERY_REQUEST": True,
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "carrel.pages",
            "carrel.review",
            "django_htmx",
            "csp",
        ],
        "MIDDLEWARE": [
            *BEFORE_SESSIONS,
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "django_htmx.middleware.HtmxMiddleware",
        ],
        "TEMPLATES": templates("carrel.review.views.chrome.chrome"),
        "ROOT_URLCONF": "carrel.web.review_urls",
    }
