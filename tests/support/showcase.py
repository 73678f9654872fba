"""A job server in the middle of a working day, for pictures and for tests of pages: people, two studies, three
backends (one paused), runs that succeeded, failed and are running, with times that lead up to now.

The studies are real repositories: the examples that come with Carrel.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from tests.support.jobserver import add_backend, add_job, add_person, add_project, add_request, add_run, add_workspace

from carrel.jobserver.models import (
    Backend,
    Job,
    JobRequest,
    Project,
    ProjectDefinition,
    RunGroup,
    Schedule,
    User,
    Workspace,
)
from carrel.site.examples import INSURANCE, MOBILE

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Showcase:
    """What there is, by the names that pages show."""

    researcher: User
    lead: User
    staff: User
    stranger: User
    project: Project
    workspace: Workspace
    mobile: Workspace
    north: Backend
    south: Backend
    west: Backend
    hidden: Backend
    running: RunGroup
    finished: RunGroup
    failed_job: Job
    commit: str


def add_showcase(folder: Path, now: datetime | None = None) -> Showcase:
    """Make it all in an empty, migrated database; repositories go to `folder`."""
    now = now or datetime.now(UTC)
    commit = INSURANCE.commit(folder / "health-insurance.git")
    MOBILE.commit(folder / "mobile-assessments.git")
    today = datetime.combine(now.date(), datetime.min.time(), UTC)
    paused_at = min(today + timedelta(hours=9, minutes=12), now - 30 * MINUTE)
    north = add_backend("north", position=1, description="GP records of the northern practices.")
    south = add_backend("south", position=2, description="GP records of the southern practices, with payments.")
    west = add_backend("west", position=3, is_paused=True, paused_since=paused_at)
    hidden = add_backend("east", position=4, is_listed=False)
    project = add_project(
        "health-insurance",
        *(north, south, west),
        name="Health insurance",
        number="POS-2026-0042",
        purpose="Do people who pay more of the bill see a doctor less often?",
        approval_reference="REC 26/LO/0042",
        ends_on=now.date() + timedelta(days=200),
    )
    lead = add_person("ben", "ProjectLead", project=project, fullname="Ben Okafor")
    researcher = add_person("ann", "ProjectDeveloper", project=project, fullname="Ann Lee")
    staff = add_person(
        "sam",
        "StaffAreaAdministrator",
        "ServiceAdministrator",
        "GovernanceLead",
        "OutputPublisher",
        fullname="Sam Staff",
    )
    stranger = add_person("vic", fullname="Vic Visitor")
    for backend in (north, south, west):
        for person in (researcher, lead):
            backend.memberships.create(user=person, created_by=staff)
    workspace = add_workspace(
        project, "health-insurance-main", repo_url=str(folder / "health-insurance.git"), purpose="The main analysis."
    )
    mobile = add_workspace(
        project, "attention-on-phones", repo_url=str(folder / "mobile-assessments.git"), purpose="Tests on phones."
    )
    long_ago = now - timedelta(days=30)
    text = (INSURANCE.folder / "project.yaml").read_text()
    definition = ProjectDefinition.objects.create(digest=hashlib.sha256(text.encode()).hexdigest(), text=text)
    finished = add_run(
        workspace,
        researcher,
        commit=commit,
        commit_subject="Add the model",
        created_at=long_ago,
        definition=definition,
    )
    first = add_request(finished, north, created_at=long_ago, status="succeeded", completed_at=long_ago + 9 * MINUTE)
    second = add_request(finished, south, created_at=long_ago, status="succeeded", completed_at=long_ago + 9 * MINUTE)
    for request, actions in (
        (first, ("extract", "normalise", "visits_by_plan", "figure")),
        (second, ("extract", "normalise", "visits_by_plan", "figure", "incentives")),
    ):
        for number, action in enumerate(actions):
            _finished(request, action, long_ago + number * 2 * MINUTE, minutes=2 + number / 3)
    _earlier_runs_on(south, workspace, researcher, commit, long_ago)
    _run_each_week(workspace, researcher, (north, south), commit, now)
    begin = now - 12 * MINUTE
    running = add_run(
        workspace,
        researcher,
        commit=commit,
        commit_subject="Round counts to five",
        created_at=begin,
        definition=definition,
    )
    in_north = add_request(
        running,
        north,
        ("extract", "visits_by_plan", "model"),
        created_at=begin,
        status="running",
        reused={"figure": "earlier"},
    )
    in_south = add_request(running, south, created_at=begin, status="running")
    _finished(in_north, "extract", begin, minutes=4)
    _finished(in_north, "normalise", begin + 4.5 * MINUTE, minutes=1)
    add_job(in_north, "visits_by_plan", "running", created_at=begin, started_at=begin + 6 * MINUTE)
    add_job(
        in_north, "model", "pending", created_at=begin, status_code="waiting_on_workers",
        status_message="Waiting for available workers",
    )  # fmt: skip
    _finished(in_south, "extract", begin, minutes=4.5)
    _finished(in_south, "normalise", begin + 5 * MINUTE, minutes=1.2)
    failed = add_job(
        in_south, "visits_by_plan", "failed", created_at=begin, started_at=begin + 7 * MINUTE,
        completed_at=begin + 7.5 * MINUTE, status_message="Job exited with an error", metrics=_metrics(412),
    )  # fmt: skip
    _history(failed, ("created", 0), ("waiting_on_dependencies", 0.1), ("waiting_on_workers", 6.2), ("initiated", 7))
    _history(failed, ("preparing", 7.05), ("executing", 7.2), ("finalizing", 7.4), ("nonzero_exit", 7.5))
    Job.objects.filter(pk=failed.pk).update(samples=_samples(begin + 7 * MINUTE))
    add_job(
        in_south, "figure", "failed", created_at=begin, completed_at=begin + 7.5 * MINUTE, started_at=None,
        status_code="dependency_failed", status_message="Not starting as dependency failed",
    )  # fmt: skip
    add_job(in_south, "incentives", "running", created_at=begin, started_at=begin + 9 * MINUTE, metrics=_metrics(1200))
    _name_commands(text)
    return Showcase(
        researcher=researcher,
        lead=lead,
        staff=staff,
        stranger=stranger,
        project=project,
        workspace=workspace,
        mobile=mobile,
        north=north,
        south=south,
        west=west,
        hidden=hidden,
        running=running,
        finished=finished,
        failed_job=failed,
        commit=commit,
    )


def _earlier_runs_on(backend: Backend, workspace: Workspace, person: User, commit: str, long_ago: datetime) -> None:
    """One action again and again, sometimes failing: what its page draws."""
    for number in range(8):
        at = long_ago + timedelta(days=1 + 3 * number)
        run = add_run(workspace, person, commit=commit, created_at=at)
        status = "failed" if number in (2, 5) else "succeeded"
        request = add_request(run, backend, ("visits_by_plan",), created_at=at, status=status)
        ends = at + (0.5 + number % 3 / 3) * MINUTE
        add_job(
            request,
            "visits_by_plan",
            status,
            created_at=at,
            started_at=at,
            completed_at=ends,
            metrics=_metrics(360 + 20 * number),
        )


def _run_each_week(workspace: Workspace, person: User, reached: Sequence[Backend], commit: str, now: datetime) -> None:
    """A schedule for Mondays; the last time there was nothing to do."""
    monday = (now - timedelta(days=now.weekday())).replace(hour=6, minute=0, second=0, microsecond=0)
    last = monday if monday < now else monday - timedelta(days=7)
    schedule = Schedule.objects.create(
        workspace=workspace,
        cron="0 6 * * 1",
        actions={backend.slug: ["run_all"] for backend in reached},
        created_by=person,
        last_at=last,
        next_at=last + timedelta(days=7),
        last_outcome="started",
    )
    run = add_run(
        workspace, person, commit=commit, commit_subject="Add the model", created_at=last, schedule=schedule
    )  # fmt: skip
    for backend in reached:
        add_request(run, backend, created_at=last, status="nothing_to_do", completed_at=last + MINUTE)


def _name_commands(text: str) -> None:
    """Jobs ran what the study says; but for north's figure, whose command was another."""
    actions = yaml.safe_load(text)["actions"]
    for job in Job.objects.select_related("backend"):
        command = actions[job.action]["run"]
        if (job.action, job.backend.slug) != ("figure", "north"):
            job.run_command = command if isinstance(command, str) else command[job.backend.slug]
            job.save()


def _history(job: Job, *steps: tuple[str, float]) -> None:
    """States of a job, by minutes after it was made."""
    for code, minutes in steps:
        job.changes.create(status_code=code, at=job.created_at + minutes * MINUTE)


def _samples(begin: datetime) -> list[list[object]]:
    return [
        [(begin + timedelta(seconds=number)).isoformat(), 40 + 20 * (number % 3), 80 + 11 * number]
        for number in range(30)
    ]


def _finished(request: JobRequest, action: str, begin: datetime, *, minutes: float) -> Job:
    return add_job(
        request,
        action,
        created_at=request.created_at,
        started_at=begin + MINUTE / 3,
        completed_at=begin + minutes * MINUTE,
        metrics=_metrics(300 + 40 * len(action)),
        requires_db=action == "extract",
    )


def _metrics(megabytes: float) -> Mapping[str, float]:
    return {"cpu_mean": 71.0, "cpu_peak": 99.0, "mem_mb_mean": megabytes * 0.8, "mem_mb_peak": megabytes}
