"""Signing in inside a backend and the events of its review site (sections 2.3 and 2.4), over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.jobserver.api.conftest import Api
from tests.support.jobserver import add_person, add_project, add_workspace

from carrel.jobserver.models import (
    AuditEvent,
    BackendMembership,
    Organisation,
    OutgoingMessage,
    ProjectOrganisation,
    Role,
    RoleAssignment,
    User,
)
from carrel.jobserver.service.airlock import WORDS
from carrel.jobserver.service.tokens import create_level4_token


@pytest.fixture
def ann(api: Api) -> User:
    person = add_person("ann", "ProjectDeveloper", project=api.project, fullname="Ann Lee")
    BackendMembership.objects.create(backend=api.north, user=person)
    return person


DETAILS = {"project_details": {"name": "Cancer", "ongoing": True, "orgs": ["Oxford", "Bath"]}, "archived": False}


@pytest.fixture
def organisations(api: Api) -> None:
    for name, leads in (("Bath", False), ("Oxford", True)):
        organisation = Organisation.objects.create(name=name, slug=name.lower())
        ProjectOrganisation.objects.create(project=api.project, organisation=organisation, is_lead=leads)


@pytest.mark.parametrize("user", ["ann", "ANN@example.org", " ann "])
def test_three_words_sign_in_once(api: Api, ann: User, organisations: None, user: str) -> None:
    words = create_level4_token(ann, ann)
    body = {"user": user, "token": f" {words.upper()}"}
    answer = api.as_backend("POST", "releases/authenticate", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "username": "ann",
        "fullname": "Ann Lee",
        "workspaces": {"survival": DETAILS},
        "copiloted_workspaces": {},
        "output_checker": False,
        "readonly_access": False,
    }
    again = api.as_backend("POST", "releases/authenticate", json=body)
    assert (again.status_code, next(iter(again.json()))) == (403, "detail")
    event = AuditEvent.objects.get(action="level4_token.used")
    assert (event.actor, event.subject) == ("backend:north", "ann")


def test_guessing_is_locked_out(api: Api, ann: User) -> None:
    words = create_level4_token(ann, ann)
    for _ in range(5):
        assert api.as_backend("POST", "releases/authenticate", json={"user": "ann", "token": "x"}).status_code == 403
    right = api.as_backend("POST", "releases/authenticate", json={"user": "ann", "token": words})
    assert (right.status_code, right.json()["detail"]) == (
        403,
        "Wrong user or token, or this person may not sign in here.",
    )


def test_one_answer_for_whoever_may_not_sign_in(api: Api, ann: User) -> None:
    words = create_level4_token(ann, ann)
    elsewhere = api.as_backend("POST", "releases/authenticate", "south", json={"user": "ann", "token": words})
    nobody = api.as_backend("POST", "releases/authenticate", json={"user": "nobody", "token": words})
    assert (elsewhere.status_code, elsewhere.json()) == (nobody.status_code, nobody.json())
    assert elsewhere.status_code == 403
    assert api.ask("POST", "releases/authenticate", json={"user": "ann", "token": words}).status_code == 403
    assert api.as_backend("POST", "releases/authenticate", json={"user": "ann", "token": words}).status_code == 200


def test_authorise_asks_no_words(api: Api, ann: User, organisations: None) -> None:
    answer = api.as_backend("POST", "releases/authorise", json={"user": "ann"})
    assert (answer.status_code, answer.json()["workspaces"]) == (200, {"survival": DETAILS})
    assert api.as_backend("POST", "releases/authorise", json={"user": "nobody"}).status_code == 404
    assert api.as_backend("POST", "releases/authorise", "south", json={"user": "ann"}).status_code == 403
    User.objects.update(is_active=False)
    assert api.as_backend("POST", "releases/authorise", json={"user": "ann"}).status_code == 403
    assert api.ask("POST", "releases/authorise", json={"user": "ann"}).status_code == 403


def test_which_workspaces_somebody_sees(api: Api, ann: User) -> None:
    now = datetime.now(UTC)
    other = add_project("asthma", status="retired", copilot=ann)
    add_workspace(other, "copiloted", archived_at=now, archived_by=ann)
    over = add_project("over", copilot=ann, copilot_support_ends_at=now - timedelta(days=1))
    add_workspace(over, "not-any-more")

    def seen() -> tuple[list[str], list[str], bool, bool]:
        answer = api.as_backend("POST", "releases/authorise", json={"user": "ann"}).json()
        own, copiloted = list(answer["workspaces"]), list(answer["copiloted_workspaces"])
        return own, copiloted, answer["output_checker"], answer["readonly_access"]

    assert seen() == (["survival"], ["copiloted"], False, False)
    details = api.as_backend("POST", "releases/authorise", json={"user": "ann"}).json()["copiloted_workspaces"]
    assert details["copiloted"] == {
        "project_details": {"name": "Asthma", "ongoing": False, "orgs": []},
        "archived": True,
    }
    checker = Role.objects.get(name="OutputChecker")
    assignment = RoleAssignment.objects.create(user=ann, role=checker, backend=api.south)
    assert seen()[2] is False, "a checker elsewhere"
    assignment.delete()
    RoleAssignment.objects.create(user=ann, role=checker)
    RoleAssignment.objects.create(user=ann, role=Role.objects.get(name="DeploymentAdministrator"))
    assert seen() == (["copiloted", "not-any-more", "survival"], ["copiloted"], True, True)


# -- airlock/events/


EVENT = {
    "workspace": "survival",
    "request": "01HX3V6Q4ZJ8S0K5T7W9Y2B1CD",
    "request_author": "ann",
    "user": "chris",
    "updates": [{"update": "file added", "group": "one", "user": "ann"}, {"update_type": "context_edited"}],
    "org": "oxford",
    "repo": None,
}


@pytest.mark.parametrize("prefix", ["request_", ""])
@pytest.mark.parametrize("kind", WORDS)
def test_each_event_is_written_down_and_some_are_mailed(api: Api, ann: User, settings, kind: str, prefix: str) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    answer = api.as_backend("POST", "airlock/events/", json={"event_type": f"{prefix}{kind}", **EVENT})
    assert (answer.status_code, answer.json()) == (201, {"status": "ok"})
    event = AuditEvent.objects.get(action=f"airlock.{kind}")
    assert (event.actor, event.project, event.subject) == ("backend:north", "cancer", EVENT["request"])
    assert event.new["updates"] == ["file added (group one) by ann", "context edited"]
    mails = OutgoingMessage.objects.all()
    assert bool(mails) is (kind in ("approved", "released", "rejected", "returned"))
    for mail in mails:
        assert mail.recipient == ann
        assert f"Your request {EVENT['request']} of survival on north {WORDS[kind]}." in mail.body


def test_what_cannot_be_done_is_told_with_201(api: Api, ann: User) -> None:
    sent = {**EVENT, "event_type": "exploded", "workspace": "nowhere", "request_author": "nobody"}
    answer = api.as_backend("POST", "airlock/events/", json=sent)
    assert answer.status_code == 201
    assert answer.json()["status"] == "error"
    assert answer.json()["message"] == (
        f"unknown event 'exploded'; there are: {', '.join(WORDS)}; "
        "there is no workspace 'nowhere'; there is no user 'nobody'"
    )
    assert api.as_backend("POST", "airlock/events/", json={"updates": [5, {"update": {}}, {}]}).status_code == 201


def test_only_backends_tell_events(api: Api) -> None:
    assert api.ask("POST", "airlock/events/", json=EVENT).status_code == 403
    assert api.as_backend("POST", "airlock/events/", json=[1]).status_code == 400
