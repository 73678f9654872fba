"""A platform engineer's day: a new backend by the commands that the page prints, pause, maintenance, restart, tokens,
a stuck request, and the audit log that shows it all."""

import json
import re

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.support.days import Days
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.bubblewrap, pytest.mark.timeout(900)]
CONTACT = 120_000
"""Milliseconds within which a controller has told how its backends are."""
RUN_PAGE = "/health-insurance/platform/run/"


def expect_after_reload(page: Page, path: str, words: str) -> None:
    """The page says so sooner or later."""

    def says() -> bool:
        page.goto(path)
        return words in page.locator("main").inner_text()

    until(says, f"{words} on {path}", seconds=CONTACT / 1000)


def follow_commands(day: Days, page: Page) -> None:
    """Do on the machines of controller and agent what the page says, with the tokens that it shows."""
    texts = page.locator("main .code pre").all_inner_texts()
    settings = dict(re.findall(r"^(WEST_\w+)=(\S+)$", "\n".join(texts), re.M))
    exports = dict(re.findall(r"(\w+)=(http\S+|[\w-]{20,}|west)(?=\s|$)", "\n".join(texts)))
    assert set(settings) >= {"WEST_JOB_SERVER_TOKEN"}
    controller = day.stop("controller")
    controller.env |= {name: value for name, value in settings.items() if not value.startswith("<")}
    day.start(controller)
    day.live.await_controller()
    agent = day.new_agent
    agent.env |= {name: exports[name] for name in ("CONTROLLER_TASK_API_ENDPOINT", "CONTROLLER_TASK_API_TOKEN")}
    day.start(agent)


def test_a_platform_engineers_day(day: Days) -> None:
    with day.visit() as visit, day.visit() as other:
        page, researcher = day.sign_in(visit, "sam"), day.sign_in(other, "ann")
        researcher.goto(RUN_PAGE)
        expect(researcher.locator("#actions thead")).not_to_contain_text("west")

        page.goto("/staff/backends/")
        page.get_by_role("link", name="Add a backend").click()
        page.locator("input[name=slug]").fill("west")
        page.locator("input[name=name]").fill("west")
        page.get_by_role("button", name="Add it, and show what to do next").click()
        expect(page.locator("#contact")).to_contain_text("Waiting for the first contact")
        page.get_by_role("button", name="Make the tokens").click()
        expect(page.locator(".standing")).to_contain_text("shown only now")
        token = page.locator("main .code pre").last.inner_text().strip()
        follow_commands(day, page)
        expect(page.locator("#contact")).to_contain_text("west was heard of", timeout=CONTACT)
        page.goto("/staff/backends/west/setup/")
        assert token not in page.content()
        page.goto("/staff/backends/west/")
        assert token not in page.content()

        page.locator("select[name=opt_in-project]").select_option("health-insurance")
        page.get_by_role("button", name="Opt in").click()
        expect(page.locator("main")).to_contain_text("Health insurance may run on west now.")
        researcher.goto(RUN_PAGE)
        expect(researcher.locator("#actions thead")).to_contain_text("west")
        expect(researcher.locator("td[data-column=west]").first).to_contain_text("not a member")
        page.locator("input[name=member-person]").fill("ann")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("main")).to_contain_text("Ann Lee may use west now.")
        researcher.goto(RUN_PAGE)
        researcher.get_by_label("extract on west", exact=True).check()

        day.command("pause", "on", "west")
        expect_after_reload(researcher, RUN_PAGE, "paused since")
        expect_after_reload(researcher, "/status/", "Paused")
        expect_after_reload(page, "/staff/backends/west/", "Paused")
        day.command("pause", "off", "west")
        day.command("db_maintenance", "on", "west")
        expect_after_reload(researcher, RUN_PAGE, "maintenance since")
        day.command("db_maintenance", "off", "west")
        day.command("prepare_for_reboot", "--backend", "west", "-y")
        assert "Safe to reboot now" in day.command("prepare_for_reboot", "--backend", "west", "--status")
        expect_after_reload(page, "/staff/backends/west/", "Paused")
        day.command("pause", "off", "west")

        page.goto("/staff/backends/west/")
        page.locator("select[name=token-overlap]").select_option("3600")
        page.get_by_role("button", name="Make a new token").click()
        expect(page.locator(".standing")).to_contain_text("in an hour")
        newer = page.locator("main .code pre").inner_text().strip()

        def status_of(raw: str) -> int:
            headers = {"Authorization": raw}
            return httpx.get(f"{day.url}/api/v2/users/ann/", headers=headers, trust_env=False).status_code

        assert [status_of(raw) for raw in (token, newer, "wrong")] == [200, 200, 403]
        page.goto("/staff/backends/west/")
        expect(page.locator("main")).to_contain_text("ends in")
        page.locator("li", has_text="ends in").get_by_role("button", name=re.compile("End it now")).click()
        assert [status_of(raw) for raw in (token, newer)] == [403, 200]

        controller = day.stop("controller")
        researcher.goto(RUN_PAGE)
        researcher.get_by_label("extract on west", exact=True).check()
        expect(researcher.locator("#submit")).to_have_text("Run 1 job on 1 backend")
        researcher.locator("#submit").click()
        expect(researcher.get_by_role("heading", level=1)).to_have_text(re.compile(r"Run \d+"))
        day.in_job_server(
            "from datetime import timedelta\n"
            "from django.db.models import F\n"
            "from carrel.jobserver.models import JobRequest\n"
            "JobRequest.objects.filter(sent_at=None).update(created_at=F('created_at') - timedelta(minutes=10))"
        )
        page.goto("/staff/requests/")
        expect(page.locator("main")).to_contain_text("Not sent to the controller of west")
        day.start(controller)
        day.live.await_controller()
        send = page.get_by_role("button", name="Send now")
        send.click()
        expect(page.locator("main")).to_contain_text(re.compile("It is sent now|It has been sent already"))
        expect(researcher).to_have_title(re.compile("^Succeeded"), timeout=CONTACT)

        page.goto("/staff/audit/?backend=west")
        events = {"backend.created", "project.opted_in", "backend.member_added", "request.resent"}
        for event in events:
            expect(page.locator("main")).to_contain_text(event)
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON lines").click()
        lines = download.value.path().read_text().splitlines()
        assert events <= {json.loads(line)["action"] for line in lines}
        assert token not in "\n".join(lines)
        assert newer not in "\n".join(lines)
        assert visit.complaints == other.complaints == []
