"""Pages of scheduled runs and of webhooks: who may, what they show, what their forms do."""

from pathlib import Path

import pytest
from django.test import Client
from tests.support.jobserver import add_backend, add_person, add_project, browse
from tests.support.studies import follow_study, make_study, study_site

from carrel.jobserver.models import OutgoingMessage, Project, Schedule, User, Webhook

__all__ = ["study_site"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return add_project("health", add_backend("north"), add_backend("south"))


@pytest.fixture
def ann(project: Project) -> User:
    person = add_person("ann", "ProjectDeveloper", project=project)
    project.backends.get(slug="north").memberships.create(user=person)
    return person


@pytest.fixture
def url(study_site: Path, project: Project) -> str:
    follow_study(project, make_study(study_site / "study"), "health-main")
    return "/health/health-main/schedules/"


def text(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


VALUES = {"cron": "0 6 * * 1", "notify": "end", "actions-north": ["extract"]}


class TestSchedules:
    def test_setting_one_up(self, ann: User, url: str) -> None:
        client = browse(ann)
        page = text(client, f"{url}new/")
        assert 'name="actions-north" value="extract"' in page
        assert "You are not a member of south" in page
        answer = client.post(f"{url}new/", VALUES, follow=True).content.decode()
        assert "At 06:00 on Monday" in answer
        assert answer.count("06:00:00 UTC") == 5
        assert Schedule.objects.get().created_by == ann

    def test_a_preview_stores_nothing(self, ann: User, url: str) -> None:
        page = browse(ann).post(f"{url}new/", {**VALUES, "preview": "1"}).content.decode()
        assert page.count("06:00:00 UTC") == 5
        assert "checked" in page
        wrong = browse(ann).post(f"{url}new/", {**VALUES, "cron": "* * * * *", "preview": "1"})
        assert "quarter of an hour" in wrong.content.decode()
        assert not Schedule.objects.exists()

    def test_what_is_wrong_stands_beside_it(self, ann: User, url: str) -> None:
        answer = browse(ann).post(f"{url}new/", {**VALUES, "cron": "never"})
        assert (answer.status_code, "five fields" in answer.content.decode()) == (422, True)

    def test_pausing_and_removing(self, ann: User, url: str) -> None:
        client = browse(ann)
        client.post(f"{url}new/", VALUES)
        key = Schedule.objects.get().pk
        assert "Paused" in client.post(f"{url}{key}/toggle/", follow=True).content.decode()
        assert "Remove this schedule?" in text(client, f"{url}{key}/remove/")
        client.post(f"{url}{key}/remove/")
        assert not Schedule.objects.exists()
        assert client.post(f"{url}{key}/toggle/").status_code == 404

    def test_where_the_study_does_not_run_nothing_can_be_ticked(self, ann: User, url: str, project: Project) -> None:
        west = add_backend("west")
        west.memberships.create(user=ann)
        west.opt_ins.create(project=project)
        page = text(browse(ann), f"{url}new/")
        assert "does not run on backend" in page
        assert 'name="actions-west"' not in page
        assert 'name="actions-north"' in page

    def test_others_look_only(self, ann: User, url: str, project: Project) -> None:
        browse(ann).post(f"{url}new/", VALUES)
        page = text(browse(), url)
        assert "At 06:00 on Monday" in page
        assert "Schedule runs" not in page
        bob = add_person("bob", "ProjectCollaborator", project=project)
        assert browse(bob).post(f"{url}new/", VALUES).status_code == 403

    def test_of_a_backend_that_is_hidden_nothing_shows(self, ann: User, url: str, project: Project) -> None:
        browse(ann).post(f"{url}new/", VALUES)
        project.backends.update(is_listed=False)
        assert "extract" not in text(browse(), url)


class TestWebhooks:
    def test_adding_trying_and_removing(self, ann: User) -> None:
        client = browse(ann)
        assert "No address is called" in text(client, "/health/webhooks/")
        page = client.post("/health/webhooks/", {"url": "https://example.org/hook"}, follow=True).content.decode()
        webhook = Webhook.objects.get()
        assert webhook.secret in page
        client.post(f"/health/webhooks/{webhook.pk}/try/")
        assert OutgoingMessage.objects.get().subject == "webhook.tried"
        assert "On its way" in text(client, "/health/webhooks/")
        assert "Call this address no more?" in text(client, f"/health/webhooks/{webhook.pk}/remove/")
        client.post(f"/health/webhooks/{webhook.pk}/remove/")
        assert "No address is called" in text(client, "/health/webhooks/")

    def test_what_is_not_called(self, ann: User) -> None:
        answer = browse(ann).post("/health/webhooks/", {"url": "http://example.org/"})
        assert (answer.status_code, "Only https" in answer.content.decode()) == (422, True)

    def test_secrets_are_for_those_who_manage_the_project(self, ann: User, project: Project) -> None:
        assert browse().get("/health/webhooks/").status_code == 302
        bob = add_person("bob", "ProjectCollaborator", project=project)
        assert browse(bob).get("/health/webhooks/").status_code == 403
