"""All pages of the job server by their addresses: rows for each part that a path names, and the path with them."""

import re
from typing import Any

from tests.support import jobserver as rows

from carrel.jobserver.models import ProjectDefinition, Requirement
from carrel.jobserver.project_urls import PROJECT_PAGES
from carrel.jobserver.rights.access import Page
from carrel.jobserver.urls import PAGES

ALL_PAGES = [*PAGES, *PROJECT_PAGES]
PART = re.compile(r"<(?:(\w+):)?(\w+)>")
OTHER_PARTS = {"int": "1", "slug": "none", "str": "none", "path": "none", "uuid": "0" * 32}
"""What stands for a part of a path that names no row of those below."""


def add_parts() -> dict[str, Any]:
    """Add a row of each kind that paths name. The project is not in the register."""
    author = rows.add_person("author")
    backend = rows.add_backend("north")
    project = rows.add_project("hidden-study", backend, is_listed=False)
    workspace = rows.add_workspace(project, "hidden-workspace")
    definition = ProjectDefinition.objects.create(digest="d" * 64, text="version: '4.0'\nactions: {}\n")
    run = rows.add_run(workspace, author, definition=definition)
    request = rows.add_request(run, backend)
    job = rows.add_job(request, "extract")
    Requirement.objects.create(slug="none", name="An agreement", kind="agreement")
    return {
        "project": project.slug,
        "workspace": workspace.name,
        "run": run.pk,
        "rap_id": request.identifier,
        "job": job.identifier,
        "backend": backend.slug,
        "username": author.username,
        "pk": request.pk,
        "prefix": job.identifier,
    }


def address(page: Page, parts: dict[str, Any]) -> str:
    """Return the page's path with these parts filled in."""
    return "/" + PART.sub(lambda part: str(parts.get(part[2], OTHER_PARTS[part[1] or "str"])), page.path)
