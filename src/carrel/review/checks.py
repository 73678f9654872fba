"""What must be right before a process of the review site starts."""

from django.conf import settings as django_settings
from django.core.cache import cache
from django.http import parse_cookie

from carrel.review import policy, settings
from carrel.units.migrations import database_problem
from carrel.units.privacy import TooOpen, close
from carrel.units.settings import SettingsError

KNOWN_SESSION_SECONDS = 3600


def before_start() -> None:
    """Settings and policy can be read, nobody else can read what is ours, the database has every migration.

    Raises SettingsError with a sentence.
    """
    own = settings.get()
    _ = own.token
    policy.get()
    try:
        close(own.workdir)
    except TooOpen as error:
        raise SettingsError(str(error)) from error
    if not own.workspaces.is_dir():
        raise SettingsError(
            f"MEDIUM_PRIVACY_STORAGE_BASE: there is no folder {own.workspaces}. Name the folder that the agent writes."
        )
    if problem := database_problem("carrel manage migrate"):
        raise SettingsError(problem)


def remember_session(session_key: str) -> None:
    """Note that this browser has signed in, so that long forms are taken from it."""
    cache.set(f"session-{session_key}", True, KNOWN_SESSION_SECONDS)


def session_known(cookies: str) -> bool:
    """Tell whether a Cookie header names a session that was used within the last hour. Asks no database."""
    key = parse_cookie(cookies).get(django_settings.SESSION_COOKIE_NAME, "")
    return bool(key) and bool(cache.get(f"session-{key}"))
