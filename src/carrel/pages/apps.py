"""The Django app."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "carrel.pages"
    label = "pages"
