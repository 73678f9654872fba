"""Which app answers which path."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("controller/v1/", include("carrel.controller.rap_api_urls")),
    path("", include("carrel.controller.urls")),
]
