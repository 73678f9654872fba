"""Events are append only in the database too, whoever writes there."""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER event_no_update BEFORE UPDATE ON controller_event
       BEGIN SELECT RAISE(ABORT, 'events are append only'); END""",
    """CREATE TRIGGER event_no_delete BEFORE DELETE ON controller_event
       BEGIN SELECT RAISE(ABORT, 'events are append only'); END""",
]
SQLITE_REVERSE = ["DROP TRIGGER event_no_update", "DROP TRIGGER event_no_delete"]

# One trigger per statement, not per row, so that TRUNCATE is refused as well.
POSTGRESQL = [
    """CREATE FUNCTION event_append_only() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'events are append only'; END $$""",
    """CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON controller_event
       FOR EACH STATEMENT EXECUTE FUNCTION event_append_only()""",
]
POSTGRESQL_REVERSE = ["DROP TRIGGER event_append_only ON controller_event", "DROP FUNCTION event_append_only"]


def _run(sqlite, postgresql):
    def operation(apps, schema_editor):
        for statement in postgresql if schema_editor.connection.vendor == "postgresql" else sqlite:
            schema_editor.execute(statement)

    return operation


class Migration(migrations.Migration):
    dependencies = [("controller", "0001_initial")]
    operations = [migrations.RunPython(_run(SQLITE, POSTGRESQL), _run(SQLITE_REVERSE, POSTGRESQL_REVERSE))]
