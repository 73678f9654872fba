"""Which app answers which path."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

if "jobserver" in settings.APPS:
    handler400 = "carrel.pages.errors.bad_request"
    handler403 = "carrel.pages.errors.forbidden"
    handler404 = "carrel.pages.errors.not_found"
    handler500 = "carrel.pages.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = []
if "jobserver" in settings.APPS:
    # Its home page and machine interfaces; its pages come last, since a project's address is any word.
    urlpatterns.append(path("", include("carrel.jobserver.urls")))
if "controller" in settings.APPS:
    urlpatterns.append(path("", include("carrel.controller.urls")))
if "jobserver" in settings.APPS:
    urlpatterns.append(path("", include("carrel.jobserver.project_urls")))
