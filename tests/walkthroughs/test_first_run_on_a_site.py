"""The tutorial of a day on the pages: its commands typed, its buttons pressed, in a browser, on a site of its own."""

import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.browser import Visit
from tests.support.shell import Done, commands_of, run_script
from tests.support.walkthrough import DOCS

NAME = "tutorial/first-run-on-a-site.md"
TEXT = (DOCS / NAME).read_text()
LINE = re.compile(r"pages +(\S+)  \(sign in as (\S+), password (\S+)\)")
LONG = 300_000
"""Milliseconds until a run has ended, at most."""
pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.bubblewrap, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class RunningSite:
    """What the first line that it prints says."""

    url: str
    person: str
    password: str
    folder: Path


@pytest.fixture(scope="module")
def site(built: list[Done], place: Path, environment: dict[str, str]) -> Iterator[RunningSite]:
    """`carrel up`, as the page has it, on free ports."""
    assert commands_of(NAME)[1] == "carrel up"
    words = ["carrel", "up", "--port", "0", "--pages-port", "0"]
    up = subprocess.Popen(words, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    try:
        line = LINE.match(up.stdout.readline())
        assert line is not None
        yield RunningSite(line[1], line[2], line[3], place / ".carrel")
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate()


@pytest.fixture(scope="module")
def page(site: RunningSite, browser: Browser) -> Iterator[Page]:
    with Visit(browser, site.url) as visit:
        visit.open("/").get_by_role("link", name="Sign in").first.click()
        visit.page.get_by_label("Username").fill(site.person)
        visit.page.get_by_label("Password", exact=True).fill(site.password)
        press(visit.page, "Sign in")
        yield visit.page
        assert visit.complaints == []


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def follow(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()


def run_what_is_ticked(page: Page, button: str) -> None:
    press(page, button)
    expect(page).to_have_url(re.compile(r"/\d+/$"))


def test_a_column_that_one_backend_has_not(page: Page) -> None:
    for link in ("Data", "Projects", "Example studies", "self-rated-health", "Run actions"):
        follow(page, link)
    reason = "south has no `health` in `person_years`"
    assert reason in " ".join(TEXT.split())
    expect(page.get_by_text("no health", exact=True)).to_have_attribute("title", f"{reason}.")
    press(page, "all")
    assert "**Run 2 jobs on 1 backend**" in " ".join(TEXT.split())
    run_what_is_ticked(page, "Run 2 jobs on 1 backend")
    expect(page.get_by_text("All 2 jobs succeeded")).to_be_visible(timeout=LONG)


def test_a_day(page: Page, site: RunningSite, place: Path, environment: dict[str, str]) -> None:
    for link in ("Projects", "Example studies", "health-insurance", "Run actions"):
        follow(page, link)
    press(page, "all")
    assert "**Run 11 jobs on 2 backends**" in " ".join(TEXT.split())
    run_what_is_ticked(page, "Run 11 jobs on 2 backends")
    expect(page).to_have_title(re.compile("^Succeeded"), timeout=LONG)
    expect(page.get_by_text("All 11 jobs succeeded")).to_be_visible()

    study = place.parent / "my-study"
    commands = [command for command in commands_of(NAME) if not command.startswith("carrel")]
    broken, mended = commands[:-2], commands[-2:]
    made = run_script(broken, place, environment)
    assert [each for each in made if each.code] == []
    assert made[-1].printed.strip() == str(study)

    for link in ("Projects", "Example studies", "New workspace"):
        follow(page, link)
    page.get_by_label("Name", exact=True).fill("my-study")
    page.get_by_label("Repository").fill(str(study))
    page.get_by_label("Branch").fill("main")
    page.get_by_label("Purpose").fill("To learn.")
    press(page, "Create the workspace")
    follow(page, "Run actions")
    for box in page.get_by_role("row", name=re.compile("^visits_by_plan")).get_by_role("checkbox").all():
        box.check()
    run_what_is_ticked(page, "Run 6 jobs on 2 backends")
    expect(page).to_have_title(re.compile("^Failed"), timeout=LONG)
    page.get_by_role("row", name=re.compile("^visits_by_plan")).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    log = site.folder / "backends/north/medium_privacy/workspaces/my-study/metadata/visits_by_plan.log"
    assert "KeyError: 'visit'" in log.read_text()
    assert "KeyError: 'visit'" in TEXT

    assert [each for each in run_script(mended, study, environment) if each.code] == []
    page.goto(f"{site.url}/examples/my-study/run/")
    press(page, "failed")
    expect(page.get_by_text("reused").first).to_be_visible()
