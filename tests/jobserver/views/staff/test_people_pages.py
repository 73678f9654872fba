"""Staff and people: accounts, roles, trainings, organisations, each from the one page of a person."""

from datetime import date

import pytest
from django.test import Client
from tests.support.jobserver import add_backend, add_person, add_project, browse

from carrel.jobserver.models import AuditEvent, Organisation, Requirement, Role, RoleAssignment, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    return browse(add_person("sam", "StaffAreaAdministrator"))


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_a_new_account_ends_with_a_link_that_is_shown_once(staff: Client) -> None:
    values = {"username": "bob", "fullname": "Bob Marsh", "email": "Bob@Example.org"}
    answer = staff.post("/staff/people/new/", values)
    page = answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert "/accounts/password/reset/key/" in page
    bob = User.objects.get(username="bob")
    assert (bob.email, bob.has_usable_password()) == ("bob@example.org", False)
    assert "/accounts/password/reset/key/" not in text(staff, "/staff/people/bob/")
    # Nothing of the link stays in the log.
    assert "password/reset" not in str(list(AuditEvent.objects.values()))


def test_what_was_typed_stays_where_an_account_cannot_be(staff: Client) -> None:
    add_person("bob")
    answer = staff.post("/staff/people/new/", {"username": "bob", "fullname": "Robert", "email": ""})
    assert answer.status_code == 422
    assert "Robert" in answer.content.decode()
    assert staff.post("/staff/people/new/", {"username": "a/b", "fullname": "R", "email": ""}).status_code == 422


def test_two_people_without_an_address(staff: Client) -> None:
    for name in ("bob", "eve"):
        assert staff.post("/staff/people/new/", {"username": name, "fullname": name, "email": ""}).status_code == 200
    assert staff.post("/staff/people/bob/edit/", {"fullname": "Bob", "email": ""}).status_code == 303


def test_the_list_is_filtered_and_sorted(staff: Client) -> None:
    north = add_backend("north")
    add_person("bob", "OutputChecker", fullname="Bob Marsh")
    add_person("eve", fullname="Eve Closed", is_active=False)
    north.members.add(add_person("ann", fullname="Ann Lee"))
    for query, names in {
        "?q=marsh": {"Bob Marsh"},
        "?state=closed": {"Eve Closed"},
        "?role=OutputChecker": {"Bob Marsh"},
        "?backend=north": {"Ann Lee"},
        "?sort=-name": {"Bob Marsh", "Eve Closed", "Ann Lee"},
    }.items():
        page = text(staff, f"/staff/people/{query}").split("<tbody>")[1]
        assert {name for name in ("Bob Marsh", "Eve Closed", "Ann Lee") if name in page} == names
    assert "Nobody" in text(staff, "/staff/people/?q=nothing")


def test_roles_are_given_and_taken_away(staff: Client) -> None:
    bob, project, north = add_person("bob"), add_project("alpha"), add_backend("north")
    role = Role.objects.get(name="ProjectLead")
    path = "/staff/people/bob/"
    answer = staff.post(path, {"do": "role", "role-role": role.pk, "role-project": project.pk})
    assert answer.status_code == 303
    checker = Role.objects.get(name="OutputChecker")
    staff.post(path, {"do": "role", "role-role": checker.pk, "role-backend": north.pk})
    assert "Output checker" in text(staff, path)
    # Its scope does not allow it here: the error stands beside the field, and what was chosen stays.
    answer = staff.post(path, {"do": "role", "role-role": role.pk})
    assert answer.status_code == 422
    assert "cannot be given here" in answer.content.decode()
    assignment = RoleAssignment.objects.get(role=role)
    assert staff.post(path, {"do": "unassign", "unassign-assignment": assignment.pk}).status_code == 303
    staff.post(path, {"do": "clear"})
    assert not bob.role_assignments.exists()


def test_a_role_of_somebody_else_stays(staff: Client) -> None:
    add_person("bob")
    add_person("eve", "OutputPublisher")
    assignment = RoleAssignment.objects.get(role__name="OutputPublisher")
    answer = staff.post("/staff/people/bob/", {"do": "unassign", "unassign-assignment": assignment.pk})
    assert answer.status_code == 422
    assert "somebody else" in answer.content.decode()
    assert RoleAssignment.objects.filter(pk=assignment.pk).exists()


def test_backends_organisations_and_trainings(staff: Client) -> None:
    bob, north, south = add_person("bob"), add_backend("north"), add_backend("south")
    organisation = Organisation.objects.create(name="University", slug="university")
    training = Requirement.objects.create(slug="sroc", name="Safe researcher", kind="training", valid_days=365)
    path = "/staff/people/bob/"
    staff.post(path, {"do": "backends", "backends-backends": [north.pk, south.pk]})
    staff.post(path, {"do": "backends", "backends-backends": [south.pk]})
    staff.post(path, {"do": "organisations", "organisations-organisations": [organisation.pk]})
    staff.post(path, {"do": "record", "record-requirement": training.pk, "record-obtained_on": "2026-11-01"})
    assert list(bob.backends.all()) == [south]
    assert list(bob.organisations.all()) == [organisation]
    assert bob.requirements.get().expires_on == date(2027, 11, 1)
    assert "Safe researcher" in text(staff, path)
    answer = staff.post(path, {"do": "record", "record-requirement": training.pk, "record-obtained_on": "yesterday"})
    assert answer.status_code == 422


def test_an_account_is_closed_and_opened_but_not_ones_own(staff: Client) -> None:
    bob = add_person("bob")
    for active in (False, True):
        staff.post("/staff/people/bob/", {"do": "switch"})
        bob.refresh_from_db()
        assert bob.is_active is active
    answer = staff.post("/staff/people/sam/", {"do": "switch"})
    assert answer.status_code == 422
    assert "You cannot close the account" in answer.content.decode()


def test_a_link_for_an_account_that_is_there(staff: Client) -> None:
    add_person("bob")
    answer = staff.post("/staff/people/bob/", {"do": "link"})
    assert "/accounts/password/reset/key/" in answer.content.decode()
    assert AuditEvent.objects.filter(action="password_link.created", subject="bob").exists()


def test_roles_and_requirements_are_edited_as_data(staff: Client) -> None:
    training = Requirement.objects.create(slug="sroc", name="Safe researcher", kind="training")
    values = {
        "title": "Checker",
        "scope": "global",
        "permissions": ["release_file_view"],
        "requirements": [training.pk],
    }
    assert staff.post("/staff/roles/OutputChecker/", values).status_code == 303
    role = Role.objects.get(name="OutputChecker")
    assert (role.permissions, list(role.requirements.all())) == (["release_file_view"], [training])
    assert staff.post("/staff/roles/new/", {**values, "name": "Reader", "title": "Reader"}).status_code == 303
    assert staff.post("/staff/roles/Reader/", {**values, "delete": "yes"}).status_code == 303
    assert not Role.objects.filter(name="Reader").exists()
    assert staff.post("/staff/roles/OutputChecker/", {**values, "permissions": ["fly"]}).status_code == 422
    assert (
        staff.post("/staff/requirements/new/", {"name": "Oath", "slug": "oath", "kind": "agreement"}).status_code == 303
    )
    assert staff.post(
        "/staff/requirements/oath/", {"name": "Oath", "slug": "oath", "kind": "agreement", "valid_days": 30}
    )
    assert Requirement.objects.get(slug="oath").valid_days == 30
    assert "Safe researcher" in text(staff, "/staff/requirements/")
    assert "Safe researcher" in text(staff, "/staff/roles/")
    assert staff.get("/staff/roles/Missing/").status_code == 404


def test_only_those_who_manage_people_come_here() -> None:
    add_person("bob", project=add_project("alpha"))
    governance = browse(add_person("gov", "GovernanceLead"))
    for path in ("/users/", "/staff/people/", "/staff/people/new/", "/staff/people/bob/", "/staff/roles/"):
        assert governance.get(path).status_code == 403
    assert governance.get("/staff/").status_code == 200
    assert governance.post("/staff/people/bob/", {"do": "switch"}).status_code == 403
