"""Django's record of the controller app."""

from django.apps import AppConfig


class ControllerConfig(AppConfig):
    name = "carrel.controller"
    label = "controller"
    default_auto_field = "django.db.models.BigAutoField"
