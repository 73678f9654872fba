from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("controller", "0003_fence_and_inputs")]

    operations = [
        migrations.CreateModel(
            name="JobServerLink",
            fields=[
                ("backend", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("holder", models.CharField(blank=True, default="", max_length=64)),
                ("lease_expires_at", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("problem", models.TextField(blank=True, default="")),
                ("problem_since", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="LinkedRequest",
            fields=[
                ("rap_id", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("backend", models.CharField(max_length=100)),
                ("seen_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["backend", "settled_at"], name="linked_unsettled")],
            },
        ),
    ]
