"""The run page, asked for as browsers do, over a real repository."""

import hashlib
import html
import shutil
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.support.jobserver import add_backend, add_job, add_person, add_project, add_request, add_run, browse
from tests.support.studies import FILES, PROJECT, follow_study, make_study, study_site

from carrel.jobserver.models import CatalogueVersion, Role, RunGroup

__all__ = ["study_site"]
pytestmark = pytest.mark.django_db
MAX_PAGE_BYTES = 150_000


class RunSite:
    """A study on two backends, with a person who may run it on both, and their browser."""

    def __init__(self, folder: Path) -> None:
        self.repo = make_study(folder / "study")
        self.north, self.south = add_backend("north", position=1), add_backend("south", position=2)
        self.project = add_project("health", self.north, self.south)
        self.person = add_person("ann", "ProjectDeveloper", project=self.project)
        for backend in (self.north, self.south):
            backend.memberships.create(user=self.person)
        self.workspace = follow_study(self.project, self.repo, "health-main")
        self.browser = browse(self.person)
        self.url = "/health/health-main/run/"

    @property
    def head(self) -> str:
        return self.repo.git("rev-parse", "HEAD")

    def ran(self, backend, action: str, status: str = "succeeded", **fields):
        run = add_run(self.workspace, self.person, commit=fields.pop("commit", self.head))
        return add_job(add_request(run, backend), action, status, run_command=COMMANDS[action], **fields)

    def page(self, url: str = "", **query: str) -> str:
        answer = self.browser.get(url or self.url, query)
        assert answer.status_code == 200, answer.content.decode()[:2000]
        return answer.content.decode()

    def form(self, *ticks: str, **fields) -> dict:
        return {"commit": self.head, "submission_key": "k", "notify": "end", "tick": list(ticks), **fields}

    def preview(self, *ticks: str, part: bool = True, **fields) -> str:
        headers = {"HX-Request": "true"} if part else {}
        answer = self.browser.post(f"{self.url}preview/", self.form(*ticks, **fields), headers=headers)
        return answer.content.decode()


COMMANDS = {
    "extract": "sqlrunner:v1 sql/extract.sql --output output/extract.csv",
    "normalise": "python:v2 python analysis/normalise.py",
    "incentives": "python:v2 python analysis/incentives.py",
    "visits": "python:v2 python analysis/visits.py",
}


def add_catalogue(backend, columns: list[str], **table) -> None:
    """What data a backend has: one table, `visits`."""
    tables = [{"name": "visits", "columns": [{"name": name} for name in columns], **table}]
    document = {
        "backend": backend.slug,
        "built": "2026-05-05",
        "databases": [{"dialect": "duckdb", "data_sets": [{"name": "visits", "tables": tables}]}],
    }
    digest = hashlib.sha256(str(document).encode()).hexdigest()
    CatalogueVersion.objects.create(backend=backend, document=document, digest=digest)


@pytest.fixture
def site(study_site: Path) -> RunSite:
    return RunSite(study_site)


def test_the_page_shows_the_pinned_commit_and_a_box_for_what_can_run(site):
    page = site.page()
    assert "Round counts to five" in page
    assert f'name="commit" value="{site.head}"' in page
    assert 'value="north:extract"' in page
    assert "Supported backends: north, south" in page
    assert page.count("nothing ticked") == 2
    assert "up · idle" in page


def test_an_action_of_another_backend_has_a_word_and_a_reason(site):
    page = site.page()
    assert 'value="north:incentives"' not in page
    assert 'title="`incentives` runs on south only: project.yaml says so' in page
    assert 'value="south:incentives"' in page


def test_the_status_of_an_action_is_that_of_its_backend(site):
    site.ran(site.north, "extract", "failed")
    row = site.page().split("<tr>")[2]
    north, south = row.split("<td")[1:]
    assert "Failed" in north
    assert 'data-is="failed"' in north
    assert "never ran" in south
    assert "Failed" not in south


def test_code_that_changed_since(site):
    site.ran(site.north, "visits")
    site.ran(site.north, "normalise")
    site.repo.commit({"analysis/visits.py": "print(4)\n"})
    page = site.page()
    assert page.count("code changed") == 1
    assert "analysis/visits.py" in page


def test_ticks_of_a_link_are_ticked_and_previewed(site):
    page = site.page(tick="north:extract")
    assert 'value="north:extract" aria-label="extract on north" data-is="never_ran" checked' in page
    assert "Run 1 job on 1 backend" in page


def test_the_preview_says_what_runs_and_what_is_reused(site):
    old = site.head
    site.ran(site.north, "extract", commit=old)
    for number in range(3):
        site.repo.commit({"README.md": str(number)})
    site.page()
    preview = site.preview("north:normalise", "south:visits")
    assert "<html" not in preview
    assert f"reused: succeeded on 3 May, commit {old[:7]}, 3 commits ago" in preview
    assert "will run: asked for by name" in preview
    assert "Run 4 jobs on 2 backends" in preview


def test_an_input_that_will_change_is_told(site):
    site.ran(site.north, "normalise")
    assert "though its input will change" in site.preview("north:extract", "north:visits")


def test_forced_dependencies(site):
    site.ran(site.north, "extract")
    assert "1 run, 1 reused" in site.preview("north:normalise")
    assert "dependencies are forced to run again" in site.preview("north:normalise", force=["north"])


def test_a_paused_backend_can_be_ticked_and_starts_later(site):
    site.north.is_paused = True
    site.north.save()
    assert "1 run, starting when resumed" in site.preview("north:extract")


def test_the_expected_time_is_that_of_earlier_runs(site):
    site.ran(site.north, "extract")
    assert "about 4 minutes, as last time" in site.preview("north:extract")


def test_without_scripts_the_preview_is_the_whole_page_with_its_ticks(site):
    page = site.preview("north:extract", part=False, notify="never", force=["south"])
    assert "<html" in page
    assert 'value="north:extract" aria-label="extract on north" data-is="never_ran" checked' in page
    assert 'name="notify" value="never" form="run" checked' in page
    assert 'name="force" value="south" checked' in page
    assert "Run 1 job on 1 backend" in page


def test_a_run_is_asked_for_at_the_commit_that_was_shown(site):
    shown = site.form("north:extract", "south:visits", force=["south"], notify="first_failure")
    site.repo.commit({"README.md": "later"})
    answer = site.browser.post(site.url, shown)
    run = RunGroup.objects.get()
    assert answer.status_code == 303
    assert answer["Location"] == f"/health/health-main/{run.pk}/"
    assert run.commit == shown["commit"]
    assert run.notify == "first_failure"
    assert {(r.backend.slug, *r.requested_actions, r.force_run_dependencies) for r in run.requests.all()} == {
        ("north", "extract", False),
        ("south", "visits", True),
    }


def test_pressed_twice_it_is_one_run(site):
    for _ in range(2):
        assert site.browser.post(site.url, site.form("north:extract")).status_code == 303
    assert RunGroup.objects.count() == 1


def test_what_cannot_run_is_said_and_the_ticks_stay(site):
    site.north.memberships.all().delete()
    answer = site.browser.post(site.url, site.form("north:extract", "south:extract"))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "north: You are not a member of north" in page
    assert 'value="south:extract" aria-label="extract on south" data-is="never_ran" checked' in page
    assert "not a member" in page
    assert not RunGroup.objects.exists()


@pytest.mark.parametrize("commit", ["", "main", "0" * 40, "z" * 40])
def test_a_commit_that_is_not_on_the_branch_is_refused(site, commit):
    answer = site.browser.post(site.url, site.form("north:extract", commit=commit))
    assert answer.status_code == 422
    assert not RunGroup.objects.exists()


def test_ticks_that_make_no_sense_are_answered_in_words(site):
    answer = site.browser.post(site.url, site.form("east:extract", "north:extrat", "nonsense", ":"))
    assert answer.status_code == 422
    assert "does not run on east" in answer.content.decode()
    assert "Did you mean `extract`?" in html.unescape(answer.content.decode())


def test_an_earlier_commit_by_its_address(site):
    old = site.head
    site.repo.commit({"README.md": "1"}, "Second")
    site.page()
    assert f'name="commit" value="{old}"' in site.page(f"/health/health-main/run-jobs/{old}/")
    assert f'name="commit" value="{old}"' in site.page(f"/health/health-main/run-jobs/{old[:8]}/")
    assert f'name="commit" value="{site.head}"' in site.page("/health/health-main/run-jobs/")
    assert f'name="commit" value="{old}"' in site.page(f"/health/health-main/run/?commit={old}")
    for path in ("run-jobs/nonsense/", "run/?commit=zzz", f"run/?commit={'0' * 40}"):
        assert site.browser.get(f"/health/health-main/{path}").status_code == 422


def test_commits_to_choose_from(site):
    old = site.head
    site.repo.commit({"README.md": "1"}, "Second")
    page = site.page(f"{site.url}commits/")
    assert page.index("Second") < page.index("Round counts to five")
    answer = site.browser.get(f"{site.url}commits/", {"commit": old[:9]})
    assert answer["Location"] == f"/health/health-main/run-jobs/{old}/"
    answer = site.browser.get(f"{site.url}commits/", {"commit": "0123456"})
    assert answer.status_code == 422
    assert "begins with 0123456" in answer.content.decode()


def test_mistakes_of_the_project_file_stand_where_the_matrix_would_be(site):
    site.repo.commit({"project.yaml": FILES["project.yaml"].replace("needs: [extract]", "needs: [extrat]")})
    page = html.unescape(site.page())
    assert "1 problem in the study's project file" in page
    assert "project.yaml:8:13" in page
    assert "    needs: [extrat]\n" in page
    assert '<span class="bad">            ^</span>' in page
    assert "did you mean `extract`" in page
    assert 'id="actions"' not in page


def test_a_repository_that_is_away(site):
    site.page()
    head = site.head
    shutil.rmtree(site.repo.path)
    page = site.page()
    assert "This may not be the latest commit." in page
    assert f'name="commit" value="{head}"' in page
    form = {"commit": head, "submission_key": "k", "tick": ["north:extract"]}
    assert site.browser.post(site.url, form).status_code == 303


def test_a_repository_that_never_answered(site):
    shutil.rmtree(site.repo.path)
    answer = site.browser.get(site.url)
    assert answer.status_code == 422
    assert "Try again" in answer.content.decode()


def test_codelists_out_of_date_warn_and_forbid_what_reads_a_database(site):
    site.repo.commit({"codelists/codelists.txt": "org/asthma/v1\n"})
    assert "The codelists are out of date" in site.page()
    assert "Codelists are out of date (required by action extract)" in site.preview("north:extract")
    site.ran(site.north, "extract")
    assert "Run 1 job on 1 backend" in site.preview("north:normalise")


def test_data_that_a_backend_lacks_disables_the_cell_and_names_it(site):
    add_catalogue(site.north, ["patient_id", "plan"])
    add_catalogue(site.south, ["patient_id"])
    page = html.unescape(site.page())
    assert 'value="north:extract"' in page
    assert 'value="south:extract"' not in page
    assert ">no plan<" in page
    assert "south has no `plan`" in page
    assert ">needs extract<" in page
    answer = site.browser.post(site.url, site.form("south:extract"))
    assert "south has no `plan`" in html.unescape(answer.content.decode())


def test_data_that_changed_since(site):
    add_catalogue(site.north, ["patient_id", "plan"], changed="2026-05-04")
    add_catalogue(site.south, ["patient_id", "plan"], changed="2026-05-03")
    site.ran(site.north, "extract")
    site.ran(site.south, "extract")
    page = site.page()
    assert page.count("data changed") == 1
    assert "Changed since it read them: visits." in page


def test_nobody_without_the_right_gets_the_page(site):
    assert browse().get(site.url).status_code == 302
    assert browse(add_person("eve")).get(site.url).status_code == 403
    other = add_person("oz", "ProjectDeveloper", project=add_project("other"))
    answer = browse(other).get(site.url)
    assert answer.status_code == 403
    assert "None of your roles here lets you run actions" in answer.content.decode()


def test_a_role_on_one_backend_is_enough_for_that_one(site):
    eve = add_person("eve")
    eve.role_assignments.create(
        role=Role.objects.get(name="ProjectDeveloper"), project=site.project, backend=site.north
    )
    for backend in (site.north, site.south):
        backend.memberships.create(user=eve)
    page = browse(eve).get(site.url).content.decode()
    assert 'value="north:extract"' in page
    assert 'value="south:extract"' not in page
    assert "no right to run" in page


def test_a_backend_that_the_person_may_not_know_of_is_not_there(site):
    hidden = add_backend("secret", is_listed=False)
    site.ran(hidden, "extract")
    assert "secret" not in site.page()


def test_a_project_without_backends(study_site):
    text = PROJECT.replace("run_on: [north, south]\n", "").replace("    run_on: [south]\n", "")
    repo = make_study(study_site / "lonely", {"project.yaml": text})
    project = add_project("lonely")
    person = add_person("zoe", "ProjectDeveloper", project=project)
    workspace = follow_study(project, repo, "lonely-main")
    page = browse(person).get(f"{workspace.get_absolute_url()}run/").content.decode()
    assert "not opted in to any backend" in page


def commit_actions(site: RunSite, count: int) -> None:
    actions = "".join(
        f"  a{number}: {{run: 'python:v2 a{number}.py', outputs: {{highly_sensitive: {{x: out/a{number}.csv}}}}}}\n"
        for number in range(count)
    )
    site.repo.commit({"project.yaml": f"version: '5'\nactions:\n{actions}"})


def test_many_rows_are_folded(site):
    commit_actions(site, 20)
    page = site.page()
    assert page.count('class="fold"') == 6
    assert "Show 6 more actions" in page


def pages_of_many(site: RunSite, *ticks: str, **fields) -> str:
    """The page again, as one of its buttons brings it without any script."""
    answer = site.browser.post(f"{site.url}preview/", site.form(*ticks, **fields))
    assert answer.status_code == 200
    assert len(answer.content) < MAX_PAGE_BYTES
    return answer.content.decode()


def test_hundreds_of_actions_come_by_the_page_and_ticks_stay(site):
    commit_actions(site, 500)
    first = site.page()
    assert len(first) < MAX_PAGE_BYTES
    assert "1–50 of 500 actions" in first
    assert "a50 on north" not in first
    second = pages_of_many(site, "north:a3", page="2", searched="", search="")
    assert 'value="north:a50" aria-label="a50 on north"' in second
    assert '<input type="hidden" name="tick" value="north:a3">' in second
    assert "Run 1 job on 1 backend" in second
    back = pages_of_many(site, "north:a3,a60", page="1", searched="", search="")
    assert 'value="north:a3" aria-label="a3 on north" data-is="never_ran" checked' in back
    assert '<input type="hidden" name="tick" value="north:a60">' in back
    assert "Run 2 jobs on 1 backend" in back


def test_buttons_tick_all_pages_or_what_was_looked_for(site):
    commit_actions(site, 60)
    assert "Run 120 jobs on 2 backends" in pages_of_many(site, ticks="all")
    assert "Run 60 jobs on 1 backend" in pages_of_many(site, ticks="all:south")
    assert "Run what is ticked" in pages_of_many(site, "north:a3,a59", ticks="none:north")
    found = pages_of_many(site, page="2", searched="", search="A5", ticks="never_ran:north")
    assert "1–11 of 11 actions" in found
    assert "Run 11 jobs on 1 backend" in found
    assert "No action is called so" in pages_of_many(site, page="1", searched="zz", search="zz")


def test_what_is_ticked_on_pages_that_do_not_show_is_run(site):
    commit_actions(site, 60)
    site.browser.post(site.url, site.form("north:a3", "north:a55,a56"))
    assert RunGroup.objects.get().requests.get().requested_actions == ["a3", "a55", "a56"]


def test_few_questions_however_many_rows(site):
    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            site.page(url)
        return len(queries)

    site.page()
    few = count(site.url)
    for action in COMMANDS:
        for backend in (site.north, site.south):
            site.ran(backend, action)
    site.page()
    assert count(site.url) <= few
    assert few <= 22
