"""Usage: worked out from jobs, by month, held to the same sums made the slow and obvious way."""

import csv
import io
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.support.jobserver import (
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)

from carrel.jobserver.models import Job, UsageMonth
from carrel.jobserver.service import usage

pytestmark = pytest.mark.django_db
MAY = datetime(2026, 5, 3, 9, tzinfo=UTC)


@pytest.fixture
def jobs() -> None:
    """Jobs of two people in two projects on two backends over two months; some failed, some without metrics."""
    backends = [add_backend("north"), add_backend("south")]
    metrics = [{"cpu_mean": 150.0, "mem_mb_mean": 2000}, {}, {"cpu_mean": "75.5", "mem_mb_mean": 512.5}]
    for number, slug in enumerate(("alpha", "beta")):
        project = add_project(slug, *backends)
        person = add_person(f"person-{slug}", "ProjectDeveloper", project=project)
        run = add_run(add_workspace(project, f"study-{slug}"), person)
        for backend in backends:
            request = add_request(run, backend)
            for job in range(6):
                created = MAY + timedelta(days=job * 9, minutes=number)
                status = ("succeeded", "failed", "succeeded")[job % 3]
                add_job(request, f"a{job}", status, created_at=created, metrics=metrics[job % 3])
            add_job(request, "waiting", "pending", created_at=MAY)
            # Not started because what it needs failed: it used nothing.
            add_job(request, "not-started", "failed", created_at=MAY, started_at=None)


def expected() -> dict[tuple[date, str, str, str], list[float]]:
    """The sums by month, project, person and backend."""
    sums: dict[tuple[date, str, str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0, 0.0])
    for job in Job.objects.exclude(started_at=None).exclude(completed_at=None):
        seconds = (job.completed_at - job.started_at).total_seconds()
        key = (
            job.completed_at.date().replace(day=1),
            job.workspace.project.slug,
            job.request.created_by.username,
            job.backend.slug,
        )
        row = sums[key]
        row[0] += 1
        row[1] += job.status == "failed"
        row[2] += seconds
        row[3] += seconds * float(job.metrics.get("cpu_mean", 0)) / 100
        row[4] += seconds * float(job.metrics.get("mem_mb_mean", 0))
    return sums


def stored() -> dict[tuple[date, str, str, str], list[float]]:
    return {
        (row.month, row.project.slug, row.user.username, row.backend.slug): [
            row.jobs,
            row.failed,
            row.run_seconds,
            row.cpu_seconds,
            row.memory_mb_seconds,
        ]
        for row in UsageMonth.objects.all()
    }


def test_months_are_worked_out_as_by_hand(jobs: None) -> None:
    assert usage.rebuild() == 2
    assert stored().keys() == expected().keys()
    for key, sums in expected().items():
        assert stored()[key] == pytest.approx(sums, rel=1e-4)


def test_a_month_is_replaced_as_a_whole(jobs: None) -> None:
    usage.rebuild()
    before = stored()
    Job.objects.filter(backend__slug="south").delete()
    usage.refresh(date(2026, 5, 1))
    assert {key for key in before if key[3] == "south" and key[0] == date(2026, 5, 1)}.isdisjoint(stored())
    usage.rebuild()
    assert stored().keys() == expected().keys()


def test_one_question_works_a_month_out(jobs: None) -> None:
    with CaptureQueriesContext(
        connection,
    ) as questions:
        usage.totals_of(date(2026, 5, 1))
    assert len(questions) == 1


def test_the_present_month_is_worked_out_every_hour(jobs: None) -> None:
    now = datetime(2026, 6, 2, tzinfo=UTC)
    assert usage.refresh_when_due(now)
    assert {row.month for row in UsageMonth.objects.all()} == {date(2026, 5, 1), date(2026, 6, 1)}
    UsageMonth.objects.update(computed_at=now)
    assert not usage.refresh_when_due(now + timedelta(minutes=59))
    assert usage.refresh_when_due(now + timedelta(minutes=61))


def test_december_is_followed_by_january() -> None:
    assert usage.next_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert usage.next_month(date(2026, 11, 1)) == date(2026, 12, 1)


def test_pages_by_project_person_backend_month(jobs: None, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]  # pytest-django's
    usage.rebuild()
    lead = browse(add_person("gov", "GovernanceLead"))
    for group, words in {"project": "Alpha", "person": "Person-Alpha", "backend": "south", "month": "May 2026"}.items():
        with django_assert_max_num_queries(12):
            page = lead.get(f"/usage/?by={group}").content.decode()
        assert words in page
        assert "24 jobs" in page
    assert "Beta" not in lead.get("/usage/?project=alpha").content.decode().split("<tbody>")[1]
    assert lead.get("/usage/?by=nonsense&since=x&until=&person=x").status_code == 200


def test_a_lead_sees_the_usage_of_their_project_alone(jobs: None) -> None:
    usage.rebuild()
    from carrel.jobserver.models import Project

    lead = browse(add_person("ann", "ProjectLead", project=Project.objects.get(slug="alpha")))
    assert lead.get("/alpha/usage/").status_code == 200
    assert lead.get("/beta/usage/").status_code == 403
    assert lead.get("/usage/").status_code == 403
    lines = b"".join(lead.get("/alpha/usage/usage.csv").streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert {row["project_slug"] for row in rows} == {"alpha"}
    assert sum(int(row["jobs"]) for row in rows) == 12


def test_the_command_prints_csv(jobs: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("usage", "--rebuild", "--csv", "--project", "beta")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["project_slug"] for row in rows} == {"beta"}
