"""The run page in a browser: the live preview, the keyboard alone, a phone, no JavaScript, and what axe says."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import JobServerSite
from tests.jobserver.views.test_run_page import RunSite
from tests.support.browser import NARROW, scrolls_sideways, serious_problems
from tests.support.studies import study_site

from carrel.jobserver.models import RunGroup

__all__ = ["study_site"]
pytestmark = pytest.mark.browser


@pytest.fixture
def site(jobserver: JobServerSite, study_site: Path, monkeypatch: pytest.MonkeyPatch) -> RunSite:
    monkeypatch.setattr("carrel.jobserver.views.workspace.LOOK_SECONDS", 60.0)
    site = RunSite(study_site)
    site.ran(site.north, "extract")
    site.ran(site.south, "extract", "failed")
    return site


def box(page: Page, name: str):
    return page.get_by_role("checkbox", name=name, exact=True)


def run_button(page: Page):
    return page.locator("#submit")


def test_ticks_show_what_will_happen_and_are_run(jobserver, site):
    with jobserver.visit(site.person) as visit:
        page = visit.open(site.url)
        expect(run_button(page)).to_have_text("Run what is ticked")
        box(page, "normalise on north").check()
        expect(run_button(page)).to_have_text("Run 1 job on 1 backend")
        expect(page.locator("#preview")).to_contain_text("reused: succeeded on 3 May")
        box(page, "visits on south").check()
        expect(run_button(page)).to_have_text("Run 4 jobs on 2 backends")
        expect(page.locator("#preview")).to_contain_text("last run failed")
        page.locator('input[name="force"][value="north"]').check()
        expect(run_button(page)).to_have_text("Run 5 jobs on 2 backends")
        page.get_by_label("never", exact=True).check()
        run_button(page).click()
        page.wait_for_url(lambda url: url.rstrip("/").rsplit("/", 1)[-1].isdigit())
        assert visit.complaints == []
    run = RunGroup.objects.latest("pk")
    assert (run.commit, run.notify) == (site.head, "never")
    asked = {
        (request.backend.slug, *request.requested_actions, request.force_run_dependencies)
        for request in run.requests.all()
    }
    assert asked == {("north", "normalise", True), ("south", "visits", False)}


def test_links_and_heads_tick_many_at_once(jobserver, site):
    with jobserver.visit(site.person) as visit:
        page = visit.open(site.url)
        page.get_by_role("button", name="failed", exact=True).click()
        expect(box(page, "extract on south")).to_be_checked()
        expect(box(page, "extract on north")).not_to_be_checked()
        expect(run_button(page)).to_have_text("Run 1 job on 1 backend")
        page.get_by_role("button", name="all", exact=True).click()
        expect(run_button(page)).to_have_text("Run 7 jobs on 2 backends")
        box(page, "All of north").uncheck()
        expect(run_button(page)).to_have_text("Run 4 jobs on 1 backend")
        page.get_by_role("button", name="none", exact=True).click()
        expect(run_button(page)).to_have_text("Run what is ticked")
        page.get_by_label("Filter actions").fill("norm")
        expect(box(page, "extract on north")).to_be_hidden()
        expect(box(page, "normalise on north")).to_be_visible()


def test_the_keyboard_alone(jobserver, site):
    with jobserver.visit(site.person) as visit:
        page = visit.open(site.url)
        box(page, "extract on north").focus()
        page.keyboard.press("ArrowRight")
        expect(box(page, "extract on south")).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(box(page, "incentives on south")).to_be_focused()
        page.keyboard.press("Space")
        expect(box(page, "incentives on south")).to_be_checked()
        expect(run_button(page)).to_have_text("Run 3 jobs on 1 backend")
        run_button(page).focus()
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: url.rstrip("/").rsplit("/", 1)[-1].isdigit())
    assert RunGroup.objects.latest("pk").requests.get().requested_actions == ["incentives"]


def test_a_phone_shows_one_backend_at_a_time(jobserver, site):
    with jobserver.visit(site.person, width=NARROW) as visit:
        page = visit.open(site.url)
        expect(box(page, "extract on north")).to_be_visible()
        expect(box(page, "extract on south")).to_be_hidden()
        page.get_by_role("button", name="south", exact=True).click()
        expect(box(page, "extract on north")).to_be_hidden()
        box(page, "extract on south").check()
        expect(run_button(page)).to_have_text("Run 1 job on 1 backend")
        assert not scrolls_sideways(page)
        assert visit.complaints == []


def test_without_javascript_a_button_previews_and_the_form_runs(jobserver, site):
    with jobserver.visit(site.person, scripts=False) as visit:
        page = visit.open(site.url)
        box(page, "visits on south").check()
        page.get_by_role("button", name="Preview").click()
        expect(box(page, "visits on south")).to_be_checked()
        expect(run_button(page)).to_have_text("Run 3 jobs on 1 backend")
        run_button(page).click()
        page.wait_for_url(lambda url: url.rstrip("/").rsplit("/", 1)[-1].isdigit())
    assert RunGroup.objects.latest("pk").requests.get().requested_actions == ["visits"]


def test_with_javascript_there_is_no_button_to_preview(jobserver, site):
    with jobserver.visit(site.person) as visit:
        page = visit.open(site.url)
        expect(page.get_by_role("button", name="Preview")).to_be_hidden()


def test_many_rows_are_folded_until_they_are_asked_for(jobserver, site):
    actions = "".join(
        f"  a{number}: {{run: 'python:v2 a{number}.py', outputs: {{highly_sensitive: {{x: out/a{number}.csv}}}}}}\n"
        for number in range(20)
    )
    site.repo.commit({"project.yaml": f"version: '5'\nactions:\n{actions}"})
    with jobserver.visit(site.person) as visit:
        page = visit.open(site.url)
        expect(box(page, "a19 on north")).to_be_hidden()
        page.get_by_role("button", name="all", exact=True).click()
        expect(run_button(page)).to_have_text("Run 40 jobs on 2 backends")
        expect(box(page, "a19 on north")).to_be_checked()


def test_a_commit_is_chosen_from_the_list(jobserver, site):
    old = site.head
    site.repo.commit({"README.md": "1"}, "Second thoughts")
    with jobserver.visit(site.person) as visit:
        page = visit.open(site.url)
        expect(page.locator(".standing")).to_contain_text("Second thoughts")
        page.get_by_role("link", name="change", exact=True).click()
        page.get_by_role("link", name="Round counts to five").click()
        assert page.locator('input[name="commit"]').input_value() == old


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(jobserver, site, scheme):
    with jobserver.visit(site.person, scheme=scheme) as visit:
        for path in ("run/?tick=north:extract", "run/commits/", "", "edit/"):
            page = visit.open(f"/health/health-main/{path}")
            assert serious_problems(page) == []
            assert not scrolls_sideways(page)
        assert visit.complaints == []


def test_axe_finds_nothing_serious_where_the_study_has_mistakes(jobserver, site):
    site.repo.commit({"project.yaml": "version: '5'\nactions:\n  a: {}\n"})
    with jobserver.visit(site.person, width=NARROW) as visit:
        page = visit.open(site.url)
        expect(page.get_by_role("heading", level=2)).to_contain_text("in the study's project file")
        assert serious_problems(page) == []
        assert not scrolls_sideways(page)


def test_the_workspace_page_changes_as_jobs_do(jobserver, site):
    job = site.ran(site.north, "visits", "running")
    with jobserver.visit(site.person) as visit:
        page = visit.open("/health/health-main/")
        expect(page.locator("#actions-now")).to_contain_text("1 running")
        job.status = job.status_code = "succeeded"
        job.completed_at = job.created_at
        job.save()
        expect(page.locator("#actions-now")).not_to_contain_text("1 running")
        expect(page.locator("#actions-now")).to_contain_text("2 succeeded")
        assert visit.complaints == []
