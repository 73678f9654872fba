"""A checker's path in a browser: by mouse and keys, on a phone, without JavaScript, and what axe says."""

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser, expect
from tests.support.browser import NARROW, Visit, browser, scrolls_sideways, serious_problems, served
from tests.support.databases import Database
from tests.support.review import browse
from tests.support.review_pages import review_pages
from tests.support.review_showcase import add_review_showcase

from carrel.review.models import Account, Comment, FileVote, SubmittedReview

__all__ = ["browser"]
pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


def signed_in(visit: Visit, url: str, account: Account) -> Visit:
    cookie = browse(account).cookies["review_session"].value
    visit.context.add_cookies([{"name": "review_session", "value": cookie, "url": url}])
    return visit


def test_a_checker_reviews_a_request(browser: Browser, own_database: Database) -> None:
    showcase = add_review_showcase()
    with served(WSGIHandler()) as url:
        with signed_in(Visit(browser, url), url, showcase.sam) as visit:
            page = visit.open("/")
            page.get_by_role("link", name="Visits by plan", exact=True).click()
            page.get_by_role("link", name="Review the next file").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("output/figures/model.svg")
            page.keyboard.press("a")
            expect(page.get_by_role("button", name="Approved")).to_have_attribute("aria-pressed", "true")
            page.get_by_role("link", name="model.csv").click()
            page.get_by_role("cell", name="3 small-count").click()
            expect(page.locator("input[name=line]")).to_have_value("8")
            expect(page.locator("select[name=column]")).to_have_value("people")
            page.keyboard.type("Please redact: c and a are letters here.")
            page.get_by_role("button", name="Comment", exact=True).click()
            expect(page.locator(".remarks")).to_contain_text("Please redact")
            page.locator("h1").click()
            page.keyboard.press("c")
            expect(page.get_by_role("button", name="Changes requested")).to_be_visible()
            page.keyboard.press("j")
            expect(page.get_by_role("heading", level=1)).to_have_text("output/visits_by_plan.csv")
            page.goto(f"/requests/{showcase.request.pk}/")
            page.get_by_role("link", name="Submit review").click()
            page.get_by_role("button", name="Submit your review").click()
            expect(page.locator(".messages")).to_contain_text("Your review is submitted.")
            assert visit.complaints == []
        assert SubmittedReview.objects.filter(request=showcase.request, checker="sam", turn=3).exists()
        cell = Comment.objects.get(text__startswith="Please redact")
        assert (cell.line, cell.column, cell.is_public) == (8, "people", False)
        with signed_in(Visit(browser, url, scripts=False), url, showcase.ben) as visit:
            page = visit.open(f"/requests/{showcase.request.pk}/files/output/figures/model.svg")
            page.get_by_role("button", name="Approve").click()
            expect(page.get_by_role("button", name="Approved")).to_be_visible()
        assert FileVote.objects.get(file__path="output/figures/model.svg", checker="ben").vote == "APPROVED"
        seen = {"review-queue", "review-request", "review-file-cell", "review-file-log", "review-history"}
        seen |= {"review-workspace", "review-group-form", "review-file-compare", "review-file-redact"}
        for scheme, width in (("light", 1280), ("dark", NARROW)):
            for account in (showcase.sam, showcase.ann):
                with signed_in(Visit(browser, url, scheme=scheme, width=width), url, account) as visit:
                    for name, path, by in review_pages(showcase):
                        if by == account.pk and name in seen:
                            page = visit.open(path)
                            assert serious_problems(page) == [], (name, scheme)
                            assert not scrolls_sideways(page), (name, width)
                    assert visit.complaints == []
