"""All pages of the staff area."""

from itertools import chain

from carrel.jobserver.rights.access import Page
from carrel.jobserver.views.staff import backends, notices, organisations, overview, people, projects, requests, roles

PAGES: list[Page] = list(
    chain(
        overview.PAGES,
        backends.PAGES,
        people.PAGES,
        roles.PAGES,
        projects.PAGES,
        organisations.PAGES,
        notices.PAGES,
        requests.PAGES,
    )
)
