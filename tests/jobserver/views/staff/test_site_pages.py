"""Staff and the site: backends, projects, organisations, alerts, redirects, requests that are stuck."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from tests.support.jobserver import add_backend, add_person, add_project, add_request, add_run, add_workspace, browse

from carrel.jobserver.backend_setup import SetupValues, setup_steps
from carrel.jobserver.models import Alert, AuditEvent, Backend, Organisation, Project, Redirect
from carrel.jobserver.service.tokens import backend_of_token, create_backend_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    return browse(add_person("sam", "StaffAreaAdministrator", "TechSupport", "ServiceAdministrator"))


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


# --- backends


def test_a_new_backend_ends_with_the_commands_and_waits(staff: Client) -> None:
    values = {"slug": "west", "name": "West", "link": "rap", "controller": "default", "position": 0}
    values |= {"alert_timeout_seconds": 300, "is_active": "on"}
    answer = staff.post("/staff/backends/new/", values)
    assert answer["Location"] == "/staff/backends/west/setup/"
    page = text(staff, "/staff/backends/west/setup/")
    assert "WEST_JOB_SERVER_TOKEN=&lt;the agent" in page
    assert "Waiting for the first contact" in page
    assert staff.get("/staff/backends/west/contact/").status_code == 200
    Backend.objects.update(last_seen_at=timezone.now())
    # 286: htmx asks no more.
    assert staff.get("/staff/backends/west/contact/").status_code == 286
    assert "was heard of" in text(staff, "/staff/backends/west/setup/")


def test_tokens_of_the_set_up_are_shown_once_and_count(staff: Client) -> None:
    west = add_backend("west", link="polled")
    answer = staff.post("/staff/backends/west/setup/")
    page = answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    token = page.split("WEST_JOB_SERVER_LINK_TOKEN=")[1].split("<")[0].strip()
    assert backend_of_token(token) == west
    assert token not in text(staff, "/staff/backends/west/setup/")
    assert token not in text(staff, "/staff/backends/west/")
    assert token not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(("path", "fields"), [("setup/", {}), ("", {"do": "token", "token-overlap": "0"})])
def test_a_page_of_tokens_that_is_reloaded_makes_no_more(staff: Client, path: str, fields: dict[str, str]) -> None:
    west = add_backend("west")
    form = {**fields, "csrfmiddlewaretoken": "a" * 64}
    assert staff.post(f"/staff/backends/west/{path}", form).status_code == 200
    again = staff.post(f"/staff/backends/west/{path}", form)
    assert (again.status_code, again["Location"]) == (303, f"/staff/backends/west/{path}")
    assert west.tokens.count() == 1
    assert staff.post(f"/staff/backends/west/{path}", {**form, "csrfmiddlewaretoken": "b" * 64}).status_code == 200
    assert west.tokens.count() == 2


def test_the_steps_follow_the_way_of_the_link() -> None:
    polled = setup_steps(SetupValues(slug="my-west", is_polled=True, site_url="https://carrel.example.org"))
    assert [step.title for step in polled] == ["Controller", "Agent", "Data catalogue"]
    assert "JOB_SERVER_ENDPOINT=https://carrel.example.org/api/v2/" in polled[0].text
    assert "MY_WEST_JOB_SERVER_LINK_TOKEN=" in polled[0].text
    asked = setup_steps(SetupValues(slug="west", is_polled=False, site_url="", prefix="EAST_", client_token="t" * 8))
    assert [step.title for step in asked] == ["Controller", "This server", "Agent", "Data catalogue"]
    assert "WEST_CLIENT_TOKENS=tttttttt" in asked[0].text
    assert "EAST_RAP_API_TOKEN=tttttttt" in asked[1].text
    url = "https://c.example.org/controller/v1/"
    known = setup_steps(SetupValues(slug="west", is_polled=False, site_url="", controller_url=url))
    assert [step.title for step in known] == ["Controller", "Agent", "Data catalogue"]
    assert "CONTROLLER_TASK_API_ENDPOINT=https://c.example.org/" in known[1].text


def test_a_rotation_lets_the_older_token_go_on_for_a_while(staff: Client) -> None:
    north = add_backend("north")
    old = create_backend_token(north, "command line")
    answer = staff.post("/staff/backends/north/", {"do": "token", "token-overlap": "3600"})
    page = answer.content.decode()
    assert "shown only now" in page
    assert "in an hour" in page
    assert backend_of_token(old) == north
    assert "ends" in text(staff, "/staff/backends/north/")
    token = north.tokens.order_by("id").first()
    staff.post("/staff/backends/north/", {"do": "revoke", "revoke-token": token.pk})
    assert backend_of_token(old) is None
    south = add_backend("south")
    answer = staff.post("/staff/backends/south/", {"do": "revoke", "revoke-token": north.tokens.last().pk})
    assert answer.status_code == 422
    assert not south.tokens.exists()


def test_members_and_projects_of_a_backend(staff: Client) -> None:
    north, project = add_backend("north"), add_project("alpha")
    ann = add_person("ann")
    path = "/staff/backends/north/"
    staff.post(path, {"do": "member", "member-person": "ann"})
    staff.post(path, {"do": "opt_in", "opt_in-project": "alpha"})
    assert (list(north.members.all()), list(north.projects.all())) == ([ann], [project])
    page = text(staff, path)
    assert "carrel manage pause on north" in page
    assert "Ann" in page
    answer = staff.post(path, {"do": "member", "member-person": "nobody"})
    assert answer.status_code == 422
    assert 'value="nobody"' in answer.content.decode()
    staff.post(path, {"do": "leave", "leave-person": "ann"})
    staff.post(path, {"do": "opt_out", "opt_out-project": "alpha"})
    assert not north.members.exists()
    assert not north.projects.exists()


def test_a_backend_is_changed_and_switched_off(staff: Client) -> None:
    north = add_backend("north")
    values = {"name": "North 2", "link": "polled", "controller": "default", "position": 3, "alert_timeout_seconds": 60}
    assert staff.post("/staff/backends/north/edit/", values | {"is_active": "on", "is_listed": "on"}).status_code == 303
    staff.post("/staff/backends/north/", {"do": "switch"})
    north.refresh_from_db()
    assert (north.name, north.position, north.is_active) == ("North 2", 3, False)
    assert "Switched off" in text(staff, "/staff/backends/")


# --- projects


def test_staff_make_a_project_and_say_who_and_where(staff: Client) -> None:
    values = {"name": "Alpha", "slug": "alpha", "status": "ongoing", "ends_on": "2027-01-31", "is_listed": "on"}
    answer = staff.post("/staff/projects/new/", values)
    assert answer["Location"] == "/staff/projects/alpha/"
    ann = add_person("ann")
    first = Organisation.objects.create(name="First", slug="first")
    second = Organisation.objects.create(name="Second", slug="second")
    path = "/staff/projects/alpha/"
    assert staff.post(path, {"do": "person", "person-person": "ann", "person-roles": []}).status_code == 303
    values = {"do": "organisations", "organisations-organisations": [first.pk], "organisations-lead": first.pk}
    assert staff.post(path, values).status_code == 303
    assert staff.post(path, values | {"organisations-lead": second.pk}).status_code == 422
    grant = {"do": "grant", "grant-kind": "dataset_permissions", "grant-name": "icnarc"}
    assert staff.post(path, grant).status_code == 303
    project = Project.objects.get()
    assert list(project.members.all()) == [ann]
    page = text(staff, path)
    assert "icnarc" in page
    assert "Runs until 31 January 2027" in page
    withdraw = {"do": "withdraw", "withdraw-permission": project.data_permissions.get().pk}
    assert staff.post(path, withdraw).status_code == 303
    assert staff.post(path, {"do": "leave", "leave-person": "ann"}).status_code == 303
    assert not project.members.exists()
    assert "Alpha" in text(staff, "/staff/projects/?q=alpha")


def test_two_projects_without_a_number(staff: Client) -> None:
    for slug in ("alpha", "beta"):
        values = {"name": slug, "slug": slug, "status": "ongoing", "number": ""}
        assert staff.post("/staff/projects/new/", values).status_code == 303
    answer = staff.post("/staff/projects/new/", {"name": "x", "slug": "alpha", "status": "ongoing"})
    assert answer.status_code == 422
    answer = staff.post("/staff/projects/new/", {"name": "x", "slug": "staff", "status": "ongoing"})
    assert "address of a page of this site" in answer.content.decode()


def test_a_project_moves_and_its_old_address_leads_to_it(staff: Client) -> None:
    add_project("alpha", name="Alpha")
    values = {"name": "Alpha", "slug": "beta", "status": "ongoing", "is_listed": "on"}
    answer = staff.post("/staff/projects/alpha/edit/", values)
    assert answer["Location"] == "/staff/projects/beta/"
    answer = browse().get("/alpha/?a=b")
    assert (answer.status_code, answer["Location"]) == (302, "/beta/?a=b")
    assert browse().get("/alpha/study/12/")["Location"] == "/beta/study/12/"


def test_an_old_address_tells_a_stranger_nothing(staff: Client) -> None:
    project = add_project("hidden", is_listed=False)
    Redirect.objects.create(old_path="/old/", project=project, expires_at=timezone.now() + timedelta(days=1))
    Redirect.objects.create(old_path="/older/", project=project, expires_at=timezone.now() - timedelta(days=1))
    assert browse().get("/old/").status_code == 404
    assert staff.get("/old/")["Location"] == "/hidden/"
    assert staff.get("/older/").status_code == 404


def test_closing_is_for_those_who_may_make_projects(staff: Client) -> None:
    project = add_project("alpha")
    governance = browse(add_person("gov", "GovernanceLead"))
    assert "Close the project" not in text(governance, "/staff/projects/alpha/")
    assert governance.post("/staff/projects/alpha/", {"do": "close", "close-reason": ""}).status_code == 422
    assert staff.post("/staff/projects/alpha/", {"do": "close", "close-reason": "finished"}).status_code == 303
    project.refresh_from_db()
    assert project.is_archived
    assert "Closed on" in text(browse(), "/alpha/")


# --- organisations, alerts, redirects, requests


def test_organisations(staff: Client) -> None:
    assert staff.post("/staff/organisations/new/", {"name": "University", "slug": "university"}).status_code == 303
    assert staff.post("/staff/organisations/university/", {"name": "College", "slug": "college"}).status_code == 303
    assert "College" in text(staff, "/staff/organisations/")
    assert staff.get("/staff/organisations/missing/").status_code == 404


def test_an_alert_stands_above_every_page_until_it_is_taken_off(staff: Client) -> None:
    staff.post("/staff/alerts/new/", {"title": "Soon", "message": "Down <b>tonight</b>", "level": "warning"})
    alert = Alert.objects.get()
    assert "Down &lt;b&gt;tonight" in text(browse(add_person()), "/projects/")
    assert "tonight" not in text(browse(), "/projects/")
    staff.post(f"/staff/alerts/{alert.pk}/", {"title": "", "message": "Down tomorrow", "level": "info"})
    assert "tomorrow" in text(staff, "/staff/alerts/")
    staff.post(
        f"/staff/alerts/{alert.pk}/", {"title": "", "message": "Down tomorrow", "level": "info", "delete": "yes"}
    )
    assert not Alert.objects.exists()
    assert AuditEvent.objects.filter(action__startswith="alert.").count() == 3


def test_redirects(staff: Client) -> None:
    add_project("alpha")
    assert staff.post("/staff/redirects/new/", {"old_path": "Old-Name", "project": "alpha"}).status_code == 303
    assert browse().get("/old-name/")["Location"] == "/alpha/"
    for wrong in ("alpha", "a/b", ""):
        assert staff.post("/staff/redirects/new/", {"old_path": wrong, "project": "alpha"}).status_code == 422
    row = Redirect.objects.get()
    assert "Forget it" in text(staff, f"/staff/redirects/{row.pk}/")
    assert staff.post(f"/staff/redirects/{row.pk}/").status_code == 303
    assert browse().get("/old-name/").status_code == 404


def test_requests_that_are_stuck(staff: Client) -> None:
    north = add_backend("north")
    long_ago = timezone.now() - timedelta(minutes=10)
    workspace = add_workspace(add_project("alpha", north), "study")
    run = add_run(workspace, add_person("ann"), created_at=long_ago)
    stuck = add_request(run, north, sent_at=None, created_at=long_ago, send_attempts=3, send_error="Nobody answered.")
    fresh = add_request(add_run(workspace, run.created_by), north, sent_at=None)
    page = text(staff, "/staff/requests/")
    assert "after 3 tries. Nobody answered." in page
    assert stuck.identifier in page
    assert fresh.identifier not in page
    assert "1 request" in page
    assert staff.post("/staff/requests/act/", {"request": stuck.identifier}).status_code == 303
    assert AuditEvent.objects.filter(action="request.resent", subject=stuck.identifier).exists()
    staff.post("/staff/requests/act/", {"request": stuck.identifier, "cancel": "yes"})
    stuck.refresh_from_db()
    assert stuck.cancelled_actions or stuck.cancellations.exists()
    assert staff.post("/staff/requests/act/", {"request": "missing"}).status_code == 303
    assert staff.get("/staff/requests/act/").status_code == 303


def test_the_first_page_says_what_needs_somebody(staff: Client) -> None:
    today = timezone.now().date()
    add_backend("north", is_paused=True)
    add_project("ending", ends_on=today + timedelta(days=3))
    add_project("ended", ends_on=today - timedelta(days=3))
    page = text(staff, "/staff/")
    assert "Some things need you." in page
    for words in ("Paused", "Ends soon", "Ended", "no project is opted in"):
        assert words in page
