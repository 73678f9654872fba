"""URLs that begin with a project's slug (`/health-insurance/...`): they come last, since a slug is any word."""

from itertools import chain

from django.urls import URLPattern, URLResolver

from carrel.jobserver.rights.access import Page
from carrel.jobserver.views import (
    data,
    downloads,
    jobs,
    logs,
    output_files,
    outputs,
    projects,
    publications,
    pushes,
    run_page,
    runs,
    schedules,
    usage,
    webhooks,
    workspace,
)


def names_first(page: Page) -> list[bool]:
    """Sort pages by this, so that `logs/` in a path is that page, and no workspace (or job) of the name."""
    return [part.startswith("<") for part in page.path.split("/")]


PROJECT_PAGES: list[Page] = sorted(
    chain(
        projects.PROJECT_PAGES,
        usage.PROJECT_PAGES,
        data.PROJECT_PAGES,
        workspace.PROJECT_PAGES,
        run_page.PROJECT_PAGES,
        logs.PROJECT_PAGES,
        webhooks.PROJECT_PAGES,
        schedules.PROJECT_PAGES,
        runs.PROJECT_PAGES,
        jobs.PROJECT_PAGES,
        outputs.PROJECT_PAGES,
        output_files.PROJECT_PAGES,
        downloads.PROJECT_PAGES,
        pushes.PROJECT_PAGES,
        publications.PROJECT_PAGES,
    ),
    key=names_first,
)

urlpatterns: list[URLPattern | URLResolver] = [page.url_pattern() for page in PROJECT_PAGES]
