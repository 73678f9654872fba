"""`snapshot_database`: a copy of the SQLite database, taken while it is in use."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection

from carrel.controller import settings
from carrel.controller.management.base import AdminCommand, actor
from carrel.controller.service import administration

PREFIX = "db.snapshot_"


class Command(AdminCommand):
    help = "Copy the SQLite database to BACKUPS_PATH, while it is in use. Older copies are deleted."

    def handle(self, **_options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError("This copies SQLite databases. For PostgreSQL use pg_dump.")
        folder = settings.get().backups
        if not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist. Make it, or set BACKUPS_PATH to one that does.")
        path = take_snapshot(Path(str(connection.settings_dict["NAME"])), folder)
        for older in folder.glob(f"{PREFIX}*.sqlite"):
            if older != path:
                older.unlink()
        administration.note("snapshot_database", actor(), snapshot=path.name)
        self.say(f"snapshot of the database at {path}")


def take_snapshot(database: Path, folder: Path) -> Path:
    """Copy under a temporary name, check it, then rename: a snapshot that can be seen is whole."""
    name = f"{PREFIX}{datetime.now(UTC):%Y-%m-%d_%H%M%S}Z"
    temporary, path = folder / f"{name}.tmp.sqlite", folder / f"{name}.sqlite"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(temporary)) as copy:
        source.backup(copy)
        verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        temporary.unlink()
        raise CommandError(f"The copy is damaged, and was thrown away: {verdict}")
    return temporary.rename(path)
