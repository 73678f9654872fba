"""Audit events are append only in the database too, whoever writes there."""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER review_audit_no_update BEFORE UPDATE ON review_auditevent
       BEGIN SELECT RAISE(ABORT, 'audit events are append only'); END""",
    """CREATE TRIGGER review_audit_no_delete BEFORE DELETE ON review_auditevent
       BEGIN SELECT RAISE(ABORT, 'audit events are append only'); END""",
]
SQLITE_REVERSE = ["DROP TRIGGER review_audit_no_update", "DROP TRIGGER review_audit_no_delete"]

# One trigger per statement, not per row, so that TRUNCATE is refused as well.
POSTGRESQL = [
    """CREATE FUNCTION review_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'audit events are append only'; END $$""",
    """CREATE TRIGGER review_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON review_auditevent
       FOR EACH STATEMENT EXECUTE FUNCTION review_audit_append_only()""",
]
POSTGRESQL_REVERSE = [
    "DROP TRIGGER review_audit_append_only ON review_auditevent",
    "DROP FUNCTION review_audit_append_only",
]


def _run(sqlite, postgresql):
    def operation(apps, schema_editor):
        for statement in postgresql if schema_editor.connection.vendor == "postgresql" else sqlite:
            schema_editor.execute(statement)

    return operation


class Migration(migrations.Migration):
    dependencies = [("review", "0001_initial")]
    operations = [migrations.RunPython(_run(SQLITE, POSTGRESQL), _run(SQLITE_REVERSE, POSTGRESQL_REVERSE))]
