"""The one door for statuses: reports become rows, once, never backwards, of their own request and backend only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from tests.support.jobserver import add_backend, add_job, add_person, add_project, add_request, add_run, add_workspace

from carrel.jobserver.models import Job, JobRequest, JobStatusChange, OutgoingMessage
from carrel.jobserver.queries.logs import outcome_condition
from carrel.jobserver.runs.derivation import FAILED_BY_JOB, FINAL_REQUEST_STATUSES, derived_status
from carrel.jobserver.runs.reported import ReportedJob
from carrel.jobserver.service import notifications
from carrel.jobserver.service.jobs import RecordedJobs, record_jobs
from carrel.jobserver.service.requests import set_outcome, withdraw_refused
from carrel.jobserver.service.usage import totals_of
from carrel.jobserver.views.home import unanswered_failures
from carrel.jobserver.views.runs import failed_actions

T0 = datetime(2026, 5, 3, 9, 0, tzinfo=UTC)
CODES = {"pending": "created", "running": "executing", "succeeded": "succeeded", "failed": "nonzero_exit"}


def new_request(**fields: Any) -> JobRequest:
    person = add_person()
    backend = add_backend()
    run = add_run(add_workspace(add_project("", backend)), person, **fields)
    return add_request(run, backend)


def report(request: JobRequest, action: str, status: str, at: int = 0, **fields: Any) -> ReportedJob:
    """What a controller says of a job, `at` seconds after the start."""
    updated = T0 + timedelta(seconds=at)
    values: dict[str, Any] = {
        "request_identifier": request.identifier,
        "backend": request.backend.slug,
        "identifier": f"{action}-{request.identifier}",
        "action": action,
        "status": status,
        "status_code": CODES[status],
        "status_message": f"is {status}",
        "created_at": T0,
        "updated_at": updated,
        "started_at": None if status == "pending" else T0,
        "completed_at": updated if status in ("succeeded", "failed") else None,
        "metrics": {},
        "trace_context": {},
        **fields,
    }
    return ReportedJob(**values)


@pytest.fixture
def request_row(db) -> JobRequest:
    return new_request()


def test_jobs_and_the_requests_status(request_row: JobRequest) -> None:
    record_jobs(request_row, [report(request_row, "a", "running"), report(request_row, "b", "pending")], complete=False)
    assert request_row.status == "running"
    assert Job.objects.get(action="a").backend == request_row.backend
    record_jobs(request_row, [report(request_row, "a", "failed", 60)], complete=False)
    assert (request_row.status, request_row.completed_at) == ("running", None)
    record_jobs(request_row, [report(request_row, "b", "succeeded", 90)], complete=False)
    request_row.refresh_from_db()
    assert (request_row.status, request_row.status_message) == ("failed", "Failed due to job failure")
    assert request_row.completed_at == T0 + timedelta(seconds=90)
    codes = JobStatusChange.objects.filter(job__action="a").values_list("status_code", flat=True)
    assert list(codes) == ["executing", "nonzero_exit"]


def test_the_same_again_writes_nothing(request_row: JobRequest) -> None:
    jobs = [report(request_row, name, "running") for name in "abc"]
    record_jobs(request_row, jobs, complete=True)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert record_jobs(request_row, jobs, complete=True).changed == 0
    assert not [query for query in queries if not query["sql"].startswith("SELECT")]


def test_a_late_report_changes_nothing(request_row: JobRequest) -> None:
    record_jobs(request_row, [report(request_row, "a", "succeeded", 60)], complete=False)
    record_jobs(request_row, [report(request_row, "a", "running", 70)], complete=False)
    record_jobs(request_row, [report(request_row, "a", "failed", 50)], complete=False)
    assert Job.objects.get().status == "succeeded"
    assert request_row.status == "succeeded"


def test_a_job_of_another_request_or_backend_is_refused(request_row: JobRequest) -> None:
    other = new_request()
    add_job(other, "stolen", "running", identifier="stolen1")
    results = record_jobs(
        request_row,
        [
            report(request_row, "mine", "running"),
            report(request_row, "stolen", "failed", identifier="stolen1"),
            report(request_row, "far", "running", backend="elsewhere"),
            report(other, "other", "running"),
        ],
        complete=True,
    )
    assert results.changed == 1
    assert len(results.refusals) == 3
    assert list(request_row.jobs.values_list("action", flat=True)) == ["mine"]
    assert Job.objects.get(identifier="stolen1").status == "running"


def test_a_complete_list_takes_away_what_is_not_in_it(request_row: JobRequest) -> None:
    record_jobs(request_row, [report(request_row, name, "running") for name in "ab"], complete=True)
    record_jobs(request_row, [report(request_row, "a", "running")], complete=False)
    assert request_row.jobs.count() == 2
    assert record_jobs(request_row, [report(request_row, "a", "running")], complete=True).deleted == 1
    assert list(request_row.jobs.values_list("action", flat=True)) == ["a"]


@pytest.mark.parametrize(("status", "expected"), [("failed", "failed"), ("succeeded", "nothing_to_do")])
def test_the_pseudo_job_tells_of_the_request(request_row: JobRequest, status: str, expected: str) -> None:
    waiting = report(request_row, "__error__", "pending", status_message="git is away")
    record_jobs(request_row, [waiting], complete=True)
    assert (request_row.status, request_row.status_message) == ("pending", "git is away")
    told = report(request_row, "__error__", status, status_message="No project.yaml")
    record_jobs(request_row, [told], complete=True)
    assert (request_row.status, request_row.status_message) == (expected, "No project.yaml")
    assert not request_row.jobs.exists()


def test_queries_do_not_grow_with_jobs(request_row: JobRequest) -> None:
    def queries_for(count: int) -> int:
        request = new_request()
        with CaptureQueriesContext(connection) as queries:
            record_jobs(request, [report(request, f"a{number}", "running") for number in range(count)], complete=True)
        return len(queries)

    assert queries_for(2) == queries_for(40)


JOBS_TOLD = st.lists(
    st.tuples(st.sampled_from(["a", "b", "__error__"]), st.sampled_from(list(CODES)), st.integers(0, 5)), max_size=3
)


class TestManyReports(TestCase):
    """Any reports by either link, in any order and repeated, leave rows that agree; an end is told once, for good."""

    @settings(max_examples=100)
    @given(st.lists(st.tuples(JOBS_TOLD, st.booleans()), max_size=8), st.integers(0, 8))
    def test_rows_agree(self, reports: list[tuple[list[tuple[str, str, int]], bool]], withdrawn_after: int) -> None:
        request = new_request(notify="end")
        ended: list[tuple[str, str]] = []
        for number, (jobs, complete) in enumerate(reports):
            if number == withdrawn_after and not request.jobs.exists():
                withdraw_refused([request])  # its person has no role
                request.refresh_from_db()
                assert request.status in FINAL_REQUEST_STATUSES
            told = [report(request, action, status, at) for action, status, at in jobs]
            record_jobs(request, told, complete=complete)
            assert record_jobs(request, told, complete=complete) == RecordedJobs()
            statuses = sorted(request.jobs.values_list("identifier", "status"))
            assert not ended or statuses == ended
            if statuses:
                assert request.status == derived_status("pending", [status for _, status in statuses])
                assert (request.completed_at is not None) == (request.status in FINAL_REQUEST_STATUSES)
                assert (request.status_message == FAILED_BY_JOB) == (request.status == "failed")
                ended = statuses if request.status in FINAL_REQUEST_STATUSES else []
            for job in request.jobs.all():
                assert job.changes.order_by("-id").first().status_code == job.status_code


@pytest.mark.parametrize(
    ("notify", "statuses", "subjects"),
    [
        ("end", ["running", "failed"], []),
        ("end", ["succeeded", "failed"], ["Failed"]),
        ("end", ["succeeded", "succeeded"], ["Succeeded"]),
        ("first_failure", ["running", "failed"], ["A job failed"]),
        ("first_failure", ["succeeded", "succeeded"], []),
        ("never", ["succeeded", "failed"], []),
    ],
)
def test_one_message_a_run(db, settings, notify: str, statuses: list[str], subjects: list[str]) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    request = new_request(notify=notify)
    for _ in range(2):
        reports = [report(request, name, status) for name, status in zip("ab", statuses, strict=True)]
        record_jobs(request, reports, complete=False)
    messages = OutgoingMessage.objects.values_list("subject", flat=True)
    assert [subject.split(":")[0] for subject in messages] == subjects


def test_what_was_cancelled_is_no_failure(db, settings) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    request = new_request(notify="first_failure")
    record_jobs(request, [report(request, "a", "failed", status_code="cancelled_by_user")], complete=False)
    assert request.status == "failed"
    assert not OutgoingMessage.objects.exists()


def test_a_clock_that_was_ahead_leaves_no_job_running(request_row: JobRequest) -> None:
    record_jobs(request_row, [report(request_row, "a", "running", 3600)], complete=False)
    record_jobs(request_row, [report(request_row, "a", "succeeded", 60)], complete=False)
    assert (Job.objects.get().status, request_row.status) == ("succeeded", "succeeded")


@pytest.mark.parametrize("complete", [True, False])
def test_nothing_ends_while_some_of_its_jobs_are_not_known(request_row: JobRequest, complete: bool) -> None:
    other = add_job(new_request(), "b", "running")
    stolen = report(request_row, "b", "running", identifier=other.identifier)
    record_jobs(request_row, [report(request_row, "a", "succeeded"), stolen], complete=complete)
    assert (request_row.status, request_row.completed_at) == ("unknown", None)
    record_jobs(request_row, [report(request_row, "a", "succeeded")], complete=complete, some_unreadable=True)
    assert request_row.status == "unknown"
    record_jobs(request_row, [report(request_row, "a", "succeeded")], complete=complete)
    assert request_row.status == "succeeded"


@pytest.mark.parametrize(
    ("codes", "cancelled_actions", "outcome"),
    [
        (["cancelled_by_user", "cancelled_by_user"], [], "cancelled"),
        (["cancelled_by_user", "nonzero_exit"], ["a"], "failed"),
        (["nonzero_exit"], ["a"], "failed"),
        ([], ["a"], "cancelled"),
        ([], [], "failed"),
    ],
)
def test_what_somebody_cancelled_is_no_failure_anywhere(
    request_row: JobRequest, codes: list[str], cancelled_actions: list[str], outcome: str
) -> None:
    request_row.cancelled_actions = cancelled_actions
    request_row.save()
    jobs = [report(request_row, f"a{n}", "failed", 60, status_code=code) for n, code in enumerate(codes)]
    record_jobs(request_row, jobs, complete=False)
    if not codes:
        set_outcome(request_row, "failed", "It has no jobs")
    request_row.refresh_from_db()
    assert (request_row.status, request_row.outcome) == ("failed", outcome)
    assert list(JobRequest.objects.filter(outcome_condition([outcome]))) == [request_row]
    other = {"failed": "cancelled", "cancelled": "failed"}[outcome]
    assert not JobRequest.objects.filter(outcome_condition([other]))
    assert bool(notifications.standing_of([request_row]).failures) is (outcome == "failed")
    assert unanswered_failures(request_row.created_by).exists() is (outcome == "failed")
    assert sum(row["failed"] for row in totals_of(T0.date())) == codes.count("nonzero_exit")
    again = failed_actions([request_row])[request_row.backend.slug]
    assert len(again) == codes.count("nonzero_exit")
