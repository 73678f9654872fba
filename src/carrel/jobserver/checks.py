"""What must be right before a process of the job server starts."""

import hashlib

from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.http import parse_cookie
from django.utils import timezone

from carrel.jobserver import settings
from carrel.units.migrations import database_problem
from carrel.units.privacy import TooOpen, close
from carrel.units.settings import SettingsError

KNOWN_TOKEN_SECONDS = 3600
MAX_SESSIONS = 20_000


def before_start() -> None:
    """Settings can be read, nobody else can read what is ours, and the database has every migration.

    Raises SettingsError with a sentence.
    """
    own = settings.get()
    for link in own.links.values():
        _ = link.token
    try:
        close(own.workdir)
        if connection.vendor == "sqlite":
            from pathlib import Path

            for suffix in ("", "-wal", "-shm", "-journal"):
                close(Path(f"{connection.settings_dict['NAME']}{suffix}"))
    except TooOpen as error:
        raise SettingsError(str(error)) from error
    if problem := database_problem("carrel manage migrate"):
        raise SettingsError(problem)


def remember_token(raw: str) -> None:
    """Note that this token was valid, so that long bodies are taken from its sender."""
    if not cache.get(key := _key(raw)):
        cache.set(key, True, KNOWN_TOKEN_SECONDS)


def forget_token(token_hash: str) -> None:
    """Take no more long bodies with the token of this hash."""
    cache.delete(f"token-{token_hash}")


def token_known(header: str) -> bool:
    """Tell whether the header's token was valid within the last hour. Asks no database; gives no rights."""
    return bool(header) and bool(cache.get(_key(raw_token(header))))


def remember_session(session_key: str) -> None:
    """Note that this browser has signed in, so that long forms are taken from it."""
    remember_token(f"session {session_key}")


def session_known(cookies: str) -> bool:
    """Tell whether a Cookie header names a session that was used within the last hour. Asks no database."""
    key = session_key(cookies)
    return bool(key) and bool(cache.get(_key(f"session {key}")))


def session_key(cookies: str) -> str:
    """Return the session that a Cookie header names; empty where it names none."""
    return parse_cookie(cookies).get(django_settings.SESSION_COOKIE_NAME, "")


def stored_sessions() -> list[str]:
    """The keys of the sessions that are stored, the newest MAX_SESSIONS."""
    from django.contrib.sessions.models import Session

    sessions = Session.objects.filter(expire_date__gt=timezone.now()).order_by("-expire_date")
    return list(sessions.values_list("session_key", flat=True)[:MAX_SESSIONS])


def raw_token(header: str) -> str:
    """Return the token of an Authorization header: alone, as `Bearer <token>` or as the contract's `<user>:<token>`."""
    kind, _, rest = header.strip().partition(" ")
    token = rest.strip() if kind.lower() == "bearer" and rest.strip() else header.strip()
    return token.rpartition(":")[2]


def _key(raw: str) -> str:
    return f"token-{hashlib.sha256(raw.encode(errors='surrogateescape')).hexdigest()}"
