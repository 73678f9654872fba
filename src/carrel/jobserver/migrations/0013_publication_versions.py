"""Publications have numbers; those that were approved before get theirs in the order of their first approval."""

from typing import Any

from django.db import migrations, models


def number_publications(apps: Any, _schema_editor: Any) -> None:
    """Number the snapshots of each workspace that were ever public."""
    requests = apps.get_model("jobserver", "PublishRequest").objects.filter(decision="approved")
    latest: dict[int, int] = {}
    for request in requests.select_related("snapshot").order_by("decision_at", "pk"):
        snapshot = type(request.snapshot).objects.get(pk=request.snapshot_id)
        if snapshot.version is None:
            latest[snapshot.workspace_id] = snapshot.version = latest.get(snapshot.workspace_id, 0) + 1
            snapshot.save(update_fields=["version"])


class Migration(migrations.Migration):
    dependencies = [
        ("jobserver", "0012_request_was_cancelled"),
    ]

    operations = [
        migrations.AddField(
            model_name="publishrequest",
            name="is_told",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="version",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.RunPython(number_publications, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name="snapshot",
            constraint=models.UniqueConstraint(fields=("workspace", "version"), name="snapshot_version_once"),
        ),
    ]
