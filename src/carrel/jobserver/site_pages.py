"""All pages of the site but those of one project (`project_urls.py`), room by room."""

from itertools import chain

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
    publications,
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
        publications.PAGES,
        staff.PAGES,
    )
)
