"""Projects and workspaces change by the service, with a line in the audit log, or not at all."""

import os
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from tests.support.jobserver import add_backend, add_person, add_project, add_workspace

from carrel.jobserver import settings
from carrel.jobserver.models import AuditEvent, Organisation, Project, Redirect, Workspace
from carrel.jobserver.project_urls import PROJECT_PAGES
from carrel.jobserver.service import projects
from carrel.jobserver.service.names import RESERVED_SLUGS, RESERVED_WORKSPACE_NAMES, check_slug
from carrel.jobserver.service.schedules import create_schedule
from carrel.jobserver.service.webhooks import add_webhook

pytestmark = pytest.mark.django_db


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action))


def test_a_project_is_made_with_its_audit_row() -> None:
    staff = add_person("sam")
    project = projects.create_project({"name": "Health insurance", "slug": "health-insurance", "number": "12"}, staff)
    assert str(project) == "12 - Health insurance"
    assert project.created_by == staff
    [event] = events("project.created")
    assert (event.actor, event.project, event.new["number"]) == ("sam", "health-insurance", "12")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"slug": "staff"}, "slug"),
        ({"slug": "Upper-Case"}, "slug"),
        ({"number": "twelve"}, "number"),
        ({"starts_on": date(2027, 1, 2), "ends_on": date(2027, 1, 1)}, "ends_on"),
        ({"name": "Taken"}, "name"),
    ],
)
def test_a_project_that_would_be_wrong_is_not_made(values: dict[str, object], field: str) -> None:
    add_project("taken")
    with pytest.raises(ValidationError) as error:
        projects.create_project({"name": "Fine", "slug": "fine", **values}, "command line")
    assert field in error.value.message_dict
    assert not events("project.created")
    assert Project.objects.count() == 1


def test_an_edit_says_what_became_of_what() -> None:
    project = add_project("alpha", ends_on=date(2026, 1, 1))
    projects.edit_project(project, {"ends_on": date(2027, 1, 1), "name": project.name}, add_person("sam"))
    [event] = events("project.changed")
    assert event.old == {"ends_on": "2026-01-01"}
    assert event.new == {"ends_on": "2027-01-01"}


def test_nothing_is_recorded_where_nothing_changes() -> None:
    project = add_project("alpha")
    projects.edit_project(project, {"name": project.name}, add_person("sam"))
    assert not events("project.changed")


def test_a_new_slug_leaves_a_redirect_that_a_return_removes() -> None:
    project = projects.edit_project(add_project("alpha"), {"slug": "beta"}, "command line")
    redirect = Redirect.objects.get(old_path="/alpha/")
    assert redirect.project == project
    assert timezone.now() + timedelta(days=364) < redirect.expires_at
    projects.edit_project(project, {"slug": "alpha"}, "command line")
    assert [row.old_path for row in Redirect.objects.all()] == ["/beta/"]


def test_a_closed_project_changes_no_more() -> None:
    person = add_person()
    project = add_project("alpha")
    workspace = add_workspace(project)
    projects.set_archived(project, True, person, reason="finished")
    project.refresh_from_db()
    assert events("project.closed")[0].new == {"reason": "finished"}
    with pytest.raises(ValidationError, match="closed"):
        projects.edit_project(project, {"purpose": "another"}, person)
    with pytest.raises(ValidationError, match="closed"):
        projects.opt_in(project, add_backend("north"), person)
    with pytest.raises(ValidationError, match="closed"):
        projects.set_workspace_archived(workspace, True, person)
    with pytest.raises(ValidationError, match="closed"):
        projects.create_workspace(project, "fine", "", "main", "", person)
    with pytest.raises(ValidationError, match="closed"):
        create_schedule(workspace=workspace, person=person, cron="0 6 * * 1", actions={"north": ["run_all"]})
    with pytest.raises(ValidationError, match="closed"):
        add_webhook(project, "https://example.org/hook", person)
    projects.set_archived(project, False, person)
    project.refresh_from_db()
    assert not project.is_archived


def test_at_most_one_organisation_leads_and_it_takes_part() -> None:
    project = add_project("alpha")
    first, second = (Organisation.objects.create(name=name, slug=name) for name in ("first", "second"))
    projects.set_organisations(project, [first, second], second, "command line")
    assert [(row.organisation, row.is_lead) for row in project.collaborations.all()] == [(second, True), (first, False)]
    with pytest.raises(ValidationError, match="those that take part"):
        projects.set_organisations(project, [first], second, "command line")
    projects.set_organisations(project, [first, second], second, "command line")
    assert len(events("project.organisations_changed")) == 1


def test_an_opt_in_is_granted_and_withdrawn_once() -> None:
    project, north = add_project("alpha"), add_backend("north")
    for _ in range(2):
        projects.opt_in(project, north, "command line")
    assert list(project.backends.all()) == [north]
    for _ in range(2):
        projects.opt_out(project, north, "command line")
    assert [(event.action, event.backend) for event in AuditEvent.objects.order_by("id")] == [
        ("project.opted_in", "north"),
        ("project.opted_out", "north"),
    ]


def test_data_beyond_the_standard_is_granted_and_withdrawn() -> None:
    project = add_project("alpha")
    projects.grant_data(project, "dataset_permissions", "icnarc", "command line")
    with pytest.raises(ValidationError):
        projects.grant_data(project, "dataset_permissions", "icnarc", "command line")
    projects.withdraw_data(project.data_permissions.get(), "command line")
    assert events("data_permission.withdrawn")[0].old == {"kind": "dataset_permissions", "name": "icnarc"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository on this machine with the branch main, where such paths are allowed."""
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    path = tmp_path / "study"
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=path, check=True, env=environment)
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    monkeypatch.setenv("WORKDIR", str(tmp_path / "workdir"))
    settings.get.cache_clear()
    yield str(path)
    settings.get.cache_clear()


def test_a_workspace_is_one_branch_of_one_repository(repository: str) -> None:
    person = add_person("ann")
    project = add_project("alpha")
    workspace = projects.create_workspace(project, " Main-2 ", repository, "main", "To see", person)
    assert (workspace.name, workspace.repo_url, workspace.branch) == ("main-2", repository, "main")
    assert events("workspace.created")[0].new == {"repo_url": repository, "branch": "main", "purpose": "To see"}
    with pytest.raises(ValidationError, match="already"):
        projects.create_workspace(add_project("beta"), "MAIN-2", repository, "main", "", person)


@pytest.mark.parametrize(
    ("name", "branch", "field", "words"),
    [
        ("fine", "missing", "branch", "Could not find branch 'missing'"),
        ("a b", "main", "name", "Lower-case letters"),
        ("people", "main", "name", "address of a page"),
    ],
)
def test_a_workspace_that_cannot_be(repository: str, name: str, branch: str, field: str, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        projects.create_workspace(add_project(), name, repository, branch, "", add_person())
    assert words in error.value.message_dict[field][0]
    assert not Workspace.objects.exists()


def test_a_repository_that_is_not_allowed_or_not_there(repository: str, tmp_path: Path) -> None:
    for url in (str(tmp_path / "missing"), "https://elsewhere.example.org/study", ""):
        with pytest.raises(ValidationError) as error:
            projects.create_workspace(add_project(), "fine", url, "main", "", add_person())
        assert list(error.value.message_dict) == ["repo_url"]


def test_a_workspace_is_archived_and_restored() -> None:
    workspace = add_workspace(add_project("alpha"), "study")
    person = add_person("ann")
    projects.set_workspace_archived(workspace, True, person)
    projects.set_workspace_archived(workspace, True, person)
    workspace.refresh_from_db()
    assert workspace.archived_by == person
    projects.set_workspace_archived(workspace, False, person)
    assert [event.action for event in AuditEvent.objects.order_by("id")] == ["workspace.archived", "workspace.restored"]


def first_words(patterns: list[URLPattern | URLResolver]) -> set[str]:
    """First parts of addresses that are words, not placeholders."""
    routes = {str(pattern.pattern) for pattern in patterns}
    for pattern in patterns:
        if isinstance(pattern, URLResolver) and not str(pattern.pattern):
            routes |= first_words(pattern.url_patterns)
    return {word for route in routes if (word := route.lstrip("^").split("/")[0]) and "<" not in word}


def test_no_project_takes_the_address_of_a_page_of_the_site() -> None:
    # Words that no slug can be (with a dot, a capital, a space) need no entry.
    words = {word for word in first_words(get_resolver().url_patterns) if word.replace("-", "").isalnum()}
    assert {"staff", "status"} - RESERVED_SLUGS == set()
    assert words - RESERVED_SLUGS == set()
    with pytest.raises(ValidationError):
        check_slug("projects")


def test_no_workspace_takes_the_address_of_a_page_of_its_project() -> None:
    words = {page.path.split("/")[1] for page in PROJECT_PAGES if page.path.startswith("<slug:project>/")}
    assert {word for word in words if word and "<" not in word} - RESERVED_WORKSPACE_NAMES == set()
