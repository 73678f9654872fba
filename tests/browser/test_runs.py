"""Pages of runs and jobs as people see them: they change by themselves, need no scripts, and are fit for everybody."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect
from tests.browser.conftest import JobServerSite
from tests.support.browser import NARROW, WIDE, scrolls_sideways, serious_problems, tab_stops
from tests.support.showcase import Showcase, add_showcase

from carrel.jobserver.models import Job, JobRequest
from carrel.jobserver.runs.reported import ReportedJob
from carrel.jobserver.service.jobs import record_jobs

pytestmark = pytest.mark.browser
MAX_PAGE_BYTES = 150_000


@pytest.fixture
def showcase(jobserver: JobServerSite, tmp_path: Path) -> Showcase:
    return add_showcase(tmp_path)


def end_job(job: Job, status: str = "succeeded") -> None:
    """What the controller says when a job ends."""
    now = timezone.now() + timedelta(seconds=1)
    report = ReportedJob(
        request_identifier=job.request.identifier,
        identifier=job.identifier,
        action=job.action,
        status=status,
        status_code=status,
        created_at=job.created_at,
        updated_at=now,
        started_at=job.started_at or now,
        completed_at=now,
        metrics={},
        trace_context={},
    )
    record_jobs(job.request, [report], complete=False)


def running_on_north(showcase: Showcase) -> Job:
    return Job.objects.get(request__run=showcase.running, request__backend=showcase.north, action="visits_by_plan")


def test_a_run_changes_by_itself_until_it_has_ended(jobserver: JobServerSite, showcase: Showcase) -> None:
    with jobserver.visit(showcase.researcher) as visit:
        page = visit.open(showcase.running.get_absolute_url())
        expect(page).to_have_title("4 of 9 done · health-insurance-main · carrel")
        expect(page.locator("#on-north")).to_contain_text("2 of 4 done")
        page.locator("#run-jobs a").first.focus()
        end_job(
            Job.objects.get(request__run=showcase.running, request__backend=showcase.north, action="visits_by_plan")
        )
        expect(page.locator("#on-north")).to_contain_text("3 of 4 done")
        expect(page).to_have_title("5 of 9 done · health-insurance-main · carrel")
        assert page.evaluate("document.activeElement.textContent") == "visits_by_plan"
        for job in Job.objects.filter(request__run=showcase.running, status__in=("pending", "running")):
            end_job(job)
        assert set(JobRequest.objects.filter(run=showcase.running).values_list("status", flat=True)) == {
            "succeeded",
            "failed",
        }
        expect(page).to_have_title("Failed · health-insurance-main · carrel")
        expect(page.locator("#run-buttons")).not_to_contain_text("Cancel")
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.wait_for_timeout(5000)  # nothing is asked any more: only time can tell
        assert [url for url in requests if "parts" in url] == []
        assert visit.complaints == []


def test_a_job_changes_by_itself(jobserver: JobServerSite, showcase: Showcase) -> None:
    job = Job.objects.get(request__run=showcase.running, request__backend=showcase.south, action="incentives")
    with jobserver.visit(showcase.researcher) as visit:
        page = visit.open(f"{showcase.running.get_absolute_url()}{job.identifier}/")
        expect(page).to_have_title("Running · incentives on south · carrel")
        end_job(job)
        expect(page).to_have_title("Succeeded · incentives on south · carrel")
        expect(page.locator("#standing")).to_contain_text("Succeeded")
        expect(page.locator("#job-buttons")).to_be_empty()
        assert visit.complaints == []


def test_without_scripts_it_is_all_there(jobserver: JobServerSite, showcase: Showcase) -> None:
    with jobserver.visit(showcase.researcher, scripts=False) as visit:
        page = visit.open(showcase.running.get_absolute_url())
        expect(page.get_by_role("heading", name="Run ", level=1)).to_be_visible()
        end_job(
            Job.objects.get(request__run=showcase.running, request__backend=showcase.north, action="visits_by_plan")
        )
        expect(page.locator("#on-north")).to_contain_text("2 of 4 done")
        page.get_by_role("link", name="Refresh").click()
        expect(page.locator("#on-north")).to_contain_text("3 of 4 done")
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("button", name="Cancel it").click()
        expect(page.locator(".messages")).to_contain_text("south was asked to cancel incentives.")
        expect(page.locator("#on-south")).to_contain_text("Being cancelled")


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_fit_for_everybody(jobserver: JobServerSite, showcase: Showcase, width: int, scheme: str) -> None:
    run = showcase.running.get_absolute_url()
    paths = [
        run,
        f"{run}{showcase.failed_job.identifier}/",
        "/runs/",
        f"{run}cancel/",
        f"{run}again/",
        f"{run}definition/",
    ]
    paths += [f"{showcase.workspace.get_absolute_url()}schedules/", "/health-insurance/webhooks/"]
    with jobserver.visit(showcase.researcher, width=width, scheme=scheme) as visit:
        for path in paths:
            page = visit.open(path)
            assert not scrolls_sideways(page), path
            assert len(page.content()) < MAX_PAGE_BYTES, path
            assert serious_problems(page) == [], path
        assert visit.complaints == []


def test_by_keyboard(jobserver: JobServerSite, showcase: Showcase) -> None:
    with jobserver.visit(showcase.researcher) as visit:
        stops = tab_stops(visit.open(showcase.running.get_absolute_url()))
        assert [stop for stop, ring in stops if not ring] == []
        names = [stop for stop, _ in stops]
        assert "a Cancel" in names
        assert "a Re-run failed" in names
