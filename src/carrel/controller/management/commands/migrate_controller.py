"""`migrate_controller [--dbpath P]`."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration

from carrel.controller.management.base import actor
from carrel.controller.service import administration
from carrel.units.ignored import make_ignored


class Command(BaseCommand):
    help = "Make the controller's database, or bring it up to date."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--dbpath", type=Path, help="the SQLite file, when it is not the one of the settings")

    def handle(self, **options: Any) -> None:
        if connection.vendor == "sqlite":
            if options["dbpath"]:
                connection.close()
                connection.settings_dict["NAME"] = str(options["dbpath"].absolute())
            self.make_file(Path(str(connection.settings_dict["NAME"])))
        elif options["dbpath"]:
            raise CommandError("--dbpath names an SQLite file, and CARREL_DATABASE_URL a PostgreSQL database.")
        applied = self.migrate()
        if applied:
            administration.note("migrate_controller", actor(), applied=applied)

    def make_file(self, path: Path) -> None:
        if path.exists():
            return
        make_ignored(path.parent)
        path.touch(mode=0o600)
        self.stdout.write(f"created new db at {path}")

    def migrate(self) -> list[str]:
        executor = MigrationExecutor(connection)
        executor.loader.check_consistent_history(connection)
        before = set(executor.loader.applied_migrations)
        targets = executor.loader.graph.leaf_nodes()
        for migration in (m for m, _ in executor.migration_plan(targets, clean_start=True)):
            if (migration.app_label, migration.name) in before:
                self.stdout.write(f"Skipping migration {_named(migration)} as already applied")
        pending = [migration for migration, _ in executor.migration_plan(targets)]
        executor.migrate(targets)
        for migration in pending:
            self.stdout.write(f"Applied migration {_named(migration)}")
        return [f"{migration.app_label}.{migration.name}" for migration in pending]


def _named(migration: Migration) -> str:
    """`0001_initial` of the controller is `1:initial`; of another app `app 1:initial`."""
    number, _, name = migration.name.partition("_")
    shown = f"{int(number)}:{name}" if number.isdigit() else migration.name
    return shown if migration.app_label == "controller" else f"{migration.app_label} {shown}"
