"""Laying out a site: what is missing is made, what stands is left alone, each with its line in the audit log."""

import pytest
from tests.support import jobserver as rows

from carrel.jobserver.models import AuditEvent, Project, ProjectBackend, RoleAssignment, User
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service.setup import (
    PROJECT_ROLES,
    STAFF_ROLES,
    SetupError,
    ensure_backend,
    ensure_organisation,
    ensure_person,
    ensure_project,
    ensure_workspace,
)

pytestmark = pytest.mark.django_db
SHELL = "command line"


def lay_out() -> Project:
    ann = ensure_person("ann", actor=SHELL, fullname="Ann Lee", password="correct horse battery", roles=STAFF_ROLES)
    organisation = ensure_organisation("Port Hospital", actor=SHELL, members=[ann])
    north = ensure_backend("north", actor=SHELL, is_dummy=True, members=[ann])
    project = ensure_project(
        "health-insurance",
        actor=ann,
        name="Health insurance",
        organisation=organisation,
        backends=[north],
        members={ann: PROJECT_ROLES},
    )
    ensure_workspace(project, "health-insurance", actor=ann, repo_url="https://git.example.org/study.git")
    return project


def test_a_whole_site_is_laid_out_once():
    project = lay_out()
    told = AuditEvent.objects.count()
    assert lay_out() == project
    assert AuditEvent.objects.count() == told
    ann = User.objects.get(username="ann")
    rights = rights_of(ann)
    assert rights.holds(Permission.BACKEND_MANAGE)
    assert rights.holds(Permission.JOB_RUN, project_id=project.pk)
    assert [backend.slug for backend in visible_backends(ann, rights)] == ["north"]
    assert ann.check_password("correct horse battery")
    assert project.organisations.get().name == "Port Hospital"
    assert project.workspaces.get().created_by == ann


def test_each_thing_has_its_line_in_the_audit_log():
    lay_out()
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert actions == {
        "person.created",
        "password.set",
        "role.assigned",
        "organisation.created",
        "user.organisations_changed",
        "project.organisations_changed",
        "backend.created",
        "backend.member_added",
        "project.created",
        "project.opted_in",
        "project.member_added",
        "workspace.created",
    }
    assert "correct horse" not in str(list(AuditEvent.objects.values()))


def test_what_stands_is_left_alone_and_what_is_missing_is_added():
    project = lay_out()
    Project.objects.update(name="Another name")
    User.objects.update(fullname="Ann Smith")
    RoleAssignment.objects.all().delete()
    ProjectBackend.objects.all().delete()
    lay_out()
    ann = User.objects.get()
    assert ann.fullname == "Ann Smith"
    assert Project.objects.get().name == "Another name"
    assert project.backends.count() == 1
    assert ann.role_assignments.count() == len(STAFF_ROLES) + len(PROJECT_ROLES)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ensure_person("ann", actor=SHELL, roles=["King"]), "no role King"),
        (lambda: ensure_person("ann", actor=SHELL, email="nonsense"), "email"),
        (lambda: ensure_person("ann", actor=SHELL, password="password1234"), "too common"),
        (lambda: ensure_person("", actor=SHELL), "username"),
        (lambda: ensure_backend("No Slug", actor=SHELL), "slug"),
        (lambda: ensure_workspace(rows.add_project(), "Capital letters", actor=SHELL, repo_url="x"), "Lower-case"),
    ],
)
def test_what_cannot_be_is_refused_in_words(make, why):
    with pytest.raises(SetupError, match=why):
        make()
    assert not User.objects.exists()


def test_a_workspace_of_another_project_is_not_taken_over():
    rows.add_workspace(rows.add_project("first"), "study")
    with pytest.raises(SetupError, match="already"):
        ensure_workspace(rows.add_project("second"), "study", actor=SHELL, repo_url="x")
