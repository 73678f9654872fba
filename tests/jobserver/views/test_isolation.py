"""Nothing of one backend ever shows under another, in any page of workspaces, runs and jobs, whatever was run where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from tests.support.every_page import ALL_PAGES, address
from tests.support.jobserver import (
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)

from carrel.jobserver.models import Backend, Job, Release, Role, RoleAssignment, RunGroup, Schedule, User, Workspace
from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service.tokens import create_personal_token
from carrel.jobserver.views.jobs import history_of
from carrel.jobserver.views.run_rows import earlier_request, last_success, parts_of, requests_of

SLUGS = ("north", "south", "west")
STATUSES = ("pending", "running", "succeeded", "failed")
JOBS = st.lists(st.tuples(st.sampled_from(["extract", "model"]), st.sampled_from(STATUSES)), max_size=3)
RUNS = st.lists(st.dictionaries(st.sampled_from(SLUGS), JOBS, min_size=1), min_size=1, max_size=4)


@dataclass
class World:
    """Runs of one workspace; each job's action and message name its backend, so that it is known wherever it shows."""

    workspace: Workspace
    person: User
    backends: dict[str, Backend]
    runs: list[RunGroup]


def build(runs: list[dict[str, list[tuple[str, str]]]], hidden: str) -> World:
    backends = {slug: add_backend(slug, is_listed=slug != hidden) for slug in SLUGS}
    project = add_project("alpha")
    world = World(add_workspace(project, "study"), add_person("ann"), backends, [])
    for parts in runs:
        run = add_run(world.workspace, world.person)
        for slug, jobs in parts.items():
            request = add_request(run, backends[slug], status="running", status_message=f"message-of-{slug}")
            for action, status in dict(jobs).items():
                message = f"message-of-{slug}"
                add_job(request, action, status, status_message=message, run_command=f"command-of-{slug}")
        world.runs.append(run)
    return world


class TestBackendsAreApart(TestCase):
    @settings(max_examples=12)
    @given(RUNS, st.sampled_from([*SLUGS, ""]))
    def test_in_every_page(self, runs: list[dict[str, Any]], hidden: str) -> None:
        world = build(runs, hidden)
        visible = [slug for slug in SLUGS if slug != hidden]
        for run in world.runs:
            slugs = set(run.requests.values_list("backend__slug", flat=True))
            answer = self.client.get(f"/alpha/study/{run.pk}/")
            assert answer.status_code == (200 if slugs & set(visible) else 404)
            if answer.status_code == 200:
                self.check_cards(answer.context["parts"])
            self.check_text(answer.content.decode(), hidden)
        for job in Job.objects.all():
            answer = self.client.get(f"/alpha/study/{job.request.run_id}/{job.identifier}/")
            slug = job.backend.slug
            assert answer.status_code == (404 if slug == hidden else 200)
            text = answer.content.decode()
            for other in set(SLUGS) - {slug}:
                assert f"message-of-{other}" not in text
                assert f"command-of-{other}" not in text
        for path in ("/alpha/study/logs/", "/runs/", "/alpha/study/logs/feed/", "/users/ann/logs/"):
            self.check_text(self.client.get(path).content.decode(), hidden)

    def check_cards(self, parts: list[Any]) -> None:
        for part in parts:
            slug = part.backend.slug
            assert part.request.status_message == f"message-of-{slug}"
            assert {row.job.status_message for row in part.rows} <= {f"message-of-{slug}"}
            assert {bar.backend for bar in part.bars} <= {slug}

    def check_text(self, text: str, hidden: str) -> None:
        if hidden:
            assert f"message-of-{hidden}" not in text
            assert f"<td>{hidden}</td>" not in text
            assert f"on-{hidden}" not in text

    @settings(max_examples=25)
    @given(RUNS)
    def test_in_every_comparison(self, runs: list[dict[str, Any]]) -> None:
        world = build(runs, "")
        request = CarrelRequest()
        request.person, request.rights = world.person, rights_of(world.person)
        for run in world.runs:
            for part in parts_of(run, requests_of(request, run), run.created_at):
                for succeeded in (True, False):
                    earlier = earlier_request(part.request, succeeded=succeeded)
                    assert earlier is None or earlier.backend_id == part.backend.pk
        for job in Job.objects.select_related("request__run"):
            before = last_success(job)
            assert before is None or before.backend_id == job.backend_id
            urls = {last.url.split("/")[-2] for last in history_of(request, job)["took"]}
            assert set(Job.objects.filter(identifier__in=urls).values_list("backend", flat=True)) == {job.backend_id}


HIDDEN = re.compile("secretplace|Secret Place")


def add_hidden_backend() -> dict[str, Any]:
    """Rows of every kind that name a backend which outsiders do not know of; returns the parts of paths to them."""
    north, hidden = add_backend("north"), add_backend("secretplace", name="Secret Place", is_listed=False)
    project = add_project("alpha", north, hidden)
    ann = add_person("ann", "ProjectDeveloper", project=project)
    role = Role.objects.get(name="ProjectCollaborator")
    RoleAssignment.objects.create(user=ann, role=role, project=project, backend=hidden)
    workspace = add_workspace(project, "study")
    only_there, both = add_run(workspace, ann), add_run(workspace, ann)
    add_job(add_request(only_there, hidden, status="failed"), "extract", "failed")
    add_job(add_request(both, hidden), "extract", "running")
    request = add_request(both, north)
    job = add_job(request, "extract")
    release = Release.objects.create(workspace=workspace, backend=hidden, created_by=ann)
    Schedule.objects.create(
        workspace=workspace, created_by=ann, cron="0 6 * * 1", actions={"north": ["a"], "secretplace": ["a"]}
    )
    return {
        "project": "alpha",
        "workspace": "study",
        "name": "study",
        "run": both.pk,
        "run_id": both.pk,
        "only_there": only_there.pk,
        "rap_id": request.identifier,
        "job": job.identifier,
        "identifier": job.identifier,
        "backend": "north",
        "slug": "north",
        "username": "ann",
        "pk": request.pk,
        "prefix": job.identifier,
        "release": release.pk,
        "release_id": release.pk,
    }


def answers(client: Client, parts: dict[str, Any], headers: dict[str, str]) -> Iterator[tuple[str, int, str]]:
    """Every page and every address of the API that is read: its path, status and text."""
    document = client.get("/api/v2/openapi.json").json()
    paths = [re.sub(r"\{(\w+)\}", lambda part: str(parts.get(part[1], "1")), path) for path in document["paths"]]
    for path in [*(address(page, parts) for page in ALL_PAGES), "/status/?format=json", "/register/?format=json"]:
        answer = client.get(path)
        yield path, answer.status_code, answer.getvalue().decode(errors="replace")
    for path in [*paths, f"/api/v2/runs/{parts['only_there']}", "/api/v2/runs?status=failed"]:
        answer = client.get(path, headers=headers)
        yield path, answer.status_code, answer.getvalue().decode(errors="replace")


@pytest.mark.django_db
@pytest.mark.parametrize("username", ["", "outsider"])
def test_a_hidden_backend_is_named_on_no_page_and_at_no_address_of_the_api(username: str) -> None:
    parts = add_hidden_backend()
    person = add_person(username) if username else None
    headers = {}
    if person:
        ends_at = timezone.now() + timedelta(days=1)
        headers["Authorization"] = f"Bearer {create_personal_token(person, 'all', list(Scope), ends_at, person)}"
    texts = {path: (status, text) for path, status, text in answers(browse(person), parts, headers)}
    opened = [path for path, (status, _) in texts.items() if status == 200]
    assert {"/alpha/", "/alpha/study/releases/", "/alpha/study/schedules/", "/runs/"} <= set(opened)
    assert [path for path, (_, text) in texts.items() if HIDDEN.search(text)] == []
    if person:
        assert texts["/api/v2/runs"][0] == 200
        assert '"count": 0' in texts["/api/v2/runs?status=failed"][1]
        assert texts[f"/api/v2/runs/{parts['only_there']}"][0] == 404
