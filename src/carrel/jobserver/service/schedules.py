"""Scheduled runs: set up, paused, taken away, and run when they are due, as the person who set them up."""

import logging
from collections.abc import Collection, Mapping, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from carrel.jobserver import studies
from carrel.jobserver.models import OutgoingMessage, Schedule, User, Workspace
from carrel.jobserver.models.people import NAME_LENGTH
from carrel.jobserver.runs.cron import CronRefused, check_cron, times_after
from carrel.jobserver.runs.reported import storable_text
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.notifications import absolute_url, mail_is_configured
from carrel.jobserver.service.submissions import SCHEDULE_KEY, Submission, SubmissionError, submit
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)

MAX_SCHEDULES = 20
"""Most of one workspace."""
MAX_DUE = 20
MAX_OUTCOME = 2000
HEAD_SECONDS = 30.0
"""How long a scheduled run waits to hear where its branch is."""


def create_schedule(
    *,
    workspace: Workspace,
    person: User,
    cron: str,
    actions: Mapping[str, Sequence[str]],
    force_run_dependencies: bool = False,
    notify: str = "",
    has_second_factor: bool = False,
    actor: Actor | None = None,
) -> Schedule:
    """Set up runs at these times of actions by backend (slug), as this person. Raises ValidationError by field.

    `has_second_factor`: the person signed in with one, which then counts for each run.
    """
    now = timezone.now()
    cron = " ".join(cron.split())
    try:
        check_cron(cron, now)
    except CronRefused as error:
        raise ValidationError({"cron": str(error)}) from error
    chosen = {slug: list(dict.fromkeys(names)) for slug, names in actions.items() if names}
    if not chosen:
        raise ValidationError({"__all__": "Tick at least one action."})
    with transaction.atomic():
        row = Workspace.objects.select_for_update().select_related("project").get(pk=workspace.pk)
        if row.is_archived or row.project.is_archived:
            raise ValidationError({"__all__": "The workspace or its project is closed: nothing new runs in it."})
        if workspace.schedules.count() >= MAX_SCHEDULES:
            raise ValidationError({"__all__": f"A workspace has at most {MAX_SCHEDULES} schedules: remove one first."})
        schedule = Schedule.objects.create(
            workspace=workspace,
            created_by=person,
            cron=cron,
            actions=chosen,
            force_run_dependencies=force_run_dependencies,
            notify=notify or workspace.notify,
            with_second_factor=has_second_factor,
            next_at=times_after(cron, now, 1)[0],
        )
        _note(schedule, "schedule.created", actor or person, {"cron": cron, "actions": chosen})
    return schedule


def set_active(schedule: Schedule, is_active: bool, actor: Actor) -> None:
    """Pause a schedule, or let it go on with its next time; what was missed meanwhile is not made up for."""
    with transaction.atomic():
        next_at = times_after(schedule.cron, timezone.now(), 1)[0] if is_active else None
        Schedule.objects.filter(pk=schedule.pk).update(is_active=is_active, next_at=next_at)
        _note(schedule, "schedule.resumed" if is_active else "schedule.paused", actor)


def remove_schedule(schedule: Schedule, actor: Actor) -> None:
    """Take a schedule away; its runs stay."""
    with transaction.atomic():
        _note(schedule, "schedule.removed", actor, {"cron": schedule.cron, "actions": schedule.actions})
        Schedule.objects.filter(pk=schedule.pk).delete()


def due_schedules(without: Collection[int] = ()) -> list[int]:
    """Return the schedules whose time has come, but for those that are tried again later."""
    due = Schedule.objects.filter(is_active=True, next_at__lte=timezone.now()).exclude(pk__in=list(without))
    return list(due.order_by("next_at").values_list("pk", flat=True)[:MAX_DUE])


def run_schedule(schedule_pk: int) -> bool:
    """Ask for the run of a schedule that is due, at the head of its branch, with its person's rights of now.

    Killed anywhere and run again it is the same run: the key of the submission is the time it was due. However many
    times were missed, it runs once. Returns False when the repository cannot be read now: it stays due.
    """
    schedules = Schedule.objects.select_related("workspace__project", "created_by")
    schedule = schedules.filter(pk=schedule_pk, is_active=True, next_at__lte=timezone.now()).first()
    if schedule is None:
        return True
    try:
        outcome, run_pk = _submit(schedule)
    except studies.StudyUnavailable as error:
        words = storable_text(f"Waiting: {error}", MAX_OUTCOME)
        if words != schedule.last_outcome:
            Schedule.objects.filter(pk=schedule.pk).update(last_outcome=words)
        return False
    point("jobserver.schedule.submitted")
    with transaction.atomic():
        now = timezone.now()
        if run_pk is None and outcome != schedule.last_outcome:
            _tell(schedule, outcome)
        times = times_after(schedule.cron, now, 1)
        changed = Schedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at).update(
            last_at=now, last_outcome=storable_text(outcome, MAX_OUTCOME), next_at=times[0] if times else None
        )
        if changed and run_pk is None:
            _note(schedule, "schedule.refused", "schedule", {"reason": outcome[:500]})
    point("jobserver.schedule.marked")
    return True


def _submit(schedule: Schedule) -> tuple[str, int | None]:
    """Return what came of it in words, and the key of the run, if there is one."""
    workspace = schedule.workspace
    head = studies.branch_head(workspace, HEAD_SECONDS)
    if not head.commit or head.problem:
        raise studies.StudyUnavailable(head.problem or "the branch cannot be found")
    slugs = tuple(schedule.actions)
    submission = Submission(
        workspace=workspace,
        person=schedule.created_by,
        commit=head.commit,
        actions={slug: tuple(names) for slug, names in schedule.actions.items()},
        force=frozenset(slugs if schedule.force_run_dependencies else ()),
        notify=schedule.notify,
        submission_key=f"{SCHEDULE_KEY}{schedule.pk}-{schedule.next_at:%Y%m%dT%H%M}",
        schedule=schedule,
        has_second_factor=schedule.with_second_factor,
    )
    try:
        run = submit(submission)
    except SubmissionError as error:
        return f"Not run: {error}", None
    return f"Run {run.pk}", run.pk


def _tell(schedule: Schedule, outcome: str) -> None:
    """Write to the person that their schedule did not run, and why: once for each reason."""
    person = schedule.created_by
    if not (mail_is_configured() and person.email and person.is_active):
        return
    name = schedule.workspace.name
    address = absolute_url(f"{schedule.workspace.get_absolute_url()}schedules/")
    OutgoingMessage.objects.bulk_create(
        [
            OutgoingMessage(
                channel=OutgoingMessage.Channel.MAIL,
                recipient=person,
                subject=f"Scheduled run of {name} was refused"[:NAME_LENGTH],
                body=f"{outcome}\n\nIt is tried again at its next time. Its schedule: {address}\n",
                key=f"mail:schedule:{schedule.pk}:{schedule.next_at:%Y%m%dT%H%M}",
            )
        ],
        ignore_conflicts=True,
    )


def _note(schedule: Schedule, action: str, actor: Actor, new: Mapping[str, object] | None = None) -> None:
    record(
        actor,
        action,
        subject_type="schedule",
        subject=f"{schedule.workspace.name} {schedule.cron}",
        project=schedule.workspace.project,
        new=dict(new) if new else None,
    )
