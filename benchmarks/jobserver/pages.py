"""Server time of every page with 1,000,000 jobs, 50,000 requests and 2,000 workspaces, for somebody with all rights.

Processor time, through Django's own request handling, median of several; the floor is a page that holds nothing but
what stands round every page. Target (job-server.md part 1): 100 ms. The first run fills a database in the temp folder
(some minutes, 1 GB), which later runs use again. `python -m benchmarks.jobserver.pages [PART-OF-A-NAME ...]`.
"""

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.screenshots import PART

from benchmarks.measure import Figure, cpu_seconds

TARGET = 0.1
RUNS = 7
EMPTY_PAGE = "/projects/no-such-page/"
SEED = Path(__file__).with_name("data.py")
MIGRATIONS = Path(__file__).parents[2] / "src" / "carrel" / "jobserver" / "migrations"


def main(parts: list[str]) -> int:
    folder = prepared_folder()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
        "CARREL_APPS": "jobserver",
        "WORKDIR": str(folder),
        "ALLOW_LOCAL_GIT_REPOS": "true",
    }
    import django

    django.setup()
    import logging

    from django.core.management import call_command

    from benchmarks.jobserver.data import ANN, seed
    from carrel.jobserver.models import User

    logging.disable(logging.WARNING)  # the empty page is an error page
    if not (folder / "filled").exists():
        begin = time.monotonic()
        call_command("migrate", verbosity=0)
        seed()
        (folder / "filled").touch()
        print(f"filled {folder} in {time.monotonic() - begin:.0f} s")
    from django.test import Client

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username=ANN), "allauth.account.auth_backends.AuthenticationBackend")
    floor = server_seconds(client, EMPTY_PAGE)
    print(f"floor: a page with nothing in it takes {floor * 1000:.1f} ms")
    figures = []
    for name, path in pages():
        if (parts and not any(part in name for part in parts)) or not is_page(client, path):
            continue
        figure = Figure(f"{name} {path}"[:52], server_seconds(client, path), floor, TARGET)
        print(f"{figure}   {len(client.get(path).content) / 1000:.0f} kB", flush=True)
        figures.append(figure)
    slow = [figure.name for figure in figures if not figure.good]
    print(f"{len(figures)} pages, {len(slow)} slower than {TARGET * 1000:.0f} ms of server time")
    return 1 if slow else 0


def prepared_folder() -> Path:
    """A folder for the database that these migrations and this seed make."""
    texts = b"".join(path.read_bytes() for path in [SEED, *sorted(MIGRATIONS.glob("*.py"))])
    folder = Path(tempfile.gettempdir()) / f"carrel-bench-jobserver-{hashlib.sha256(texts).hexdigest()[:12]}"
    folder.mkdir(exist_ok=True)
    if not (folder / "filled").exists():
        for leftover in folder.glob("db.sqlite*"):
            leftover.unlink()
    return folder


def is_page(client: Any, path: str) -> bool:
    """Whether this path is a page, not an export that streams, nor one that only leads elsewhere."""
    answer = client.get(path)
    return not answer.streaming and answer.status_code not in (301, 302, 303)


def server_seconds(client: Any, path: str) -> float:
    """Median processor time of answering this path; what the first answer sets up is not counted."""
    answer = client.get(path)
    if answer.status_code not in (200, 404):
        raise SystemExit(f"{path} answered {answer.status_code}")
    return statistics.median(cpu_seconds(lambda: client.get(path).content) for _ in range(RUNS))


def pages() -> Iterator[tuple[str, str]]:
    """Name and path of each page that can be asked for, of the busiest project, workspace and run."""
    from carrel.jobserver.models import Job, Project
    from carrel.jobserver.project_urls import PROJECT_PAGES
    from carrel.jobserver.urls import PAGES

    project = Project.objects.get(slug="project-1")
    workspace = project.workspaces.first()
    job = Job.objects.filter(workspace=workspace).select_related("request").latest("pk")
    parts = {
        "project": project.slug,
        "workspace": workspace.name,
        "run": job.request.run_id,
        "job": job.identifier,
        "rap_id": job.request.identifier,
        "backend": "north",
        "username": "person1",
    }
    for page in (*PAGES, *PROJECT_PAGES):
        if all(name in parts for name in PART.findall(page.path)):
            yield page.name, "/" + PART.sub(lambda match: str(parts[match[1]]), page.path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
