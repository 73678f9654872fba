"""The latest job of each action on each backend, from real rows on both databases."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.support.jobserver import (
    COMMIT,
    START,
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
)

from carrel.jobs.statuses import State, StatusCode
from carrel.jobserver.queries import latest
from carrel.jobserver.queries.latest import countable_states, latest_states, usual_seconds

pytestmark = pytest.mark.django_db
ACTIONS = ["extract", "normalise", "visits"]


@pytest.fixture
def site():
    """Two backends, and a function that adds a job `minutes` after the start."""
    person, workspace = add_person(), add_workspace(add_project())
    north, south = add_backend("north", position=1), add_backend("south", position=2)

    def ran(backend, action, status="succeeded", minutes=0, **fields):
        request = add_request(add_run(workspace, person), backend)
        return add_job(request, action, status, created_at=START + timedelta(minutes=minutes), **fields)

    return workspace, [north, south], ran


def test_the_latest_of_each_backend(site):
    workspace, backends, ran = site
    ran(backends[0], "extract", "failed", 0)
    second = ran(backends[0], "extract", "succeeded", 5)
    other = ran(backends[1], "extract", "running", 1)
    ran(backends[1], "elsewhere", "succeeded", 1)
    states = latest_states(workspace, backends, ACTIONS)
    assert {cell: state.identifier for cell, state in states.items()} == {
        ("north", "extract"): second.identifier,
        ("south", "extract"): other.identifier,
    }
    assert states["north", "extract"].commit == COMMIT
    assert states["north", "extract"].run_id == second.request.run_id
    assert states["north", "extract"].rap_id == second.request.identifier


def test_another_workspace_has_its_own(site):
    workspace, backends, ran = site
    ran(backends[0], "extract")
    assert latest_states(add_workspace(workspace.project), backends, ACTIONS) == {}


def test_nothing_to_ask_for(site):
    workspace, backends, _ = site
    assert latest_states(workspace, [], ACTIONS) == {}
    assert latest_states(workspace, backends, []) == {}


def test_planning_passes_over_what_was_cancelled(site):
    workspace, backends, ran = site
    success = ran(backends[0], "extract", "succeeded", 0)
    ran(backends[0], "extract", "failed", 1, status_code="cancelled_by_user")
    older = ran(backends[0], "visits", "failed", 0)
    stopping = ran(backends[0], "visits", "running", 1)
    stopping.request.cancelled_actions = ["visits"]
    stopping.request.save()
    ran(backends[1], "extract", "failed", 1, status_code="cancelled_by_user")
    states = latest_states(workspace, backends, ACTIONS)
    assert states["north", "visits"].is_being_cancelled
    planned = countable_states(workspace, backends, states)
    assert {action: job.id for action, job in planned["north"].items()} == {
        "extract": success.identifier,
        "visits": older.identifier,
    }
    assert planned["south"] == {}


def test_codes_that_nobody_knows(site):
    workspace, backends, ran = site
    ran(backends[0], "extract", "failed", status_code="new_in_2030")
    ran(backends[0], "visits", "mystery")
    planned = countable_states(workspace, backends, latest_states(workspace, backends, ACTIONS))
    assert planned["north"]["extract"].status_code is StatusCode.JOB_ERROR
    assert planned["north"]["extract"].state is State.FAILED
    assert "visits" not in planned["north"]


def test_how_long_an_action_usually_takes(site):
    workspace, backends, ran = site
    for minutes, seconds in enumerate([1000, 10, 30, 20]):
        started = START + timedelta(minutes=minutes)
        ran(
            backends[0],
            "extract",
            minutes=minutes,
            started_at=started,
            completed_at=started + timedelta(seconds=seconds),
        )
    ran(backends[0], "extract", "failed", 9)
    cells = [("north", "extract"), ("south", "extract")]
    assert usual_seconds(workspace, backends, cells) == {("north", "extract"): 20.0}


def test_many_actions_are_few_questions(site, monkeypatch):
    monkeypatch.setattr(latest, "ACTIONS_AT_ONCE", 2)
    workspace, backends, ran = site
    for action in ACTIONS:
        ran(backends[0], action)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len(latest_states(workspace, backends, ACTIONS)) == 3
    assert len(queries) == 2


def test_the_question_uses_the_index(site):
    workspace, backends, ran = site
    ran(backends[0], "extract")
    with CaptureQueriesContext(connection) as queries:
        latest_states(workspace, backends, ACTIONS)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # a table of one row needs no index
        cursor.execute(f"EXPLAIN {'QUERY PLAN' if connection.vendor == 'sqlite' else ''} {queries[0]['sql']}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "jobserver_job_latest" in plan
