"""The machine API's paths, before the site's pages."""

from django.urls import URLPattern, URLResolver, path

from carrel.jobserver.api import first
from carrel.jobserver.api.app import ROOT, build, other_form, url_patterns
from carrel.jobserver.api.document import views

api = build()
_patterns = url_patterns(api)
_document, _page = views(api)

urlpatterns: list[URLPattern | URLResolver] = [
    *first.urlpatterns,
    path(f"{ROOT}openapi.json", _document, name="api-document"),
    path(ROOT, _page, name="api-page"),
    path(ROOT, (_patterns, "ninja", api.urls_namespace)),
    path(f"{ROOT}<path:rest>", other_form(_patterns)),
]
