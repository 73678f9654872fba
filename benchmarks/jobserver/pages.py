"""Server time of every page with 1,000,000 jobs, 50,000 requests and 2,000 workspaces, for somebody with all rights.

Processor time, through Django's own request handling, median and p95 of several; the floor is a page that holds
nothing but what stands round every page. Two studies are real repositories: one of 20 actions, one of 500 on four
backends. Targets (job-server.md part 1): 100 ms, the run page of 500 actions 300 ms, and 150 kB (pages.md section 4).
The first run fills a database in the temp folder (some minutes, 1 GB), which later runs use again.
`python -m benchmarks.jobserver.pages [PART-OF-A-NAME ...]`.
"""

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, cpu_seconds

TARGET = 0.1
LARGE_RUN_PAGE_TARGET = 0.3
MAX_KILOBYTES = 150
RUNS = 11
SHOWN = 10
LARGE = "large-study"
LARGE_ACTIONS = 500
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
    from carrel.jobserver.project_urls import PROJECT_PAGES
    from carrel.jobserver.urls import PAGES

    large = lay_out_studies(folder)
    floor = statistics.median(server_seconds(client, EMPTY_PAGE))
    print(f"floor: a page with nothing in it takes {floor * 1000:.1f} ms")
    measured = [
        measure(client, page.name, path, floor, TARGET)
        for page, path in addresses((*PAGES, *PROJECT_PAGES), busiest())
        if (not parts or any(part in page.name for part in parts)) and is_page(client, path)
    ]
    measured += [
        measure(client, f"{name} of 500 actions", f"{large}{path}", floor, target)
        for name, path, target in (("workspace", "", TARGET), ("run-actions", "run/", LARGE_RUN_PAGE_TARGET))
        if not parts or any(part in name for part in parts)
    ]
    slow = [page for page in measured if not page.figure.good]
    big = [page.figure.name for page in measured if page.kilobytes > MAX_KILOBYTES]
    print(f"\nthe {SHOWN} slowest")
    for page in sorted(measured, key=lambda page: -page.figure.seconds)[:SHOWN]:
        print(page)
    print(f"{len(measured)} pages, {len(slow)} slower than they may be, {len(big)} larger: {', '.join(big) or 'none'}")
    return 1 if slow or big else 0


@dataclass(frozen=True)
class Measured:
    """One page: its median time, the time that 95 % of its answers keep, its size and its questions to the database."""

    figure: Figure
    p95: float
    kilobytes: float
    queries: int

    def __str__(self) -> str:
        return f"{self.figure}   p95 {self.p95 * 1000:6.1f} ms   {self.kilobytes:5.0f} kB   {self.queries:3} queries"


def measure(client: Any, name: str, path: str, floor: float, target: float) -> Measured:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = server_seconds(client, path)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    figure = Figure(f"{name} {path}"[:52], statistics.median(times), floor, target)
    p95 = statistics.quantiles(times, n=20)[18]
    measured = Measured(figure, p95, len(answer.content) / 1000, len(queries))
    print(measured, flush=True)
    return measured


def lay_out_studies(folder: Path) -> str:
    """Give the busiest workspace a repository, and make one of 500 actions; return the address of that workspace."""
    from benchmarks.jobserver.data import ACTIONS, ANN, START, insert, job_rows, project_yaml
    from carrel.jobserver.models import Backend, Job, JobRequest, Project, RunGroup, User, Workspace
    from carrel.repos.snapshot import commit_folder

    commits = {}
    for name, actions in (("study", ACTIONS), (LARGE, LARGE_ACTIONS)):
        source = folder / name
        source.mkdir(exist_ok=True)
        (source / "project.yaml").write_text(project_yaml(actions))
        commits[name] = commit_folder(source, folder / f"{name}.git", message="The study")
    project = Project.objects.get(slug="project-1")
    Workspace.objects.filter(name=project.workspaces.earliest("pk").name).update(repo_url=str(folder / "study.git"))
    ann = User.objects.get(username=ANN)
    workspace, is_new = Workspace.objects.get_or_create(
        name=LARGE, project=project, repo_url=str(folder / f"{LARGE}.git"), branch="main", created_by=ann
    )
    if is_new:
        definition = RunGroup.objects.earliest("pk").definition
        run = RunGroup.objects.create(
            workspace=workspace, commit=commits[LARGE], branch="main", definition=definition, codelists_ok=True,
            database_name="default", notify="end", submission_key="seed-large", created_at=START, created_by=ann,
        )  # fmt: skip
        for number, backend in enumerate(Backend.objects.all()):
            request = JobRequest.objects.create(
                identifier=f"large{number:011}", run=run, backend=backend, workspace=workspace, status="succeeded",
                requested_actions=["run_all"], created_at=START, updated_at=START, created_by=ann,
            )  # fmt: skip
            described = [(request.pk, workspace.pk, backend.pk, START, "succeeded")]
            insert(Job, job_rows(described, LARGE_ACTIONS, f"k{number}"))
    return workspace.get_absolute_url()


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
    """Whether this path is a page: no export that streams, live part or place for a form, and it leads nowhere else."""
    answer = client.get(path)
    if answer.status_code >= 500 and not path.endswith("/db-availability"):
        raise SystemExit(f"{path} answered {answer.status_code}")
    return not answer.streaming and answer.status_code in (200, 404)


def server_seconds(client: Any, path: str) -> list[float]:
    """Processor times of answering this path; what the first answer sets up is not counted."""
    client.get(path)
    return [cpu_seconds(lambda: client.get(path).content) for _ in range(RUNS)]


def addresses(pages: Iterable[Any], parts: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """Each page that can be asked for, with its path."""
    from tests.support.showcase_pages import PART

    for page in pages:
        if all(name in parts for name in PART.findall(page.path)):
            yield page, "/" + PART.sub(lambda match: str(parts[match[1]]), page.path)


def busiest() -> dict[str, Any]:
    """What stands in the addresses of a busy project, workspace and run."""
    from carrel.jobserver.models import Job, Project

    project = Project.objects.get(slug="project-1")
    workspace = project.workspaces.earliest("pk")
    job = Job.objects.filter(workspace=workspace).select_related("request").latest("pk")
    return {
        "project": project.slug,
        "workspace": workspace.name,
        "run": job.request.run_id,
        "job": job.identifier,
        "rap_id": job.request.identifier,
        "backend": "north",
        "username": "person1",
        "name": "OutputChecker",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
