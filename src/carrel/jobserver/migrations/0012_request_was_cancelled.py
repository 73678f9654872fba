"""Tells requests that were cancelled from those that failed, those of before too."""

from typing import Any

from django.db import migrations, models
from django.db.models import Exists, OuterRef, Q


def mark_cancelled(apps: Any, _editor: Any) -> None:
    """As `failed_by_cancelling` has it."""
    requests = apps.get_model("jobserver", "JobRequest").objects.filter(status="failed")
    jobs = apps.get_model("jobserver", "Job").objects.filter(request=OuterRef("pk"))
    cancelled = Q(status="failed", status_code="cancelled_by_user")
    failed = jobs.filter(status="failed").exclude(cancelled)
    by_jobs = requests.filter(Exists(jobs.filter(cancelled)), ~Exists(failed))
    before_jobs = requests.filter(~Exists(jobs)).exclude(cancelled_actions=[])
    keys = [*by_jobs.values_list("pk", flat=True), *before_jobs.values_list("pk", flat=True)]
    for start in range(0, len(keys), 500):
        requests.filter(pk__in=keys[start : start + 500]).update(was_cancelled=True)


class Migration(migrations.Migration):
    dependencies = [
        ("jobserver", "0011_run_as_asked"),
    ]

    operations = [
        migrations.AddField(
            model_name="jobrequest",
            name="was_cancelled",
            field=models.BooleanField(default=False),
        ),
        migrations.RunPython(mark_cancelled, migrations.RunPython.noop),
    ]
