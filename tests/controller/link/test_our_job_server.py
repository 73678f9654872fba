"""The link with Carrel's own job server over real HTTP: a person's request is run and told, refused, cancelled."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from tests.controller.link.conftest import link_environment
from tests.controller.rap.conftest import Study
from tests.support.controller_server import Live
from tests.support.crash_scenario import step
from tests.support.job_server import JobServer
from tests.support.jobserver import add_backend, add_person, add_project, add_request, add_run, add_workspace
from tests.support.waiting import until

from carrel.clients.job_server import JobServerClient


@dataclass
class Site:
    """A person's workspace on a job server, and the link of the controller for its backend `test`."""

    link: Any
    backend: Any
    workspace: Any
    person: Any
    study: Study

    def ask(self, *actions: str, **fields: Any) -> Any:
        run = add_run(self.workspace, self.person, commit=self.study.commit, branch="main")
        return add_request(run, self.backend, actions, sent_at=None, **fields)


@pytest.fixture
def site(
    database: Any, controller_env: pytest.MonkeyPatch, tmp_path: Path, study: Study, settings: LazySettings
) -> Iterator[Site]:
    from carrel.controller.link.exchange import Link
    from carrel.jobserver.service.tokens import create_backend_token

    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ROOT_URLCONF = "carrel.web.urls"
    backend = add_backend("test")
    project = add_project("cancer", backend)
    workspace = add_workspace(project, "survival", repo_url=str(study.path))
    person = add_person("ann", "ProjectDeveloper", project=project)
    live = Live()
    for name, value in link_environment(tmp_path, JobServer(url=f"{live.url}/api/v2/")).items():
        controller_env.setenv(name, value)
    try:
        with JobServerClient(f"{live.url}/api/v2/", create_backend_token(backend, "a test")) as client:
            yield Site(Link("test", client), backend, workspace, person, study)
    finally:
        live.close()


def test_a_persons_requests_are_run_cancelled_and_refused(site: Site) -> None:
    from carrel.controller.models import JobServerLink

    runs = site.ask("plot")
    refused = site.ask("unheard_of")
    idle = site.ask("plot")
    site.link.once()
    assert JobServerLink.objects.get().problem == ""
    assert {job.action for job in runs.jobs.all()} == {"extract", "model", "plot"}
    for request in (refused, idle):
        request.refresh_from_db()
        assert not request.jobs.exists()
    assert (refused.status, idle.status) == ("failed", "nothing_to_do")
    assert "unheard_of" in refused.status_message
    runs.cancelled_actions = ["plot"]
    runs.save()
    while step():
        site.link.once()
    site.link.once()
    statuses = dict(runs.jobs.values_list("action", "status_code"))
    assert statuses == {"extract": "succeeded", "model": "succeeded", "plot": "cancelled_by_user"}
    runs.refresh_from_db()
    assert runs.status == "failed"


def test_more_requests_than_a_page_holds(site: Site) -> None:
    requests = [site.ask("unheard_of") for _ in range(101)]
    plot = site.ask("plot")

    def answered() -> bool:
        """One exchange creates jobs for a bounded time; a busy machine needs another for the rest."""
        site.link.once()
        for request in requests:
            request.refresh_from_db()
        return all(request.status == "failed" for request in requests) and plot.jobs.exists()

    until(answered, "all requests of all pages were answered", 200)
    assert plot.jobs.count() == 3
