"""Django's record of the job server app."""

from django.apps import AppConfig


class JobServerConfig(AppConfig):
    name = "carrel.jobserver"
    label = "jobserver"
    verbose_name = "Job server"
    default_auto_field = "django.db.models.BigAutoField"
