"""One mail a day, for those who chose it: which of their runs ended or failed since the last one."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from carrel.jobserver.models import OutgoingMessage, RunGroup, User
from carrel.jobserver.service.notifications import absolute_url, mail_is_configured, overall_word
from carrel.pages.formats import count_text

HOUR = 6
"""Of the day (UTC) after which the mails are written."""
MAX_RUNS = 200


def write_digests() -> int:
    """Write the mails that are due, each person's in a transaction of its own. Returns how many."""
    if not mail_is_configured():
        return 0
    due = digest_due_since(timezone.now())
    people = User.objects.filter(digest=True, is_active=True, email__isnull=False)
    pending = people.exclude(digest_at__gte=due).values_list("pk", flat=True)
    return sum(write_digest(user_pk, due) for user_pk in pending.order_by("id")[:1000])


def digest_due_since(now: datetime) -> datetime:
    """Return the latest moment, up to now, at which mails of the day are due."""
    today = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def write_digest(user_pk: int, due: datetime) -> int:
    """Write one person's mail of the day, unless there is nothing to tell. Returns how many were written."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user_pk)
        if user.digest_at is not None and user.digest_at >= due:
            return 0
        since = user.digest_at or due - timedelta(days=1)
        runs = RunGroup.objects.filter(created_by=user, notified_at__gt=since, notified_at__lte=due)
        rows = list(runs.select_related("workspace__project").prefetch_related("requests").order_by("id")[:MAX_RUNS])
        User.objects.filter(pk=user_pk).update(digest_at=due)
        if not rows:
            return 0
        words = [overall_word(request.outcome for request in run.requests.all()) for run in rows]
        failures = sum(word == "Failed" for word in words)
        lines = [
            f"{word}: run {run.pk} of {run.workspace.name}, {absolute_url(run.get_absolute_url())}"
            for word, run in zip(words, rows, strict=True)
        ]
        OutgoingMessage.objects.bulk_create(
            [
                OutgoingMessage(
                    channel=OutgoingMessage.Channel.MAIL,
                    recipient=user,
                    subject=f"{count_text(len(rows), 'run')}, {failures} failed",
                    body="\n".join(lines) + "\n",
                    key=f"digest:{user.pk}:{due:%Y-%m-%d}",
                )
            ],
            ignore_conflicts=True,
        )
    return 1
