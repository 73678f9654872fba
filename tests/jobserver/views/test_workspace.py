"""The workspace page, its live parts and its settings, over a real repository."""

import shutil
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.jobserver.views.test_run_page import RunSite, commit_actions
from tests.support.jobserver import add_backend, add_person, browse
from tests.support.studies import FILES, study_site

from carrel.jobserver.models import AuditEvent, Project

__all__ = ["study_site"]
pytestmark = pytest.mark.django_db
URL = "/health/health-main/"


@pytest.fixture
def site(study_site: Path, monkeypatch: pytest.MonkeyPatch) -> RunSite:
    monkeypatch.setattr("carrel.jobserver.views.workspace.LOOK_SECONDS", 60.0)
    return RunSite(study_site)


def test_how_each_action_stands_on_each_backend(site):
    job = site.ran(site.north, "extract")
    site.ran(site.south, "extract", "failed")
    page = site.page(URL)
    north, south = page.split("<tr>")[2].split("<td>")[1:]
    assert "Succeeded" in north
    assert f'href="{URL}{job.request.run_id}/{job.identifier}/"' in north
    assert "Failed" in south
    assert "only on south" in page
    assert "never ran" in page
    assert "Supported backends" in page
    assert site.head in page
    assert f"{URL}run/" in page
    assert f"Run {job.request.run_id}" in page


def test_code_that_changed_since(site):
    site.ran(site.north, "visits")
    site.repo.commit({"analysis/visits.py": "print(4)\n"})
    assert "code changed" in site.page(URL)


def test_a_stranger_sees_a_listed_project_without_ways_to_change_it(site):
    answer = browse().get(URL)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "extract" in page
    assert "Run actions" not in page
    assert "Settings" not in page
    assert "notifications-toggle" not in page


def test_a_stranger_does_not_see_what_is_hidden(site):
    hidden = add_backend("secret", is_listed=False)
    site.ran(hidden, "extract")
    assert "secret" not in browse().get(URL).content.decode()
    Project.objects.update(is_listed=False)
    assert browse().get(URL).status_code == 404
    assert browse().get(f"{URL}parts/").status_code == 404


def test_nothing_has_run(site):
    assert "Nothing has run yet" in site.page(URL)


def test_a_repository_that_is_away(site):
    site.page(URL)
    shutil.rmtree(site.repo.path)
    assert "This may not be the latest commit." in site.page(URL)


def test_a_repository_that_never_answered(site):
    shutil.rmtree(site.repo.path)
    page = site.page(URL)
    assert "Cannot be read" in page
    assert "Try again" in page


def test_a_study_with_mistakes(site):
    site.repo.commit({"project.yaml": FILES["project.yaml"].replace("needs: [extract]", "needs: [extrat]")})
    page = site.page(URL)
    assert "project.yaml:8:13" in page
    assert "Nothing has run yet" in page


def test_live_parts_change_with_the_jobs_and_stop_when_all_is_final(site):
    job = site.ran(site.north, "extract", "running")
    site.page(URL)
    url = f"{URL}parts/?commit={site.head}"
    first = site.browser.get(url)
    assert first.status_code == 200
    assert 'id="actions-now" hx-swap-oob="true"' in first.content.decode()
    assert "1 running" in first.content.decode()
    headers = {"If-None-Match": first["ETag"]}
    assert site.browser.get(url, headers=headers).status_code in (200, 304)  # the minute may turn
    job.status = job.status_code = "succeeded"
    job.completed_at = job.created_at
    job.save()
    last = site.browser.get(url, headers=headers)
    assert last.status_code == 286
    assert "1 succeeded" in last.content.decode()
    assert site.browser.get(f"{URL}parts/?commit=nonsense").status_code == 286


def test_settings(site):
    page = site.page(f"{URL}edit/")
    assert "Its repository and branch never change" in page
    answer = site.browser.post(f"{URL}edit/", {"purpose": "Visits by plan", "notify": "first_failure"})
    assert answer.status_code == 303
    site.workspace.refresh_from_db()
    assert (site.workspace.purpose, site.workspace.notify) == ("Visits by plan", "first_failure")
    assert AuditEvent.objects.filter(action="workspace.changed").exists()
    assert site.browser.post(f"{URL}edit/", {"purpose": "", "notify": "sometimes"}).status_code == 422


def test_archiving_asks_first_and_can_be_undone(site):
    assert "Archive health-main?" in site.page(f"{URL}archive-toggle/")
    assert site.browser.post(f"{URL}archive-toggle/").status_code == 303
    page = site.page(URL)
    assert "nothing new runs in it" in page
    assert f'href="{URL}run/"' not in page
    assert "archived" in site.page(site.url)
    site.browser.post(f"{URL}archive-toggle/")
    assert f'href="{URL}run/"' in site.page(URL)


def test_the_switch_of_notifications(site):
    for notify in ("never", "end"):
        assert site.browser.post(f"{URL}notifications-toggle/").status_code == 303
        site.workspace.refresh_from_db()
        assert site.workspace.notify == notify
    assert site.browser.get(f"{URL}notifications-toggle/").status_code == 404


@pytest.mark.parametrize("path", ["edit/", "archive-toggle/", "notifications-toggle/"])
def test_settings_are_not_for_everybody(site, path):
    assert browse(add_person("eve")).post(f"{URL}{path}").status_code == 403


def test_hundreds_of_actions_come_by_the_page(site):
    commit_actions(site, 120)
    page = site.page(URL, page="3")
    assert "101–120 of 120 actions" in page
    assert ">a119" in page
    assert ">a99" not in page


def test_few_questions_however_many_jobs(site):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            site.page(URL)
        return len(queries)

    site.ran(site.north, "extract", "running")
    site.page(URL)
    few = count()
    for action in ("extract", "normalise", "visits"):
        for backend in (site.north, site.south):
            site.ran(backend, action, "running")
    assert count() <= few
    assert few <= 20


def test_a_stranger_cannot_have_commits_fetched(site):
    site.page(URL)
    old = site.head
    site.repo.commit({"analysis/visits.py": "print(5)\n"})
    for commit, is_shown in ((old, True), (site.head, False), ("0" * 40, False)):
        answer = browse().get(f"{URL}parts/?commit={commit}")
        assert ("extract" in answer.content.decode()) == is_shown, commit
