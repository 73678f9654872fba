"""CARREL_DATABASE_URL as Django's database settings: SQLite by default, PostgreSQL by URL."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;PRAGMA cache_size=-65536;"


class DatabaseUrlError(ValueError):
    """CARREL_DATABASE_URL cannot be used; says why."""


def database_settings(url: str, workdir: Path) -> dict[str, Any]:
    """One entry of Django's DATABASES. Empty: `<workdir>/db.sqlite`. Accepts sqlite:///path and postgresql://..."""
    parts = urlsplit(url)
    if not url:
        return _sqlite(str(workdir / "db.sqlite"))
    if parts.scheme == "sqlite":
        return _sqlite(unquote(parts.path.removeprefix("/")) or ":memory:")
    if parts.scheme in {"postgresql", "postgres"}:
        return _postgresql(parts)
    raise DatabaseUrlError(f"CARREL_DATABASE_URL must start with sqlite:/// or postgresql://, not '{parts.scheme}:'.")


def _sqlite(name: str) -> dict[str, Any]:
    # `timeout` (seconds) is SQLite's busy_timeout: how long a writer waits for its turn.
    # IMMEDIATE takes the write lock when a transaction begins: it is the per-backend lock, and no transaction
    # can fail half way because another one wrote first.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        # A connection per thread, not per request: opening one costs more than most requests do.
        "CONN_MAX_AGE": None,
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": SQLITE_PRAGMAS, "timeout": 30},
    }


def _postgresql(parts: Any) -> dict[str, Any]:
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise DatabaseUrlError("CARREL_DATABASE_URL names no database (postgresql://user@host/DATABASE).")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
