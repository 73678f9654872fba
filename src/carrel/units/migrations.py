"""Whether Django's database is there and has every migration. The one module here that needs Django."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


def database_problem(command: str, app: str | None = None) -> str | None:
    """Return why the database cannot be used yet, in a sentence; None when it can.

    `command` makes the database or brings it up to date. `app`: look at the migrations of this app alone.
    """
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes(app))
    except DatabaseError:
        return "The database cannot be reached. Check WORKDIR or CARREL_DATABASE_URL."
    if not missing:
        return None
    if not executor.loader.applied_migrations:
        return f"The database does not exist. Create it with `{command}`."
    return f"The database is out of date by {len(missing)} migrations. Run `{command}`."
