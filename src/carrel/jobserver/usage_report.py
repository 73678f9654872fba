"""What was used, as pages and files tell it: sums of monthly rows by whatever one asks for."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from django.db.models import F, QuerySet, Sum

from carrel.jobserver.audit_log import csv_line
from carrel.jobserver.models import UsageMonth

GROUPS: Mapping[str, tuple[str, str]] = {
    "project": ("Project", "project__name"),
    "person": ("Person", "user__fullname"),
    "backend": ("Backend", "backend__name"),
    "month": ("Month", "month"),
}
"""By the word in a URL: the label, and the field of a monthly row."""
MEASURES = ("jobs", "failed", "run_hours", "cpu_hours", "memory_gb_hours")
COLUMNS = ("month", "project", "project_slug", "person", "backend", *MEASURES)


def narrowed(rows: QuerySet[UsageMonth], query: Mapping[str, str]) -> QuerySet[UsageMonth]:
    """Return the rows of a URL's filters: project, person, backend; since and until are months (`2026-11`)."""
    for name, field in {"project": "project__slug", "person": "user__username", "backend": "backend__slug"}.items():
        if value := query.get(name, "").replace("\x00", ""):
            rows = rows.filter(**{field: value})
    if since := month_of(query.get("since", "")):
        rows = rows.filter(month__gte=since)
    if until := month_of(query.get("until", "")):
        rows = rows.filter(month__lte=until)
    return rows


def month_of(text: str) -> date | None:
    """Return the first day of a month such as `2026-11`; None for what is none."""
    try:
        return date.fromisoformat(f"{text[:7]}-01")
    except ValueError:
        return None


SUMS = {
    "total_jobs": Sum("jobs"),
    "total_failed": Sum("failed"),
    "run_hours": Sum("run_seconds") / 3600.0,
    "cpu_hours": Sum("cpu_seconds") / 3600.0,
    "memory_gb_hours": Sum("memory_mb_seconds") / 1000.0 / 3600.0,
}
"""What is told of rows together: None where there are none."""


def with_sums(rows: QuerySet[UsageMonth], *fields: str) -> QuerySet[Any, dict[str, Any]]:
    """Return sums of the measures, by these fields."""
    return rows.order_by().values(*fields).annotate(**SUMS)


def grouped(rows: QuerySet[UsageMonth], group: str) -> QuerySet[Any, dict[str, Any]]:
    """Return one row for each project, person, backend or month, those that used most first; months newest first."""
    sums = with_sums(rows.annotate(name=F(GROUPS[group][1])), "name")
    return sums.order_by("-name") if group == "month" else sums.order_by("-run_hours", "name")


def csv_rows(rows: QuerySet[UsageMonth]) -> Iterator[str]:
    """Return all monthly rows as lines of CSV, oldest first."""
    yield csv_line(COLUMNS)
    fields = {
        "project_name": F("project__name"),
        "slug": F("project__slug"),
        "person": F("user__username"),
        "at": F("backend__slug"),
    }
    sums = with_sums(rows.annotate(**fields), "month", *fields).order_by("month", "slug", "person", "at")
    for row in sums.iterator(chunk_size=2000):
        yield csv_line(as_cells(row))


def as_cells(row: Mapping[str, Any]) -> Iterable[object]:
    """Return one row's cells in the order of COLUMNS."""
    hours = (f"{row[name]:.3f}" for name in ("run_hours", "cpu_hours", "memory_gb_hours"))
    names = (row["project_name"], row["slug"], row["person"], row["at"])
    return (f"{row['month']:%Y-%m}", *names, row["total_jobs"], row["total_failed"], *hours)
