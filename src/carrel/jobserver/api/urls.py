"""The machine API's paths, before the site's pages."""

from django.urls import URLPattern, URLResolver, path

from carrel.jobserver.api.app import ROOT, build, other_form, url_patterns

api = build()
_patterns = url_patterns(api)

urlpatterns: list[URLPattern | URLResolver] = [
    path(ROOT, (_patterns, "ninja", api.urls_namespace)),
    path(f"{ROOT}<path:rest>", other_form(_patterns)),
]
