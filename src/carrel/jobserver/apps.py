"""Django's record of the job server app."""

from django.apps import AppConfig


class JobServerConfig(AppConfig):
    name = "carrel.jobserver"
    label = "jobserver"
    verbose_name = "Job server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the library that signs people in tells."""
        from carrel.jobserver.service import sign_in

        sign_in.connect()
