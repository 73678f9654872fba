"""The gallery in a browser: in light and dark, wide and narrow, by keyboard, with and without scripts."""

from collections.abc import Iterator

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser, Page, expect
from tests.pages.gallery import views
from tests.support.browser import NARROW, WIDE, Visit, scrolls_sideways, serious_problems, served, tab_stops

pytestmark = pytest.mark.browser
ERRORS = ("no-right", "too-many", "broken", "no-such-page")
MAX_PAGE_BYTES = 150_000
NAMES = [*views.PAGES, *ERRORS]


@pytest.fixture
def site() -> Iterator[str]:
    with served(StaticFilesHandler(WSGIHandler())) as url:
        yield url


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_every_page_is_fit_for_everybody(browser: Browser, site: str, width: int, scheme: str) -> None:
    with Visit(browser, site, width=width, scheme=scheme) as visit:
        for name in NAMES:
            page = visit.open(f"/{name}/")
            assert not scrolls_sideways(page), name
            assert len(page.content()) < MAX_PAGE_BYTES or name == "many", name
            # axe takes long over thousands of elements that are all alike.
            assert name == "many" or serious_problems(page) == [], name
        assert visit.complaints == []


@pytest.mark.parametrize("name", ["components", "lists", "form", "group", "matrix", "diff"])
def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Browser, site: str, name: str) -> None:
    with Visit(browser, site) as visit:
        page = visit.open(f"/{name}/")
        stops = tab_stops(page)
        assert [stop for stop, ring in stops if not ring] == []
        reachable = page.evaluate(
            """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(
                (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled
                    && element.type !== "hidden" && element.type !== "radio").length"""
        )
        radios = page.evaluate("new Set([...document.querySelectorAll('input[type=radio]')].map((r) => r.name)).size")
        boxes = sum(stop.startswith(("div", "pre", "table")) for stop, _ in stops)
        assert len(stops) - boxes >= reachable + min(radios, 1)


def test_everything_is_there_without_scripts(browser: Browser, site: str) -> None:
    with Visit(browser, site, width=NARROW, scripts=False) as visit:
        page = visit.open("/group/")
        page.locator("details.narrow > summary").click()
        expect(page.locator("details.narrow").get_by_role("link", name="Runs", exact=True)).to_be_visible()
        expect(page.locator("[data-copy]").first).to_be_hidden()
        page = visit.open("/live/")
        expect(page.get_by_role("link", name="Refresh")).to_be_visible()
        page = visit.open("/matrix/")
        expect(page.get_by_label("extract on west")).to_be_visible()
        expect(page.get_by_role("button", name="never ran")).to_be_hidden()


def test_paper_is_white_and_has_no_frame(browser: Browser, site: str) -> None:
    with Visit(browser, site, scheme="dark") as visit:
        page = visit.open("/group/")
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
        )
        for frame in (page.get_by_role("banner"), page.get_by_role("contentinfo"), page.get_by_role("button")):
            expect(frame.first).to_be_hidden()
        expect(page.get_by_role("heading", name="Run 412")).to_be_visible()


def test_chosen_colours_are_remembered(browser: Browser, site: str) -> None:
    with Visit(browser, site, scheme="light") as visit:
        page = visit.open("/group/")
        surface = "getComputedStyle(document.querySelector('.card')).backgroundColor"
        assert page.evaluate(surface) == "rgb(255, 255, 255)"
        switch = page.get_by_role("button", name="Colours: as the system")
        switch.click()
        page.get_by_role("button", name="Colours: light").click()
        expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
        assert page.evaluate(surface) == "rgb(26, 30, 33)"
        page = visit.open("/lists/")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()


def test_a_slash_searches_and_escape_closes_a_menu(browser: Browser, site: str) -> None:
    with Visit(browser, site) as visit:
        page = visit.open("/lists/")
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox", name="Search", exact=True)).to_be_focused()
        page.keyboard.type("a/b")
        expect(page.get_by_role("searchbox", name="Search", exact=True)).to_have_value("a/b")
        summary = page.locator("details.menu.wide > summary")
        summary.click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
        expect(summary).to_be_focused()
        summary.click()
        page.get_by_role("heading", level=1).click()
        expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_a_commit_is_copied_whole(browser: Browser, site: str) -> None:
    with Visit(browser, site) as visit:
        visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = visit.open("/group/")
        page.get_by_role("button", name="Copy commit 3fa9c1e").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "3fa9c1e5b7d9013fa9c1e5b7d9013fa9c1e5b7d9"


def test_errors_of_a_form_are_read_first(browser: Browser, site: str) -> None:
    with Visit(browser, site) as visit:
        page = visit.open("/form/")
        page.get_by_label("Name").fill("taken")
        page.get_by_role("button", name="Make the workspace").click()
        expect(page.get_by_role("alert")).to_be_focused()
        page.get_by_role("link", name="Mail address: This field is required.").click()
        expect(page.get_by_label("Mail address")).to_be_focused()
        expect(page.get_by_label("Name")).to_have_value("taken")


# --- the matrix


def ticked(page: Page) -> set[str]:
    return set(page.evaluate("[...document.querySelectorAll('tbody input:checked')].map((box) => box.value)"))


def test_the_matrix_is_worked_by_the_keyboard(browser: Browser, site: str) -> None:
    with Visit(browser, site) as visit:
        page = visit.open("/matrix/")
        page.get_by_label("normalise on north").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_label("normalise on south")).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label("incentives on south")).to_be_focused()
        page.keyboard.press("ArrowLeft")  # nothing can be ticked there
        expect(page.get_by_label("incentives on south")).to_be_focused()
        before = ticked(page)
        page.keyboard.press("Space")
        assert ticked(page) ^ before == {"south/incentives"}
        for _ in range(9):
            page.keyboard.press("ArrowUp")
        page.keyboard.press("Space")
        assert {box for box in ticked(page) if box.startswith("south/")} == {
            f"south/{name}" for name in ("extract", "normalise", "incentives", "visits_by_plan", "model", "figure")
        }


def test_columns_words_and_filters_tick(browser: Browser, site: str) -> None:
    with Visit(browser, site) as visit:
        page = visit.open("/matrix/")
        page.evaluate("window.changes = 0; document.forms.run.addEventListener('change', () => { window.changes++; })")
        page.get_by_role("button", name="none").click()
        assert ticked(page) == set()
        assert page.evaluate("window.changes") == 1
        page.get_by_role("button", name="never ran").click()
        assert ticked(page) == {"south/extract", "west/model"} | (ticked(page) & {"south/visits_by_plan"})
        page.get_by_role("button", name="none").click()
        page.get_by_label("Filter actions").fill("visits_by")
        expect(page.get_by_label("extract on north")).to_be_hidden()
        page.get_by_role("button", name="all").click()
        assert ticked(page) == {
            f"{name}/{action}" for name in ("north", "south", "west") for action in ("visits_by_plan", "model")
        }


def test_a_phone_shows_one_backend_at_a_time(browser: Browser, site: str) -> None:
    with Visit(browser, site, width=NARROW) as visit:
        page = visit.open("/matrix/")
        expect(page.get_by_label("extract on north")).to_be_visible()
        expect(page.get_by_label("extract on west")).to_be_hidden()
        page.get_by_role("button", name="west").click()
        expect(page.get_by_label("extract on west")).to_be_visible()
        expect(page.get_by_label("extract on north")).to_be_hidden()


# --- live


@pytest.fixture
def steps() -> Iterator[dict[str, int]]:
    views.STATE.update(step=0, asked=0)
    yield views.STATE
    views.STATE.update(step=0, asked=0)


def test_a_live_page_changes_without_jumping_and_stops_at_the_end(
    browser: Browser, site: str, steps: dict[str, int]
) -> None:
    with Visit(browser, site) as visit:
        page = visit.open("/live/")
        page.evaluate("document.getElementById('same').dataset.mark = 'still the same element'")
        page.get_by_role("link", name="second of step 0").focus()
        expect(page.get_by_role("link", name="Refresh")).to_be_hidden()
        steps["step"] = 1
        expect(page.get_by_text("1 of 3 done")).to_be_visible()
        expect(page).to_have_title("1 of 3 done · carrel")
        expect(page.get_by_role("link", name="second of step 1")).to_be_focused()
        assert page.evaluate("document.getElementById('same').dataset.mark") == "still the same element"
        assert page.evaluate("window.scrollY") == 0
        with page.expect_response(lambda response: response.status == 304):
            pass
        steps["step"] = 3
        with page.expect_response(lambda response: response.status == 286):
            pass
        expect(page.get_by_text("3 of 3 done")).to_be_visible()
        # What htmx itself looks at before it asks again.
        assert page.evaluate("document.getElementById('live')['htmx-internal-data'].cancelled") is True
        assert visit.complaints == []


def test_a_lost_connection_is_told_and_goes_on(browser: Browser, site: str, steps: dict[str, int]) -> None:
    with Visit(browser, site) as visit:
        page = visit.open("/live/")
        visit.context.set_offline(True)
        expect(page.get_by_text("The connection is lost")).to_be_visible()
        steps["step"] = 2
        visit.context.set_offline(False)
        expect(page.get_by_text("2 of 3 done")).to_be_visible()
        expect(page.get_by_text("The connection is lost")).to_be_hidden()
