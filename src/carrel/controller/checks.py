"""What must be right before a process of the controller starts."""

from pathlib import Path

from django.db import connection

from carrel.controller import settings
from carrel.units import migrations
from carrel.units.privacy import TooOpen, close
from carrel.units.settings import SettingsError


class CannotStart(Exception):
    """Says what is wrong and what to do about it."""


def set_up_telemetry(process: str) -> None:
    """Logs and traces of this process, as the environment says."""
    from carrel.telemetry.start import start

    start(process, "controller")


def before_start() -> None:
    """Settings can be read, nobody else can read what is ours, and the database has every migration.

    Raises CannotStart.
    """
    try:
        close_files(settings.get().workdir)
    except (SettingsError, TooOpen) as error:
        raise CannotStart(str(error)) from error
    problem = database_problem()
    if problem:
        raise CannotStart(problem)


def close_files(workdir: Path) -> None:
    """Close the work folder to others, and the SQLite database with the files beside it. Raises TooOpen."""
    close(workdir)
    if connection.vendor == "sqlite":
        for suffix in ("", "-wal", "-shm", "-journal"):
            close(Path(f"{connection.settings_dict['NAME']}{suffix}"))


def database_problem() -> str | None:
    """Return why the controller's database cannot be used yet, in a sentence; None when it can."""
    return migrations.database_problem("carrel manage migrate_controller", "controller")
