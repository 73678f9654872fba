"""Django's record of the review app."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    name = "carrel.review"
    label = "review"
    verbose_name = "Review site"
    default_auto_field = "django.db.models.BigAutoField"
