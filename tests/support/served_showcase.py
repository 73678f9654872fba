"""The showcase served by a process of its own, with sign-ins to be used, and words planted for each backend.

One backend is known to staff alone, and one project to its people: whoever has no rights must find neither anywhere.
Run as a program, this module fills the database of the process's environment.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.support.waiting import free_port, until

ROOT = Path(__file__).parents[2]
HIDDEN_BACKEND, HIDDEN_PROJECT = "zanzibar", "quokka-study"
PLANTED = re.compile(r"planted.(north|south|west|zanzibar)")
SESSION, CSRF = "carrel_session", "carrel_csrf"
CSRF_TOKEN = "c" * 32
NOT_COUNTED = ("auditevent", "session", "sqlite_")
"""Tables that only looking and being refused write to."""


@dataclass(frozen=True, kw_only=True)
class ServedShowcase:
    """Where it is, what stands in addresses, jobs by backend, and the sessions of people by username."""

    url: str
    database: Path
    parts: dict[str, str]
    jobs: dict[str, str]
    hidden_paths: list[str]
    sessions: dict[str, str]

    def client(self, username: str = "") -> httpx.Client:
        """A program that has this person's cookies, or nobody's, and a CSRF token that counts."""
        cookies = {CSRF: CSRF_TOKEN} | ({SESSION: self.sessions[username]} if username else {})
        return httpx.Client(base_url=self.url, cookies=cookies, trust_env=False, timeout=30)

    def state(self) -> str:
        """All that is stored, but for the tables that looking writes to."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            lines = [line for line in connection.iterdump() if not any(word in line[:60] for word in NOT_COUNTED)]
        return "\n".join(lines)


@contextmanager
def served_showcase(folder: Path) -> Iterator[ServedShowcase]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    work = folder / "work"
    work.mkdir(parents=True)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "CARREL_APPS": "jobserver",
        "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
        "DJANGO_JOBSERVER_SECRET_KEY": "k" * 50,
        "WORKDIR": str(work),
        "JOBSERVER_URL": url,
        "ALLOW_LOCAL_GIT_REPOS": "true",
        "EMAIL_HOST": "127.0.0.1",
    }
    filled = subprocess.run(
        [sys.executable, "-m", "tests.support.served_showcase", str(folder)], env=env, capture_output=True, text=True
    )
    assert filled.returncode == 0, filled.stderr
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "carrel.web.serve", f"127.0.0.1:{port}"], env=env, stdout=log, stderr=log
        )
    try:

        def answers() -> bool:
            assert server.poll() is None, (folder / "server.log").read_text()
            try:
                return httpx.get(f"{url}/readyz", trust_env=False).is_success
            except httpx.TransportError:
                return False

        until(answers, "the showcase's server")
        yield ServedShowcase(url=url, database=work / "db.sqlite", **json.loads(filled.stdout))
    finally:
        server.terminate()
        server.wait(20)


def fill(folder: Path) -> dict[str, object]:
    """Make the showcase in an empty database, plant the words, sign people in."""
    import django

    django.setup()
    from django.core.management import call_command
    from tests.support.jobserver import add_job, add_person, add_project, add_request, add_run, add_workspace, browse
    from tests.support.showcase import add_showcase
    from tests.support.showcase_pages import parts_of
    from tests.support.showcase_site import add_catalogue, add_site, catalogue_of

    from carrel.jobserver.models import Backend, CatalogueVersion, Job, JobRequest

    call_command("migrate", verbosity=0)
    showcase = add_showcase(folder)
    add_site(showcase)
    Backend.objects.filter(pk=showcase.hidden.pk).update(slug=HIDDEN_BACKEND, name=HIDDEN_BACKEND)
    hidden = Backend.objects.get(slug=HIDDEN_BACKEND)
    study = add_project(HIDDEN_PROJECT, hidden, name="Quokka study", is_listed=False, purpose="Of the quokka.")
    add_person("hal", "ProjectDeveloper", project=study, fullname="Hal Hidden")
    quokkas = add_workspace(study, "quokkas", repo_url=showcase.workspace.repo_url, purpose="Count the quokka.")
    own_run = add_run(quokkas, showcase.staff, commit=showcase.commit)
    in_public = add_run(showcase.workspace, showcase.staff, commit=showcase.commit)
    requests = [
        add_request(run, backend, ("extract", "normalise"), status="failed")
        for run, backend in ((own_run, hidden), (in_public, hidden), (in_public, showcase.north))
    ]
    hidden_jobs = [add_job(request, "extract", "failed") for request in requests]
    for backend in Backend.objects.all():
        word = f"planted-{backend.slug}"
        Backend.objects.filter(pk=backend.pk).update(description=f"Holds {word}.", alert_timeout_seconds=86400)
        JobRequest.objects.filter(backend=backend).update(status_message=f"Heard {word}.")
        Job.objects.filter(backend=backend).update(status_message=f"Said {word}.", run_command=f"python:v2 {word}.py")
        if not backend.catalogues.exists():
            add_catalogue(backend, catalogue_of(backend.slug, {"visits": {"visits": "integer"}}))
        for version in CatalogueVersion.objects.filter(backend=backend):
            version.document["description"] = word
            version.document["databases"][0]["data_sets"][0]["description"] = word
            version.save()
    people = ("ann", "ben", "sam", "vic")
    return {
        "parts": parts_of(showcase),
        "jobs": {
            row.backend.slug: f"{row.request.run.get_absolute_url()}{row.identifier}/"
            for row in Job.objects.filter(workspace=showcase.workspace).order_by("-pk")
        },
        "hidden_paths": [
            f"/{HIDDEN_PROJECT}/",
            quokkas.get_absolute_url(),
            own_run.get_absolute_url(),
            *(f"{job.request.run.get_absolute_url()}{job.identifier}/" for job in hidden_jobs[:2]),
            *(f"/jobs/{job.identifier}/" for job in hidden_jobs[:2]),
            *(f"/job-requests/{request.pk}/" for request in requests[:2]),
            *(f"/{kind}/{HIDDEN_BACKEND}/" for kind in ("data", "status", "staff/backends")),
        ],
        "sessions": {
            name: browse(getattr(showcase, role)).cookies[SESSION].value
            for name, role in zip(people, ("researcher", "lead", "staff", "stranger"), strict=True)
        },
    }


if __name__ == "__main__":
    print(json.dumps(fill(Path(sys.argv[1]))))
