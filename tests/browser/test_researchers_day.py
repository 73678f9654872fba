"""A researcher's whole day, on a real installation: pages, controller, agents, jobs, git and mail."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.support.browser import NARROW, scrolls_sideways
from tests.support.days import MENDED, Days
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.bubblewrap, pytest.mark.timeout(900)]
WORKSPACE = "/health-insurance/{}/"
TOKEN = """
from datetime import timedelta
from django.utils import timezone
from carrel.jobserver.models import User
from carrel.jobserver.service.tokens import create_personal_token
ann = User.objects.get(username="ann")
print(create_personal_token(ann, "a program", ["read"], timezone.now() + timedelta(days=1), ann))
"""
ENDED = 120_000
"""Milliseconds within which small jobs have ended on a busy machine."""


def open_run_page(day: Days, page: Page, workspace: str) -> None:
    page.goto(WORKSPACE.format(workspace))
    page.get_by_role("link", name="Run actions").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Run actions")


def tick(page: Page, *cells: str) -> None:
    for cell in cells:
        page.get_by_label(cell, exact=True).check()


def submit(page: Page, words: str | re.Pattern[str]) -> str:
    """Press the button once it says so; gives the run's address."""
    expect(page.locator("#submit")).to_have_text(words)
    page.locator("#submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Run \d+"))
    return page.url


def expect_end(page: Page, word: str) -> None:
    """The page says by itself that all has ended."""
    expect(page).to_have_title(re.compile(f"^{word}"), timeout=ENDED)
    expect(page.locator("#run-buttons")).not_to_contain_text("Cancel")


def test_a_researchers_day(day: Days) -> None:
    with day.visit() as visit:
        page = day.sign_in(visit, "ann")
        expect(page.get_by_role("heading", name="Your workspaces")).to_be_visible()
        page.goto("/health-insurance/")
        page.get_by_role("link", name="day", exact=True).first.click()
        page.get_by_role("link", name="Run actions").click()

        page.get_by_role("link", name="change", exact=True).click()
        page.get_by_role("link", name="Draft of the study").first.click()
        expect(page.locator(".standing")).to_contain_text("Draft of the study")
        page.get_by_role("link", name="change", exact=True).click()
        page.get_by_role("link", name="Count visits by plan").first.click()

        page.get_by_label("Filter actions").fill("incent")
        expect(page.locator("#actions tbody tr:visible")).to_have_count(1)
        refused = page.locator("#actions tbody tr:visible td[data-column=north] .refused")
        expect(refused).to_have_text("only on south")
        expect(refused).to_have_attribute("title", re.compile("run_on"))
        page.get_by_label("Filter actions").fill("")
        tick(page, "visits on north", "visits on south", "incentives on south")
        expect(page.locator("#preview")).to_contain_text("normalise")
        page.get_by_label("when it ends").check()
        first = submit(page, "Run 7 jobs on 2 backends")

        page.evaluate("window.notReloaded = true")
        expect_end(page, "Failed")
        expect(page.locator("#on-north")).to_contain_text("3 of 3 done")
        expect(page.locator("#on-south")).to_contain_text("failed")
        assert page.evaluate("window.notReloaded")
        row = page.locator("#run-jobs tr", has_text="visits").filter(has_text="south")
        expect(row).to_contain_text("metadata/visits.log at level 4")
        row.get_by_role("link", name="visits", exact=True).click()
        expect(page.get_by_role("heading", name="What to do")).to_be_visible()
        expect(page.locator("#job-status")).to_contain_text("metadata/visits.log")

        page.goto(first)
        page.get_by_role("link", name="Re-run failed").click()
        expect(page.locator("main")).to_contain_text("visits")
        page.get_by_role("button", name="Re-run failed").click()
        expect_end(page, "Failed")
        expect(page.locator("#run-jobs tbody tr")).to_have_count(1)

        day.commit(MENDED, "Write the table after all")
        open_run_page(day, page, "day")
        expect(page.locator(".standing")).to_contain_text("Write the table after all")
        page.get_by_role("button", name="failed", exact=True).click()
        expect(page.get_by_label("visits on south", exact=True)).to_be_checked()
        mended = submit(page, "Run 1 job on 1 backend")
        expect_end(page, "Succeeded")
        page.goto(f"{mended}compare/?backend=south&since=previous")
        expect(page.locator("main")).to_contain_text("no such column: plan")
        expect(page.locator("main")).to_contain_text("visits.py")

        page.goto(mended)
        page.get_by_role("link", name="Run again").click()
        page.get_by_role("button", name="Run again").click()
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Run it again?")
        expect_end(page, "Succeeded")

        open_run_page(day, page, "day")
        tick(page, "after_long on north", "long on south")
        long = submit(page, "Run 3 jobs on 2 backends")
        row = page.locator("#run-jobs tr", has=page.get_by_role("link", name="long", exact=True)).filter(
            has_text="north"
        )
        expect(row).to_contain_text("Running", timeout=ENDED)
        row.get_by_role("link", name="long", exact=True).click()
        page.get_by_role("link", name="Cancel this job").click()
        page.get_by_role("button", name="Cancel it").click()
        expect(page.locator("#standing")).to_contain_text("Cancelled", timeout=ENDED)
        page.goto(long)
        expect(page.locator("#on-north")).not_to_contain_text("running", timeout=ENDED)
        page.get_by_role("link", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Cancel it").click()
        expect(page.locator("#run-buttons")).not_to_contain_text("Cancel", timeout=ENDED)

        page.goto(f"{WORKSPACE.format('day')}schedules/")
        page.get_by_role("link", name="New schedule").click()
        page.locator("input[name=cron]").fill("0 2 * * *")
        page.locator("input[name=actions-north][value=extract]").check()
        page.get_by_role("button", name="Schedule", exact=True).click()
        expect(page.locator("main")).to_contain_text("It is scheduled")
        expect(page.locator("main")).to_contain_text("Next times")

        until(lambda: [m for m in day.mailbox.messages if first.split("127.0.0.1")[1][5:] in str(m)], "the mail")
        token = day.in_job_server(TOKEN).strip()
        answer = page.request.get("/api/v2/workspaces", headers={"Authorization": f"Bearer {token}"})
        assert answer.ok
        cookies = [cookie["value"] for cookie in visit.context.cookies() if len(cookie["value"]) > 20]
        assert cookies
        assert day.leaks(token, *cookies) == []

        page.goto("/")
        page.locator("details.menu.wide summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.goto("/staff/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert visit.complaints == []


def test_by_keyboard_alone(day: Days) -> None:
    with day.visit() as visit:
        page = day.sign_in(visit, "ann")
        open_run_page(day, page, "keyboard")
        focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.id"

        def press_tab_until(name: str) -> None:
            for _ in range(120):
                page.keyboard.press("Tab")
                if page.evaluate(focused) == name:
                    return
            raise AssertionError(f"the Tab key never came to {name}")

        press_tab_until("extract on north")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(focused) == "extract on south"
        page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) == "normalise on south"
        page.keyboard.press("Space")
        expect(page.locator("#submit")).to_have_text("Run 3 jobs on 2 backends")
        press_tab_until("submit")
        page.keyboard.press("Enter")
        expect_end(page, "Succeeded")


def test_without_scripts(day: Days) -> None:
    with day.visit(scripts=False) as visit:
        page = day.sign_in(visit, "ann")
        open_run_page(day, page, "plain")
        tick(page, "normalise on south")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("extract")
        expect(page.get_by_label("normalise on south", exact=True)).to_be_checked()
        submit(page, "Run 2 jobs on 1 backend")

        def has_ended() -> bool:
            if page.title().startswith("Succeeded"):
                return True
            page.get_by_role("link", name="Refresh").click()
            return False

        until(has_ended, "the end of the run", seconds=ENDED / 1000)
        expect(page.locator("#on-south")).to_contain_text("2 of 2 done")


def test_on_a_phone(day: Days) -> None:
    with day.visit(width=NARROW) as visit:
        page = day.sign_in(visit, "ann")
        open_run_page(day, page, "phone")
        assert not scrolls_sideways(page)
        expect(page.get_by_label("extract on south", exact=True)).to_be_hidden()
        page.get_by_role("button", name="south", exact=True).click()
        tick(page, "extract on south")
        expect(page.get_by_label("extract on north", exact=True)).to_be_hidden()
        submit(page, "Run 1 job on 1 backend")
        expect_end(page, "Succeeded")
        assert not scrolls_sideways(page)
