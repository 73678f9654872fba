"""Every page of the job server by name, with its address among the rows of the showcase and who looks at it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.showcase import Showcase

PART = re.compile(r"<(?:\w+:)?(\w+)>")
DOWNLOADS = (".csv", ".jsonl", ".xml", "/bytes/", "/download/", "/published/<slug:file>/")
LEADS = ("project-people", "project-usage")
FURTHER = (
    ("home-signed-out", "/", "nobody"),
    ("register-signed-out", "/register/", "nobody"),
    ("data-table-patients", "/data/table/?name=patients", "ann"),
    ("data-search", "/data/?q=visits", "ann"),
    ("search-patient", "/search/?q=patient", "ann"),
    ("audit-filtered", "/staff/audit/?category=security", "sam"),
    ("sign-in", "/accounts/login/", "nobody"),
    ("sign-out", "/accounts/logout/", "ann"),
    ("password-reset", "/accounts/password/reset/", "nobody"),
    ("password-set", "/accounts/password/set/", "ann"),
    ("search-action", "/search/?q=vis", "ann"),
    ("api-page", "/api/v2/", "nobody"),
    ("not-found", "/health-insurance/not-made/by-anybody/", "ann"),
)
"""Pages that no table of pages has."""


def parts_of(showcase: Showcase) -> dict[str, str]:
    """What stands in an address for the named parts of a path."""
    file = showcase.workspace.release_files.filter(name__endswith="plan.csv").order_by("created_at").first()
    of_rows = {
        "file": file,
        "newer_file": showcase.workspace.release_files.order_by("created_at").last(),
        "draft": showcase.workspace.snapshots.order_by("pk").last(),
        "release": showcase.workspace.releases.order_by("created_at").first(),
        "snapshot": showcase.workspace.snapshots.order_by("pk").first(),
    }
    return {name: str(row.pk) for name, row in of_rows.items() if row is not None} | {
        "project": showcase.project.slug,
        "workspace": showcase.workspace.name,
        "run": str(showcase.running.pk),
        "job": showcase.failed_job.identifier,
        "rap_id": showcase.failed_job.request.identifier,
        "backend": showcase.north.slug,
        "username": showcase.researcher.username,
        "commit": showcase.commit,
        "slug": "leiford",
        "name": "OutputChecker",
    }


def pages_of(parts: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each page's name, its path, and who looks at it.

    Staff look at theirs, a project's lead at its people, a researcher at all others.
    """
    from carrel.jobserver.project_urls import PROJECT_PAGES
    from carrel.jobserver.urls import PAGES

    yield from FURTHER
    for page in (*PAGES, *PROJECT_PAGES):
        if all(name in parts for name in PART.findall(page.path)) and not page.path.endswith(DOWNLOADS):
            path = PART.sub(lambda match: parts[match[1]], page.path)
            by = "sam" if path.startswith(("staff/", "usage/")) else "ben" if page.name in LEADS else "ann"
            yield page.name, f"/{path}", by
            if page.name == "output-file":
                yield "output-file-beside", f"/{path}?beside=backends", by
                yield "output-file-compared", f"/{path}?compare={parts['newer_file']}", by
            if page.name == "snapshot":
                yield "snapshot-draft", f"/{path.replace(parts['snapshot'], parts['draft'])}", "sam"


def is_a_page(answer: Any) -> bool:
    """Not a file, a feed, a part of a page, or an address that only takes forms."""
    is_html = answer.headers["Content-Type"].startswith("text/html")
    return is_html and answer.status_code in (200, 403, 404) and b"<html" in answer.content
