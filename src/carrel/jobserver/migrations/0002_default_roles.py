"""The roles that a new site has."""

from django.db import migrations

from carrel.jobserver.rights.roles import DEFAULT_ROLES


def add_default_roles(apps, schema_editor):
    role = apps.get_model("jobserver", "Role")
    for default in DEFAULT_ROLES:
        role.objects.get_or_create(
            name=default.name,
            defaults={
                "title": default.title,
                "description": default.description,
                "scope": default.scope,
                "permissions": [str(permission) for permission in default.permissions],
            },
        )


class Migration(migrations.Migration):
    dependencies = [("jobserver", "0001_initial")]
    operations = [migrations.RunPython(add_default_roles, migrations.RunPython.noop)]
