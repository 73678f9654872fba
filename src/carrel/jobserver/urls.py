"""URLs of the job server that stand before everything else: its pages outside of projects, sign-in, the machine API."""

from itertools import chain

from django.urls import URLPattern, URLResolver, include, path

from carrel.jobserver.api.urls import urlpatterns as api_urls
from carrel.jobserver.rights.access import Page
from carrel.jobserver.views import (
    account,
    audit,
    data,
    home,
    logs,
    organisations,
    probes,
    projects,
    register,
    runs,
    search,
    status,
    usage,
)
from carrel.jobserver.views.staff import pages as staff

PAGES: list[Page] = list(
    chain(
        home.PAGES,
        account.PAGES,
        status.PAGES,
        probes.PAGES,
        projects.PAGES,
        organisations.PAGES,
        runs.PAGES,
        logs.PAGES,
        data.PAGES,
        search.PAGES,
        register.PAGES,
        usage.PAGES,
        audit.PAGES,
        staff.PAGES,
    )
)
"""All pages but those of one project (`project_urls.py`)."""

urlpatterns: list[URLPattern | URLResolver] = [
    *api_urls,
    *(page.url_pattern() for page in PAGES),
    path("accounts/", include("carrel.jobserver.account_urls")),
]
