"""URLs of the job server that stand before everything else: its pages outside of projects, sign-in, the machine API."""

from django.urls import URLPattern, URLResolver, include, path

from carrel.jobserver.api.urls import urlpatterns as api_urls
from carrel.jobserver.site_pages import PAGES

urlpatterns: list[URLPattern | URLResolver] = [
    *api_urls,
    *(page.url_pattern() for page in PAGES),
    path("accounts/", include("carrel.jobserver.account_urls")),
]
