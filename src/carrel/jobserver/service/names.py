"""Words that a project's slug or a workspace's name may not be, since pages of the site stand at them."""

import re

from carrel.jobserver.models.projects import WORKSPACE_NAME
from carrel.jobserver.service.changes import refuse

RESERVED_SLUGS = frozenset(
    """
    accounts api apply audit controller data event-log health-check healthz jobs job-requests login logout media
    metrics new openapi organisations orgs projects publish-repo readyz register releases repo robots.txt runs
    search settings staff static status usage users v1 workspaces
    """.split()  # noqa: SIM905  (one line each would be a page)
)
"""First words of the site's own addresses, or of those it may have one day; a test holds them to `urls.py`."""

RESERVED_WORKSPACE_NAMES = frozenset(
    """
    archive data edit feed logs new-workspace people published releases runs settings usage webhooks
    """.split()  # noqa: SIM905  (one line each would be a page)
)
"""What follows a project's slug in addresses of its own pages; a test holds them to `project_urls.py`."""

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check_slug(slug: str) -> None:
    """Raise ValidationError unless a project may stand at `/slug/`."""
    if not _SLUG.fullmatch(slug):
        raise refuse("Lower-case letters and digits, with single dashes between (health-insurance).", "slug")
    if slug in RESERVED_SLUGS:
        raise refuse(f"“{slug}” is the address of a page of this site. Choose another.", "slug")


def workspace_name(text: str) -> str:
    """Return a workspace's name as it is kept: lower case. Raises ValidationError."""
    name = text.strip().lower()
    if not re.fullmatch(WORKSPACE_NAME, name):
        raise refuse("Lower-case letters, digits, - and _ only: it is the name of a folder at every backend.", "name")
    if name in RESERVED_WORKSPACE_NAMES:
        raise refuse(f"“{name}” is the address of a page of every project. Choose another.", "name")
    return name
