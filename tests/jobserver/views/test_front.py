"""The first page, search, the register, organisations: each shows what one may know of and nothing else."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
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

from carrel.jobserver.models import Job, JobRequest, Organisation, ProjectOrganisation, Role, RunGroup, User
from carrel.jobserver.service.people import assign_role

pytestmark = pytest.mark.django_db


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


@pytest.fixture
def secret() -> tuple[RunGroup, JobRequest, Job, User]:
    """A run that only members know of: its project is not listed and its backend is hidden."""
    west = add_backend("hidden-west", is_listed=False)
    project = add_project("hidden-project", west, is_listed=False, purpose="hidden words")
    member = add_person("zoe", "ProjectDeveloper", project=project, fullname="Hidden Zoe")
    Organisation.objects.create(name="Hidden Org", slug="hidden-org")
    run = add_run(add_workspace(project, "hidden-study"), member)
    request = add_request(run, west, identifier="hiddenrequest234")
    return run, request, add_job(request, "hidden-action", identifier="hiddenjob2345678"), member


PUBLIC_PAGES = (
    "/",
    "/projects/",
    "/projects/?q=hidden",
    "/search/?q=hidden",
    "/search/?q=hiddenjob2345678",
    "/search/?q=hiddenrequest234",
    "/register/",
    "/register/?format=json",
    "/status/",
    "/status/?format=json",
    "/data/",
    "/data/?q=hidden",
)


@pytest.mark.parametrize("path", PUBLIC_PAGES)
def test_a_stranger_never_learns_of_what_is_hidden(path: str, secret: object) -> None:
    for client in (browse(), browse(add_person())):
        page = text(client, path).replace(path, "").lower()
        # What was searched for stands in the field again.
        for word in ("hidden-west", "hidden-project", "hidden words", "hidden-study", "hidden zoe", "hidden-action"):
            assert word not in page


def test_a_number_of_a_hidden_run_finds_nothing(secret: tuple[RunGroup, JobRequest, Job, User]) -> None:
    run, *_, member = secret
    assert "Nothing for" in text(browse(), f"/search/?q={run.pk}")
    assert f"Run {run.pk}" in text(browse(member), f"/search/?q={run.pk}")


def test_members_find_what_is_theirs(secret: tuple[RunGroup, JobRequest, Job, User]) -> None:
    run, request, job, member = secret
    client = browse(member)
    assert f"/hidden-project/hidden-study/{run.pk}/{job.identifier}/" in text(client, "/search/?q=hiddenjob")
    assert request.identifier in text(client, "/search/?q=hiddenreq")
    assert "hidden-study" in text(client, "/search/?q=hidden-stu")
    assert "/hidden-project/hidden-study/logs/?action=hidden-action" in text(client, "/search/?q=hidden-a")
    assert "hidden-study" in text(client, "/")


def test_who_manages_one_hidden_backend_sees_it() -> None:
    backend = add_backend("hidden-west", is_listed=False)
    manager = add_person("mia")
    assign_role(manager, Role.objects.get(name="StaffAreaAdministrator"), "setup", backend=backend)
    for path in ("/status/", "/staff/backends/hidden-west/"):
        assert "hidden-west" in text(browse(manager), path)


def test_people_are_found_by_those_who_manage_them() -> None:
    add_person("bob", fullname="Bob Marsh")
    assert "Bob Marsh" not in text(browse(add_person("ann")), "/search/?q=marsh")
    assert "Bob Marsh" in text(browse(add_person("sam", "StaffAreaAdministrator")), "/search/?q=marsh")


@pytest.mark.parametrize("query", ["", "9" * 40, "%25_", "'\"<script>", "x" * 500, "1 2 3 4 5 6 7 8 9 10 11"])
def test_odd_queries_are_answered(query: str) -> None:
    page = text(browse(), f"/search/?q={query}")
    assert "<script>" not in page.replace("<script src", "")


def test_the_first_page_of_a_stranger() -> None:
    north = add_backend("north")
    project = add_project("alpha", north, purpose="Costs of visits")
    run = add_run(add_workspace(project, "study"), add_person())
    add_request(run, north, status="succeeded")
    page = text(browse(), "/")
    assert "Costs of visits" in page
    assert f"/alpha/study/{run.pk}/" in page


def test_the_first_page_of_a_person() -> None:
    north = add_backend("north")
    today = timezone.now().date()
    project = add_project("alpha", north, ends_on=today + timedelta(days=5))
    person = add_person("ann", "ProjectDeveloper", "ProjectLead", project=project)
    workspace = add_workspace(project, "study")
    first = add_run(workspace, person)
    add_request(first, north, status="failed", status_message="exit code 1")
    page = text(browse(person), "/")
    assert "Jobs failed in 1 run of yours" in page
    assert "exit code 1" in page
    assert "Ends soon" in page
    # Asked for again since: it needs nobody any more, until a job of what goes on fails.
    going_on = add_request(add_run(workspace, person), north, status="running")
    add_job(going_on, "stopped", status="failed", status_code="cancelled_by_user")
    assert "Nothing waits for you" in text(browse(person), "/")
    add_job(going_on, "model", status="failed", status_code="nonzero_exit")
    page = text(browse(person), "/")
    assert "Jobs failed in 1 run of yours" in page
    assert "the other jobs go on" in page


def test_the_first_page_of_somebody_new() -> None:
    page = text(browse(add_person("ann")), "/")
    assert "by your username <code>ann</code>" in page
    assert "You have run nothing yet" in page


def test_questions_of_the_first_page_do_not_grow(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]  # pytest-django's
    backends = [add_backend(f"b{number}") for number in range(3)]
    project = add_project("alpha", *backends)
    person = add_person("ann", "ProjectDeveloper", project=project)
    for number in range(10):
        run = add_run(add_workspace(project, f"w{number}"), person)
        for backend in backends:
            add_request(run, backend, status="failed")
    client = browse(person)
    with django_assert_max_num_queries(17):
        text(client, "/")
    with django_assert_max_num_queries(8):
        text(browse(), "/")


def test_the_register_tells_what_a_project_is() -> None:
    north, west = add_backend("north"), add_backend("west", is_listed=False)
    project = add_project("alpha", north, west, purpose="Costs", approval_reference="REC 12/3", number="12")
    add_project("unlisted", north, is_listed=False)
    person = add_person("ann", "ProjectDeveloper", project=project, fullname="Ann Lee")
    organisation = Organisation.objects.create(name="University", slug="university")
    ProjectOrganisation.objects.create(project=project, organisation=organisation, is_lead=True)
    run = add_run(add_workspace(project, "study"), person)
    add_request(run, north)
    add_request(run, west)
    # Staff see the same register as everybody.
    staff = add_person("sam", "StaffAreaAdministrator")
    [entry] = browse(staff).get("/register/?format=json").json()["projects"]
    assert entry["name"] == "Alpha"
    assert entry["backends"] == ["north"]
    assert entry["people"] == ["Ann Lee"]
    assert entry["organisations"] == [{"name": "University", "leads": True}]
    assert entry["runs"] == 1
    page = text(browse(), "/register/")
    assert "REC 12/3" in page
    assert "Ann Lee" in page
    assert "west" not in page


def test_organisations_count_what_one_may_know_of() -> None:
    organisation = Organisation.objects.create(name="University", slug="university")
    for project in (add_project("alpha"), add_project("unlisted", is_listed=False)):
        ProjectOrganisation.objects.create(project=project, organisation=organisation)
    assert '<td class="number">1</td>' in text(browse(), "/orgs/")
    page = text(browse(), "/orgs/university/")
    assert "1 project" in page
    assert "Unlisted" not in page
    assert browse().get("/orgs/missing/").status_code == 404
    assert browse().get("/organisations/")["Location"] == "/orgs/"
