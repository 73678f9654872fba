"""Reminders that a project ends: one mail to each person who leads it, 30, 7 and 1 days before."""

from datetime import date, datetime, timedelta

from django.db import transaction

from carrel.jobserver.models import OutgoingMessage, Project, User
from carrel.jobserver.service.notifications import absolute_url, mail_is_configured
from carrel.jobserver.service.people import leads_of
from carrel.pages.formats import count_text
from carrel.pages.templatetags.pages import day

DAYS_BEFORE = (1, 7, 30)


def write_reminders(now: datetime) -> int:
    """Write the mails that are due and not written yet; return how many. To be called any number of times a day."""
    if not mail_is_configured():
        return 0
    today = now.date()
    last = today + timedelta(days=max(DAYS_BEFORE))
    ending = Project.objects.filter(archived_at=None, ends_on__range=(today, last))
    return sum(remind(project, today) for project in ending)


def due_step(ends_on: date, today: date) -> int | None:
    """Return which of the reminders is due, by its days: the one that is nearest to the end; None for none yet.

    After a time in which nothing ran, those that were missed are not written as well.
    """
    remaining = (ends_on - today).days
    return next((days for days in DAYS_BEFORE if 0 <= remaining <= days), None)


@transaction.atomic
def remind(project: Project, today: date) -> int:
    """Write to those who lead the project, or to all its people where nobody does. Each is told once of each date."""
    ends_on = project.ends_on
    step = due_step(ends_on, today) if ends_on else None
    if ends_on is None or step is None:
        return 0
    leads = leads_of(project)
    people = User.objects.filter(pk__in=leads) if leads else project.members.filter(is_active=True)
    messages = [
        OutgoingMessage(
            channel=OutgoingMessage.Channel.MAIL,
            recipient=person,
            subject=f"{project.name} ends on {day(ends_on)}"[:200],
            body=body_for(project, person, ends_on, today),
            key=f"project-ends:{project.pk}:{ends_on}:{step}:{person.pk}",
        )
        for person in people.exclude(email=None)
    ]
    keys = [message.key for message in messages]
    written = set(OutgoingMessage.objects.filter(key__in=keys).values_list("key", flat=True))
    new = [message for message in messages if message.key not in written]
    OutgoingMessage.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def body_for(project: Project, person: User, ends_on: date, today: date) -> str:
    """Return what the mail says."""
    remaining = (ends_on - today).days
    when = f"in {count_text(remaining, 'day')}" if remaining else "today"
    return (
        f"Dear {person.fullname},\n\n"
        f"{project.name} ends {when}, on {day(ends_on)}. Nothing new runs in it afterwards; releases go on.\n"
        "If it has been approved for longer, ask those who run this site to change the date.\n\n"
        f"{absolute_url(project.get_absolute_url())}\n"
    )
