"""Asking for a run: what is checked, what is stored, and that pressing twice makes one."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from django.utils import timezone
from tests.support.jobserver import add_backend, add_job, add_person, add_project, add_request, add_run, browse
from tests.support.studies import FILES, PROJECT, follow_study, make_study, study_site

from carrel.jobserver.models import (
    AuditEvent,
    Backend,
    CatalogueVersion,
    JobRequest,
    ProjectDefinition,
    RunGroup,
    Schedule,
)
from carrel.jobserver.service import submissions
from carrel.jobserver.service.submissions import Submission, SubmissionError, submit

__all__ = ["study_site"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def repo(study_site: Path):
    return make_study(study_site / "study")


@pytest.fixture
def submission(repo) -> Submission:
    north, south = add_backend("north"), add_backend("south")
    project = add_project("health", north, south)
    person = add_person("ann", "ProjectDeveloper", project=project)
    for backend in (north, south):
        backend.memberships.create(user=person)
    return Submission(
        workspace=follow_study(project, repo, "health-main"),
        person=person,
        commit=repo.git("rev-parse", "HEAD"),
        actions={"north": ("extract",), "south": ("visits", "incentives")},
        force=frozenset({"south"}),
        notify="first_failure",
        submission_key="key",
    )


def problems(submission: Submission) -> dict[str, str]:
    with pytest.raises(SubmissionError) as error:
        submit(submission)
    assert not RunGroup.objects.exists()
    return error.value.problems


def test_a_run_has_a_request_for_each_backend(submission):
    run = submit(submission)
    assert (run.commit, run.commit_subject, run.branch) == (submission.commit, "Round counts to five", "main")
    assert run.notify == "first_failure"
    assert run.definition is not None
    assert run.definition.text == FILES["project.yaml"]
    requests = {request.backend.slug: request for request in run.requests.all()}
    assert requests["north"].requested_actions == ["extract"]
    assert not requests["north"].force_run_dependencies
    assert requests["south"].requested_actions == ["visits", "incentives"]
    assert requests["south"].force_run_dependencies
    assert {request.sent_at for request in requests.values()} == {None}
    assert len({request.identifier for request in requests.values()}) == 2


def test_it_is_written_to_the_audit_log(submission):
    run = submit(submission)
    event = AuditEvent.objects.get(action="run.submitted")
    assert (event.actor, event.subject, event.project) == ("ann", str(run.pk), "health")
    assert event.new["actions"] == {"north": ["extract"], "south": ["visits", "incentives"]}


def test_the_same_definition_is_stored_once(submission):
    submit(submission)
    submit(replace(submission, submission_key="other"))
    assert ProjectDefinition.objects.count() == 1
    assert RunGroup.objects.count() == 2


def test_where_the_study_may_run_is_stored_as_it_was(submission, repo):
    """Its backends.yaml: a page may show it years later, when the repository is gone."""
    run = submit(submission)
    assert run.side_file is None
    files = {
        "project.yaml": PROJECT.replace("run_on: [north, south]\n", ""),
        "backends.yaml": "run_on: [north, south]\n",
    }
    again = submit(replace(submission, commit=repo.commit(files, "Say where"), submission_key="other"))
    assert again.side_file is not None
    assert again.side_file.text == files["backends.yaml"]
    assert ProjectDefinition.objects.count() == 3
    page = browse(submission.person).get(f"{again.get_absolute_url()}definition/").content.decode()
    assert "run_on: [north, south]" in page
    assert "backends.yaml" in page


def test_pressed_twice_it_is_one_run(submission):
    assert submit(submission).pk == submit(submission).pk
    assert JobRequest.objects.count() == 2
    assert AuditEvent.objects.filter(action="run.submitted").count() == 1


def test_the_key_of_somebody_else_is_refused(submission):
    submit(submission)
    with pytest.raises(SubmissionError, match="used for another run"):
        submit(replace(submission, person=add_person("eve")))


def test_pressed_twice_at_the_same_moment_it_is_one_run(submission, monkeypatch):
    checked = submissions._checked
    first = []

    def overtaken(asked):
        """Between its checks and its rows, the same form arrives again and is quicker."""
        answer = checked(asked)
        monkeypatch.setattr(submissions, "_checked", checked)
        first.append(submit(asked).pk)
        return answer

    monkeypatch.setattr(submissions, "_checked", overtaken)
    assert submit(submission).pk == first[0]
    assert RunGroup.objects.count() == 1
    assert JobRequest.objects.count() == 2


def test_what_is_reused_is_noted(submission):
    request = add_request(
        add_run(submission.workspace, submission.person), submission.person.backends.get(slug="north")
    )
    job = add_job(request, "extract")
    run = submit(replace(submission, actions={"north": ("normalise",)}))
    assert run.requests.get().reused == {"extract": job.identifier}


def test_what_ran_on_another_backend_is_not_reused(submission):
    request = add_request(
        add_run(submission.workspace, submission.person), submission.person.backends.get(slug="south")
    )
    add_job(request, "extract")
    run = submit(replace(submission, actions={"north": ("normalise",)}))
    assert run.requests.get().reused == {}


def test_run_all(submission):
    run = submit(replace(submission, actions={"north": ("run_all",)}))
    assert run.requests.get().requested_actions == ["run_all"]


@pytest.mark.parametrize(
    ("actions", "place", "words"),
    [
        ({}, "", "Tick at least one action"),
        ({"north": ()}, "", "Tick at least one action"),
        ({"east": ("extract",)}, "east", "does not run on east, or you may not see it"),
        ({"north": ("extrat",)}, "north", "not found in project.yaml\nDid you mean `extract`"),
        ({"north": ("incentives",)}, "north", "`incentives` runs on south only"),
    ],
)
def test_what_cannot_be_asked_for(submission, actions, place, words):
    assert words in problems(replace(submission, actions=actions))[place]


def test_a_commit_elsewhere(submission, repo):
    repo.git("checkout", "-q", "-b", "other")
    commit = repo.commit({"a.txt": "1"})
    assert "Could not find commit on branch" in problems(replace(submission, commit=commit))[""]


def test_a_study_with_mistakes(submission, repo):
    commit = repo.commit({"project.yaml": "version: '9'\nactions: {}\n"})
    assert "The latest version is v5" in problems(replace(submission, commit=commit))[""]


def test_rights_are_asked_for_again_on_each_backend(submission):
    north = submission.person.backends.get(slug="north")
    north.memberships.all().delete()
    assert set(problems(submission)) == {"north"}
    submission.workspace.project.opt_ins.filter(backend=north).delete()
    assert "not opted in" in problems(submission)["north"]


def test_nobody_runs_without_the_right_to(submission):
    submission.person.role_assignments.all().delete()
    assert "does not let you run actions" in problems(submission)["north"]


def test_nothing_runs_in_an_archive_or_after_the_end(submission):
    workspace, project = submission.workspace, submission.workspace.project
    project.ends_on = date(2020, 1, 31)
    assert "The project ended on 31 January 2020" in problems(submission)["north"]
    project.ends_on = None
    workspace.archived_at, workspace.archived_by = timezone.now(), submission.person
    assert "archived" in problems(submission)["south"]


def test_a_backend_that_asks_for_a_second_factor(submission):
    north = submission.person.backends.get(slug="north")
    north.requires_mfa = True
    north.save()
    assert "second factor" in problems(submission)["north"]
    assert submit(replace(submission, has_second_factor=True)).pk


def test_codelists_out_of_date_forbid_what_reads_the_database(submission, repo):
    commit = repo.commit({"codelists/codelists.txt": "org/asthma/v1\n"})
    stale = replace(submission, commit=commit, actions={"north": ("extract",)})
    assert "Codelists are out of date (required by action extract)" in problems(stale)["north"]
    request = add_request(
        add_run(submission.workspace, submission.person), submission.person.backends.get(slug="north")
    )
    add_job(request, "extract")
    run = submit(replace(stale, actions={"north": ("normalise",)}))
    assert not run.codelists_ok


@pytest.mark.parametrize("key", ["", "a\0b", "k" * 65])
def test_keys_that_cannot_be_stored(submission: Submission, key: str) -> None:
    assert "submission_key" in problems(replace(submission, submission_key=key))[""]


@pytest.mark.parametrize("actions", [("run_all",), ("run_all", "extract"), ("visits",), ("extract",)])
def test_what_a_backend_has_no_data_for_runs_there_by_no_way_of_asking(submission, actions):
    """`run_all` of a program or a schedule, or an action that needs another one, asks for no more than boxes can."""
    tables = [{"name": "visits", "columns": [{"name": "patient_id"}]}]
    document = {
        "backend": "south",
        "built": "2026-05-05",
        "databases": [{"dialect": "duckdb", "data_sets": [{"name": "visits", "tables": tables}]}],
    }
    south = Backend.objects.get(slug="south")
    CatalogueVersion.objects.create(backend=south, document=document, digest="d" * 64)
    asked = replace(submission, actions={"north": actions, "south": actions})
    refused = problems(asked)
    assert set(refused) == {"south"}
    assert "extract cannot run. south has no `plan`" in refused["south"]
    assert submit(replace(asked, actions={"north": actions})).requests.count() == 1


def test_nobody_takes_the_key_that_a_schedule_will_have(submission):
    """Its time tells it beforehand: whoever had run something under it would have kept the scheduled run away."""
    schedule = Schedule.objects.create(workspace=submission.workspace, created_by=submission.person, cron="0 6 * * 1")
    key = f"schedule-{schedule.pk}-20261207T0600"
    assert "scheduled runs" in problems(replace(submission, submission_key=key))[""]
    assert submit(replace(submission, submission_key=key, schedule=schedule)).schedule == schedule
