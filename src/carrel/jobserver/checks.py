"""What must be right before a process of the job server starts."""

import hashlib

from django.core.cache import cache
from django.db import connection

from carrel.jobserver import settings
from carrel.units.migrations import database_problem
from carrel.units.privacy import TooOpen, close
from carrel.units.settings import SettingsError

KNOWN_TOKEN_SECONDS = 3600


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


def remember_token(header: str) -> None:
    """Note that this Authorization header held a valid token, so that long bodies are taken from its sender."""
    cache.set(_key(header), True, KNOWN_TOKEN_SECONDS)


def token_known(header: str) -> bool:
    """Tell whether the header's token was valid within the last hour. Asks no database; gives no rights."""
    return bool(header) and bool(cache.get(_key(header)))


def _key(header: str) -> str:
    return f"token-{hashlib.sha256(header.encode(errors='surrogateescape')).hexdigest()}"
