"""Usage by month: a summary of jobs that is worked out in SQL, so that pages read some thousand rows, not a million.

Rows are derived: those of a month are replaced as a whole. The link works out the present month and the one before
every hour; `carrel manage usage --rebuild` works out all.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, ExpressionWrapper, F, FloatField, Func, Max, Min, Q, Sum, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Greatest
from django.utils import timezone

from carrel.jobs.statuses import StatusCode
from carrel.jobserver.models import Job, UsageMonth

REFRESH_EVERY = timedelta(hours=1)


class SecondsBetween(Func):
    """Seconds from one time to a later one, by the database's own arithmetic."""

    output_field = FloatField()
    template = "EXTRACT(EPOCH FROM (%(expressions)s))"
    arg_joiner = " - "

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """SQLite keeps times as texts, and counts in days."""
        later, earlier = (compiler.compile(expression) for expression in self.get_source_expressions())
        sql = f"((julianday({later[0]}) - julianday({earlier[0]})) * 86400.0)"
        return sql, (*later[1], *earlier[1])


def number(key: str) -> Any:
    """Return a metric of a job as a number; one that it does not have is 0."""
    return Coalesce(Cast(KeyTextTransform(key, "metrics"), FloatField()), Value(0.0))


def totals_of(month: date) -> list[dict[str, Any]]:
    """Return the sums of the jobs that ended within a month, by project, person and backend, in one question."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = datetime.combine(next_month(month), start.timetz())
    seconds = Greatest(SecondsBetween(F("completed_at"), F("started_at")), Value(0.0))

    def weighted(key: str) -> Any:
        return ExpressionWrapper(F("seconds") * number(key), output_field=FloatField())

    ended = Job.objects.filter(completed_at__gte=start, completed_at__lt=end).order_by()
    ran = Q(started_at__isnull=False)
    rows = ended.annotate(seconds=seconds).values("workspace__project", "request__created_by", "backend")
    return list(
        rows.annotate(
            jobs=Count("pk", filter=ran),
            failed=Count("pk", filter=ran & Q(status="failed") & ~Q(status_code=StatusCode.CANCELLED_BY_USER)),
            run_seconds=Coalesce(Sum("seconds", filter=ran), Value(0.0)),
            # A mean use of 100 is one core.
            cpu_seconds=Coalesce(Sum(weighted("cpu_mean"), filter=ran), Value(0.0)) / 100.0,
            memory_mb_seconds=Coalesce(Sum(weighted("mem_mb_mean"), filter=ran), Value(0.0)),
        ).filter(jobs__gt=0)
    )


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


@transaction.atomic
def refresh(month: date) -> int:
    """Work out a month again; return how many rows it has."""
    now = timezone.now()
    rows = [
        UsageMonth(
            month=month.replace(day=1),
            project_id=total.pop("workspace__project"),
            user_id=total.pop("request__created_by"),
            backend_id=total.pop("backend"),
            computed_at=now,
            **total,
        )
        for total in totals_of(month)
    ]
    UsageMonth.objects.filter(month=month.replace(day=1)).delete()
    UsageMonth.objects.bulk_create(rows, batch_size=500)
    return len(rows)


def months_of_jobs() -> Iterator[date]:
    """Return every month from the first job that ended to the last."""
    first, last = Job.objects.aggregate(first=Min("completed_at"), last=Max("completed_at")).values()
    month = first.date().replace(day=1) if first else date.max
    while first and month <= last.date():
        yield month
        month = next_month(month)


def rebuild(months: Iterable[date] | None = None) -> int:
    """Work out these months again, or all; return how many there were."""
    if months is None:
        UsageMonth.objects.all().delete()
    return sum(1 for month in (months_of_jobs() if months is None else months) for _ in [refresh(month)])


def refresh_when_due(now: datetime) -> bool:
    """Work out the present month and the one before, unless that was done within the hour; tell whether it was due."""
    latest = UsageMonth.objects.aggregate(at=Max("computed_at"))["at"]
    if latest is not None and now - latest < REFRESH_EVERY:
        return False
    present = now.date().replace(day=1)
    rebuild([(present - timedelta(days=1)).replace(day=1), present])
    return True
