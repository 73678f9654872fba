"""What `carrel config show` shows: each setting of a process, its value with secrets masked, and where it came from."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

SECRET_WORDS = ("token", "secret", "password", "license", "licence", "_key", "hash")
MASK = "********"

Row = tuple[str, str, str]


def in_force(process: str, env: Mapping[str, str] = os.environ) -> list[Row]:
    """List name, value and "environment" or "default" of each setting, under a heading. Raises SettingsError."""
    rows = {"local": _local, "agent": _agent, "controller": _controller}[process]()
    named = [(name, shown(name, value), "environment" if env.get(name) else "default") for name, value in rows]
    return [("SETTING", "VALUE", "FROM"), *named]


def shown(name: str, value: Any) -> str:
    """Return the value as text; a secret's is only said to be there."""
    secret = any(word in name.lower() for word in SECRET_WORDS) or hasattr(value, "get_secret_value")
    if secret:
        plain = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        return MASK if plain else ""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _local() -> Iterator[tuple[str, Any]]:
    from dataclasses import fields

    from carrel.local.settings import LocalSettings

    settings = LocalSettings.from_env()
    return ((field.name.upper(), getattr(settings, field.name)) for field in fields(settings))


def _agent() -> Iterator[tuple[str, Any]]:
    from carrel.agent import settings as agent_settings

    settings = agent_settings.load()
    yield from _fields(settings)
    # A database's URL holds its password.
    yield from ((f"{name.upper()}_DATABASE_URL", MASK) for name in settings.database_urls)


def _controller() -> Iterator[tuple[str, Any]]:
    from carrel.controller import settings as controller_settings

    settings = controller_settings.load()
    yield from _fields(settings)
    for slug, backend in settings.per_backend.items():
        yield from _fields(backend, controller_settings.prefix(slug))


def _fields(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """List declared fields only: what a model keeps besides (its parts) may hold secrets under other names."""
    return ((prefix + name.upper(), getattr(settings, name)) for name in type(settings).model_fields)
