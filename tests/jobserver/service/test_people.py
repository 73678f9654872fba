"""People, roles, members, requirements: changed by the service, each with a line in the audit log."""

from datetime import date

import pytest
from django.core.exceptions import ValidationError
from tests.support.jobserver import add_backend, add_person, add_project

from carrel.jobserver.models import AuditEvent, Organisation, Requirement, Role, RoleAssignment
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import person_named, rights_of
from carrel.jobserver.service import backends, people

pytestmark = pytest.mark.django_db
LEAD, DEVELOPER = "ProjectLead", "ProjectDeveloper"


def role(name: str) -> Role:
    return Role.objects.get(name=name)


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_an_account_is_made_without_a_password() -> None:
    person = people.create_person(
        {"username": "ann", "fullname": "Ann Lee", "email": "Ann@Example.org"}, "command line"
    )
    assert not person.has_usable_password()
    assert person.email == "ann@example.org"
    assert actions() == ["person.created"]
    with pytest.raises(ValidationError):
        people.create_person({"username": "a/b", "fullname": "A", "email": None}, "command line")
    with pytest.raises(ValidationError):
        people.create_person({"username": "ann", "fullname": "A", "email": None}, "command line")


def test_a_closed_account_has_no_rights() -> None:
    person = add_person("ann", "GovernanceLead")
    people.edit_person(person, {"is_active": False}, "command line")
    person.refresh_from_db()
    assert not rights_of(person).holds(Permission.AUDIT_VIEW)
    event = AuditEvent.objects.get()
    assert (event.old, event.new) == ({"is_active": True}, {"is_active": False})


def test_a_role_is_given_where_its_scope_allows() -> None:
    person, project = add_person("ann"), add_project("alpha")
    people.assign_role(person, role(DEVELOPER), "command line", project=project)
    assert project.memberships.filter(user=person).exists()
    with pytest.raises(ValidationError, match="cannot be given here"):
        people.assign_role(person, role(DEVELOPER), "command line")
    with pytest.raises(ValidationError, match="cannot be given here"):
        people.assign_role(person, role("OutputChecker"), "command line", project=project)
    people.assign_role(person, role("OutputChecker"), "command line", backend=add_backend("north"))
    assert actions() == ["project.member_added", "role.assigned", "role.assigned"]


def test_a_role_is_given_once() -> None:
    person = add_person("ann")
    for _ in range(2):
        people.assign_role(person, role("OutputPublisher"), "command line")
    assert RoleAssignment.objects.count() == 1
    assert actions() == ["role.assigned"]


def test_all_roles_are_cleared_with_a_line_each() -> None:
    person = add_person("ann", DEVELOPER, project=add_project("alpha"))
    people.assign_role(person, role("OutputPublisher"), "command line")
    assert people.clear_roles(person, "command line") == 2
    assert not person.role_assignments.exists()
    assert actions().count("role.removed") == 2


def test_the_last_lead_leaves_only_with_a_word() -> None:
    project = add_project("alpha")
    lead = add_person("ann", LEAD, project=project)
    add_person("bob", DEVELOPER, project=project)
    with pytest.raises(ValidationError) as error:
        people.remove_member(project, lead, lead)
    assert "without_lead" in error.value.message_dict
    with pytest.raises(ValidationError):
        people.set_project_roles(project, lead, [role(DEVELOPER)], lead)
    assert people.leads_of(project) == {lead.pk}
    people.remove_member(project, lead, lead, without_lead=True)
    assert not people.leads_of(project)
    assert not project.memberships.filter(user=lead).exists()


def test_a_lead_whose_account_is_closed_does_not_count() -> None:
    project = add_project("alpha")
    lead = add_person("ann", LEAD, project=project)
    add_person("old", LEAD, project=project, is_active=False)
    with pytest.raises(ValidationError):
        people.remove_member(project, lead, lead)


def test_roles_in_a_project_become_those_ticked() -> None:
    project = add_project("alpha")
    add_person("ann", LEAD, project=project)
    bob = add_person("bob", DEVELOPER, project=project)
    people.set_project_roles(project, bob, [role("ProjectCollaborator"), role(LEAD)], "command line")
    assert {row.role.name for row in bob.role_assignments.all()} == {"ProjectCollaborator", LEAD}
    assert actions() == ["role.removed", "role.assigned", "role.assigned"]


def test_an_account_that_is_closed_joins_nothing() -> None:
    closed = add_person("old", is_active=False)
    with pytest.raises(ValidationError, match="closed"):
        people.add_member(add_project(), closed, [], "command line")
    with pytest.raises(ValidationError, match="closed"):
        backends.add_backend_member(add_backend("north"), closed, "command line")


def test_a_role_takes_effect_with_its_training_until_it_expires() -> None:
    training = people.create_requirement(
        {"slug": "sroc", "name": "Safe researcher", "kind": "training", "valid_days": 365}, "command line"
    )
    people.edit_role(role("OutputPublisher"), {}, [training], "command line")
    person = add_person("ann", "OutputPublisher")
    assert not rights_of(person).holds(Permission.SNAPSHOT_PUBLISH)
    row = people.record_requirement(person, training, "command line", obtained_on=date(2026, 11, 30))
    assert row.expires_on == date(2027, 11, 30)
    assert rights_of(person).holds(Permission.SNAPSHOT_PUBLISH)
    with pytest.raises(ValidationError):
        people.record_requirement(
            person, training, "command line", obtained_on=date(2026, 1, 2), expires_on=date(2026, 1, 2)
        )


def test_roles_are_data() -> None:
    made = people.create_role(
        {"name": "Auditor", "title": "Auditor", "scope": "global", "permissions": ["audit_view"]}, [], "command line"
    )
    person = add_person("ann", "Auditor")
    people.edit_role(made, {"permissions": ["audit_view", "usage_view"]}, [], "command line")
    assert rights_of(person).holds(Permission.USAGE_VIEW)
    event = AuditEvent.objects.get(action="role.changed")
    assert (event.old, event.new) == (
        {"permissions": ["audit_view"]},
        {"permissions": ["audit_view", "usage_view"]},
    )
    with pytest.raises(ValidationError, match="Somebody has this role"):
        people.delete_role(made, "command line")
    people.clear_roles(person, "command line")
    people.delete_role(made, "command line")
    assert not Role.objects.filter(name="Auditor").exists()


def test_the_organisations_of_a_person() -> None:
    person = add_person("ann")
    first, second = (Organisation.objects.create(name=name, slug=name) for name in ("first", "second"))
    people.set_organisations_of(person, [first], "command line")
    people.set_organisations_of(person, [second], "command line")
    people.set_organisations_of(person, [second], "command line")
    assert list(person.organisations.all()) == [second]
    assert [(event.old, event.new) for event in AuditEvent.objects.order_by("id")] == [
        ([], ["first"]),
        (["first"], ["second"]),
    ]


def test_members_of_a_backend() -> None:
    north, person = add_backend("north"), add_person("ann")
    for _ in range(2):
        backends.add_backend_member(north, person, "command line")
    for _ in range(2):
        backends.remove_backend_member(north, person, "command line")
    assert actions() == ["backend.member_added", "backend.member_removed"]
    assert not Requirement.objects.exists()


def test_a_backend_is_hidden_until_it_is_listed() -> None:
    north = backends.create_backend({"slug": "north", "name": "North"}, "command line")
    assert not north.is_listed
    backends.edit_backend(north, {"is_active": False}, "command line")
    assert actions() == ["backend.created", "backend.changed"]
    with pytest.raises(ValidationError):
        backends.create_backend({"slug": "new", "name": "New"}, "command line")


def test_nobody_is_taken_for_another_whose_address_their_username_is() -> None:
    """By this name people are added to projects, and sign in inside backends."""
    ann = add_person("ann", email="ann@example.org")
    assert [person_named(text) for text in ("ann", " Ann@Example.ORG ", "", "nobody")] == [ann, ann, None, None]
    with pytest.raises(ValidationError, match="the address of another account"):
        people.create_person({"username": "Ann@example.org", "fullname": "Eve", "email": None}, "command line")
    add_person("ann@example.org", email="eve@example.org")
    assert person_named("ann@example.org") is None


def test_a_name_holds_no_character_that_changes_what_stands_beside_it() -> None:
    person = add_person("eve", fullname="\u202eee\x1b[1mL nnA\u2066 ")
    assert person.fullname == "ee[1mL nnA"
    assert add_person("omid", fullname="علی‌رضا").fullname == "علی‌رضا"
