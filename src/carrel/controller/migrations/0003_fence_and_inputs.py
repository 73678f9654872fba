from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("controller", "0002_events_append_only")]

    operations = [
        migrations.AddField(model_name="task", name="publish_allowed_at", field=models.DateTimeField(null=True)),
        migrations.AddField(model_name="job", name="input_job_ids", field=models.JSONField(default=dict)),
    ]
