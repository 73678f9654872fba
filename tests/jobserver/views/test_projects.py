"""Pages of projects: what each shows to whom, what its forms do, what a stranger never learns."""

import pytest
from django.test import Client
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

from carrel.jobserver.models import Project, ProjectMembership

pytestmark = pytest.mark.django_db


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_a_stranger_learns_of_listed_projects_only() -> None:
    add_project("alpha", purpose="Costs of visits")
    add_project("secret-one", is_listed=False)
    page = text(browse(), "/projects/")
    assert "Costs of visits" in page
    assert "Secret" not in page
    assert "1 project" in page
    assert "Secret" not in text(browse(), "/projects/?q=secret")
    assert browse().get("/secret-one/").status_code == 404


def test_yours_come_first_and_are_searched_too() -> None:
    mine, _ = add_project("mine", is_listed=False), add_project("other")
    page = text(browse(add_person("ann", project=mine)), "/projects/")
    assert page.index("Mine") < page.index("Other")
    assert page.count('href="/mine/"') == 1
    assert "No project has these words" in text(browse(), "/projects/?q=nothing+like+it")


def test_a_project_shows_its_workspaces_by_backend() -> None:
    north, south = add_backend("north"), add_backend("south")
    project = add_project("alpha", north, south, approval_reference="REC 12/3")
    person = add_person("ann", "ProjectDeveloper", project=project)
    workspace = add_workspace(project, "study")
    run = add_run(workspace, person)
    add_request(run, north, status="failed", status_message="exit code 1")
    add_job(add_request(run, south, status="succeeded"), "extract")
    page = text(browse(), "/alpha/")
    assert "REC 12/3" in page
    assert 'title="failed: exit code 1"' in page
    assert f'href="/alpha/study/{run.pk}/"' in page
    assert "Project developer" in page
    assert "New workspace" not in page
    assert "New workspace" in text(browse(person), "/alpha/")


def test_a_hidden_backend_shows_to_its_members_only() -> None:
    north, west = add_backend("north"), add_backend("west", is_listed=False)
    project = add_project("alpha", north, west)
    member = add_person("ann", "ProjectDeveloper", project=project)
    run = add_run(add_workspace(project, "study"), member)
    add_request(run, west)
    hidden = text(browse(), "/alpha/")
    assert "west" not in hidden
    assert f"/alpha/study/{run.pk}/" not in hidden
    assert "west" in text(browse(member), "/alpha/")


def test_the_number_of_questions_does_not_grow_with_workspaces(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]  # pytest-django's
    backends = [add_backend(f"b{number}") for number in range(3)]
    project = add_project("alpha", *backends)
    person = add_person("ann", "ProjectDeveloper", project=project)
    for number in range(12):
        add_person("", "ProjectCollaborator", project=project)
        run = add_run(add_workspace(project, f"w{number}"), person)
        for backend in backends:
            add_request(run, backend)
    client = browse(person)
    with django_assert_max_num_queries(18):
        text(client, "/alpha/")
    with django_assert_max_num_queries(9):
        text(client, "/projects/")


def test_a_lead_describes_the_project_and_nothing_else() -> None:
    project = add_project("alpha")
    lead = add_person("ann", "ProjectLead", project=project)
    answer = browse(lead).post("/alpha/edit/", {"purpose": "Costs", "status": "ongoing", "name": "Stolen"})
    assert (answer.status_code, answer["Location"]) == (303, "/alpha/")
    project.refresh_from_db()
    assert (project.purpose, project.name) == ("Costs", "Alpha")
    answer = browse(lead).post("/alpha/edit/", {"purpose": "Typed words", "status": "nonsense"})
    assert answer.status_code == 422
    assert b"Typed words" in answer.content


def test_a_lead_comes_to_all_that_a_lead_does() -> None:
    project = add_project("alpha")
    lead = browse(add_person("ann", "ProjectLead", "ProjectDeveloper", project=project))
    page = text(lead, "/alpha/")
    for path in ("people/", "edit/", "webhooks/", "new-workspace/"):
        assert f'href="/alpha/{path}"' in page
        assert lead.get(f"/alpha/{path}").status_code == 200


def test_who_may_not_is_told_which_right_is_missing() -> None:
    project = add_project("alpha")
    member = add_person("ann", "ProjectCollaborator", project=project)
    answer = browse(member).get("/alpha/people/")
    assert answer.status_code == 403
    assert "add and remove the project&#x27;s people" in answer.content.decode()
    assert browse().get("/alpha/people/")["Location"] == "/accounts/login/?next=%2Falpha%2Fpeople%2F"


def role_ids(*names: str) -> list[int]:
    from carrel.jobserver.models import Role

    return list(Role.objects.filter(name__in=names).values_list("pk", flat=True))


def test_a_lead_adds_changes_and_removes_people() -> None:
    project = add_project("alpha")
    lead = add_person("ann", "ProjectLead", project=project)
    bob = add_person("bob")
    client = browse(lead)
    answer = client.post("/alpha/people/", {"person": "bob@example.org", "roles": role_ids("ProjectDeveloper")})
    assert answer.status_code == 303
    assert "Project developer" in text(client, "/alpha/people/")
    client.post("/alpha/people/bob/", {"roles": role_ids("ProjectCollaborator")})
    assert [row.role.name for row in bob.role_assignments.all()] == ["ProjectCollaborator"]
    client.post("/alpha/people/bob/", {"remove": "yes"})
    assert not ProjectMembership.objects.filter(user=bob).exists()


def test_what_a_lead_cannot_do_with_people() -> None:
    project = add_project("alpha")
    lead = add_person("ann", "ProjectLead", project=project)
    client = browse(lead)
    answer = client.post("/alpha/people/", {"person": "nobody"})
    assert answer.status_code == 422
    assert "No account has" in answer.content.decode()
    # A role that counts everywhere is not theirs to give.
    assert client.post("/alpha/people/", {"person": "ann", "roles": role_ids("GovernanceLead")}).status_code == 422
    answer = client.post("/alpha/people/ann/", {"remove": "yes"})
    assert answer.status_code == 422
    assert "without a lead" in answer.content.decode()
    assert client.post("/alpha/people/ann/", {"remove": "yes", "without_lead": "on"}).status_code == 303


def test_a_workspace_that_cannot_be_keeps_what_was_typed() -> None:
    project = add_project("alpha")
    client = browse(add_person("ann", "ProjectDeveloper", project=project))
    values = {"name": "study", "repo_url": "https://elsewhere.example.org/x", "branch": "main", "purpose": "To see"}
    answer = client.post("/alpha/new-workspace/", values)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "To see" in page
    assert "https://elsewhere.example.org/x" in page
    assert Project.objects.get().workspaces.count() == 0
