"""A project lead's day: people and roles, an end date that passes, usage, the description, an archive."""

import re

import pytest
from playwright.sync_api import expect
from tests.support.days import Days

pytestmark = [pytest.mark.browser, pytest.mark.bubblewrap, pytest.mark.timeout(900)]
PROJECT = "/health-insurance/"
RUN_PAGE = f"{PROJECT}lead/run/"


def test_a_project_leads_day(day: Days) -> None:
    with day.visit() as visit, day.visit() as other, day.visit() as third:
        page, newcomer, staff = (
            day.sign_in(visit, "ben"),
            day.sign_in(other, "cat"),
            day.sign_in(third, "sam", "https://evil.example.org/"),
        )
        newcomer.goto(RUN_PAGE)
        expect(newcomer.get_by_role("heading", level=1)).to_have_text("You may not do this")

        page.goto(PROJECT)
        page.get_by_role("link", name="People", exact=True).click()
        page.locator("input[name=person]").fill("nobody-of-this-name")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("main")).to_contain_text("No account has the username")
        page.locator("input[name=person]").fill("cat")
        page.get_by_label(re.compile("Project developer")).check()
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("main")).to_contain_text("Cat Novak takes part now.")
        newcomer.goto(RUN_PAGE)
        expect(newcomer.locator("td[data-column=north] .refused").first).to_have_text("not a member")

        page.get_by_role("link", name=re.compile("Change the roles of Cat Novak")).click()
        page.get_by_label(re.compile("Project developer")).uncheck()
        page.get_by_label(re.compile("Project collaborator")).check()
        page.get_by_role("button", name="Save").click()
        expect(page.locator("main")).to_contain_text("The roles of Cat Novak were changed.")
        newcomer.goto(RUN_PAGE)
        expect(newcomer.get_by_role("heading", level=1)).to_have_text("You may not do this")

        page.goto(PROJECT)
        page.get_by_role("link", name="Edit description").click()
        page.locator("textarea[name=purpose]").fill("Do people who pay more see a doctor less often?")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("main")).to_contain_text("Do people who pay more see a doctor less often?")

        staff.goto("/staff/projects/health-insurance/edit/")
        staff.locator("input[name=ends_on]").fill("2026-01-31")
        staff.get_by_role("button", name="Save").click()
        page.goto(PROJECT)
        expect(page.locator(".standing")).to_contain_text("Ended on 31 January 2026: nothing new runs")
        with day.visit() as fourth:
            researcher = day.sign_in(fourth, "ann")
            researcher.goto(RUN_PAGE)
            expect(researcher.locator("#actions input[name=tick]")).to_have_count(0)
            expect(researcher.locator("td[data-column=north] .refused").first).to_have_text("project ended")
            staff.goto("/staff/projects/health-insurance/edit/")
            staff.locator("input[name=ends_on]").fill("")
            staff.get_by_role("button", name="Save").click()
            researcher.goto(RUN_PAGE)
            researcher.get_by_label("extract on north", exact=True).check()
            expect(researcher.locator("#submit")).to_have_text("Run 1 job on 1 backend")
            researcher.locator("#submit").click()
            expect(researcher).to_have_title(re.compile("^Succeeded"), timeout=120_000)

        day.in_job_server("from django.core.management import call_command; call_command('usage')")
        page.goto(f"{PROJECT}usage/")
        expect(page.locator("main table")).to_contain_text("Ann Lee")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert "ann" in download.value.path().read_text().lower()

        page.goto(f"{PROJECT}lead/archive-toggle/")
        page.get_by_role("button", name="Archive it").click()
        expect(page.locator(".standing")).to_contain_text("nothing new runs in it")
        expect(page.get_by_role("link", name="Run actions")).to_have_count(0)

        page.goto(f"{PROJECT}people/cat/")
        page.get_by_role("button", name="Remove from the project").click()
        expect(page.locator("main")).to_contain_text("Cat Novak takes no part any more.")
        assert visit.complaints == other.complaints == third.complaints == []
