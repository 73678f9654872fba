"""Scheduled runs: once for each time that came, as the person who set them up, told when they are refused."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from tests.support.jobserver import add_backend, add_person, add_project
from tests.support.studies import follow_study, make_study, study_site

from carrel.jobserver.models import AuditEvent, Backend, OutgoingMessage, RunGroup, Schedule
from carrel.jobserver.service.schedules import (
    MAX_DUE,
    create_schedule,
    due_schedules,
    remove_schedule,
    run_schedule,
    set_active,
)

__all__ = ["study_site"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def schedule(study_site: Path) -> Schedule:
    repo = make_study(study_site / "study")
    north, south = add_backend("north"), add_backend("south")
    project = add_project("health", north, south)
    person = add_person("ann", "ProjectDeveloper", project=project)
    north.memberships.create(user=person)
    workspace = follow_study(project, repo, "health-main")
    return create_schedule(workspace=workspace, person=person, cron="0  6 * * *", actions={"north": ["extract"]})


def make_due(schedule: Schedule) -> None:
    Schedule.objects.filter(pk=schedule.pk).update(next_at=timezone.now() - timedelta(days=3, minutes=1))


def test_it_runs_once_whatever_was_missed(schedule: Schedule) -> None:
    assert due_schedules() == []
    make_due(schedule)
    assert due_schedules() == [schedule.pk]
    assert run_schedule(schedule.pk)
    assert due_schedules() == []
    run = RunGroup.objects.get()
    assert (run.created_by, run.schedule) == (schedule.created_by, schedule)
    assert run.requests.get().requested_actions == ["extract"]
    schedule.refresh_from_db()
    assert schedule.last_outcome == f"Run {run.pk}"
    assert schedule.next_at is not None
    assert schedule.next_at > timezone.now()
    run_schedule(schedule.pk)
    assert RunGroup.objects.count() == 1


@pytest.mark.parametrize("has_second_factor", [True, False])
def test_a_backend_that_asks_for_a_second_factor_takes_runs_of_schedules_made_with_one(
    schedule: Schedule, has_second_factor: bool
) -> None:
    Backend.objects.update(requires_mfa=True)
    again = create_schedule(
        workspace=schedule.workspace,
        person=schedule.created_by,
        cron="0 6 * * *",
        actions={"north": ["extract"]},
        has_second_factor=has_second_factor,
    )
    make_due(again)
    assert run_schedule(again.pk)
    again.refresh_from_db()
    assert RunGroup.objects.exists() == has_second_factor
    assert ("second factor" in again.last_outcome) != has_second_factor


def test_killed_after_the_run_was_stored_it_is_the_same_run(schedule: Schedule) -> None:
    make_due(schedule)
    schedule.refresh_from_db()
    due = schedule.next_at
    run_schedule(schedule.pk)
    Schedule.objects.filter(pk=schedule.pk).update(next_at=due)  # as if it had not been marked
    run_schedule(schedule.pk)
    assert RunGroup.objects.count() == 1


def test_without_rights_it_is_refused_and_told_once_for_each_reason(schedule: Schedule, settings) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    schedule.created_by.backend_memberships.all().delete()
    for _ in range(2):
        make_due(schedule)
        assert run_schedule(schedule.pk)
    schedule.refresh_from_db()
    assert "You are not a member of north" in schedule.last_outcome
    assert not RunGroup.objects.exists()
    message = OutgoingMessage.objects.get()
    assert "was refused" in message.subject
    assert AuditEvent.objects.filter(action="schedule.refused").count() == 2


def test_a_repository_that_is_away_is_waited_for(schedule: Schedule) -> None:
    make_due(schedule)
    workspace = schedule.workspace
    workspace.repo_url += "-elsewhere"
    workspace.save()
    assert not run_schedule(schedule.pk)
    schedule.refresh_from_db()
    assert schedule.last_outcome.startswith("Waiting: ")
    assert due_schedules() == [schedule.pk]


def test_those_that_wait_for_a_repository_stand_in_no_others_way(schedule: Schedule) -> None:
    make_due(schedule)
    others = [
        Schedule.objects.create(
            workspace=schedule.workspace,
            created_by=schedule.created_by,
            cron="0 6 * * *",
            actions={"north": ["extract"]},
            notify="end",
            next_at=timezone.now() - timedelta(days=9),
        ).pk
        for _ in range(MAX_DUE)
    ]
    assert due_schedules() == others
    assert due_schedules(without=others) == [schedule.pk]


def test_pausing(schedule: Schedule) -> None:
    make_due(schedule)
    set_active(schedule, False, "test")
    assert due_schedules() == []
    run_schedule(schedule.pk)
    assert not RunGroup.objects.exists()
    set_active(schedule, True, "test")
    schedule.refresh_from_db()
    assert schedule.next_at is not None
    assert schedule.next_at > timezone.now()


def test_what_cannot_be_scheduled(schedule: Schedule) -> None:
    def refused(**changes: object) -> str:
        values = {"workspace": schedule.workspace, "person": schedule.created_by, "cron": "0 6 * * *"}
        with pytest.raises(ValidationError) as error:
            create_schedule(**{**values, "actions": {"north": ["extract"]}, **changes})
        return str(error.value)

    assert "five fields" in refused(cron="soon")
    assert "at least one action" in refused(actions={"north": []})
    for number in range(19):
        create_schedule(
            workspace=schedule.workspace,
            person=schedule.created_by,
            cron=f"{number} 6 * * *",
            actions={"north": ["extract"]},
        )
    assert "at most 20" in refused()


def test_its_runs_stay_when_it_goes(schedule: Schedule) -> None:
    make_due(schedule)
    run_schedule(schedule.pk)
    remove_schedule(schedule, "test")
    assert RunGroup.objects.get().schedule is None
