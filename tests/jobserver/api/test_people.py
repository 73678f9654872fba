"""GET users/<username>/: what a person may do on the backend that asks."""

from datetime import date

import pytest
from tests.jobserver.api.conftest import Api
from tests.support.jobserver import add_person, add_project

from carrel.jobserver.models import Requirement, Role, RoleAssignment
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.roles import DEFAULT_ROLES

DEVELOPER = sorted(next(role.permissions for role in DEFAULT_ROLES if role.name == "ProjectDeveloper"))


def test_permissions_and_roles_everywhere_and_by_project(api: Api) -> None:
    ann = add_person("ann", "ProjectDeveloper", project=api.project)
    RoleAssignment.objects.create(user=ann, role=Role.objects.get(name="OutputPublisher"))
    other = add_project("asthma")
    RoleAssignment.objects.create(user=ann, role=Role.objects.get(name="ProjectCollaborator"), project=other)
    answer = api.as_backend("GET", "users/ann/")
    assert answer.status_code == 200
    assert answer.json() == {
        "permissions": {
            "global": [Permission.SNAPSHOT_PUBLISH],
            "projects": [
                {"slug": "asthma", "permissions": [Permission.RELEASE_FILE_VIEW]},
                {"slug": "cancer", "permissions": DEVELOPER},
            ],
        },
        "roles": {
            "global": ["OutputPublisher"],
            "projects": [
                {"slug": "asthma", "roles": ["ProjectCollaborator"]},
                {"slug": "cancer", "roles": ["ProjectDeveloper"]},
            ],
        },
    }


def test_a_role_on_another_backend_or_without_its_training_permits_nothing_here(api: Api) -> None:
    ann = add_person("ann")
    publisher = Role.objects.get(name="OutputPublisher")
    RoleAssignment.objects.create(user=ann, role=publisher, backend=api.south)
    assert api.as_backend("GET", "users/ann/").json()["permissions"]["global"] == []
    assert api.as_backend("GET", "users/ann/", "south").json()["permissions"]["global"] == ["snapshot_publish"]
    training = Requirement.objects.create(slug="safe", name="Safe researcher", kind="training")
    publisher.requirements.add(training)
    rights = api.as_backend("GET", "users/ann/", "south").json()
    assert (rights["permissions"]["global"], rights["roles"]["global"]) == ([], ["OutputPublisher"])
    training.records.create(user=ann, obtained_on=date(2020, 1, 1))
    assert api.as_backend("GET", "users/ann/", "south").json()["permissions"]["global"] == ["snapshot_publish"]


def test_names_are_compared_in_one_form(api: Api) -> None:
    add_person("José")
    assert api.as_backend("GET", "users/José/").status_code == 200


@pytest.mark.parametrize("name", ["nobody", "%F0%9F%A6%80", "a" * 5000])
def test_nobody(api: Api, name: str) -> None:
    answer = api.as_backend("GET", f"users/{name}/")
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is nobody of this name.")


def test_only_backends_may_ask(api: Api) -> None:
    add_person("ann")
    for answer in (api.ask("GET", "users/ann/"), api.ask("GET", "users/ann/", "wrong")):
        assert answer.status_code == 403
        assert answer.json()["detail"]
        assert "WWW-Authenticate" not in answer.headers
