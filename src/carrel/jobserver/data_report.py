"""Who read which data, as pages tell it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Max, QuerySet

from carrel.jobserver.models import DataUse, Project
from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.rights.visibility import visible_backends, visible_projects


def uses_for(request: CarrelRequest) -> QuerySet[DataUse]:
    """Return the uses by projects and on backends that this person may know of, latest first."""
    uses = DataUse.objects.filter(
        backend__in=visible_backends(request.person, request.rights),
        project__in=visible_projects(request.person, request.rights),
    )
    return uses.select_related("project", "backend", "user", "job__request__run__workspace__project")


def by_table(uses: QuerySet[DataUse]) -> QuerySet[DataUse, dict[str, Any]]:
    """Return one row for each table of a backend: how many jobs read it, and when the last did."""
    fields = ("backend__name", "backend__position", "database", "table_name")
    rows = uses.order_by().values(*fields).annotate(jobs=Count("job", distinct=True), last_at=Max("at"))
    return rows.order_by("backend__position", "backend__name", "table_name")


def tables_used(projects: Iterable[Project], backends: QuerySet[Any]) -> dict[int, list[str]]:
    """Return by project (its id) the tables that its jobs read on these backends, in one question."""
    uses = DataUse.objects.filter(project__in=list(projects), backend__in=backends).exclude(table_name="")
    tables: dict[int, list[str]] = defaultdict(list)
    for project_id, name in uses.order_by("table_name").values_list("project_id", "table_name").distinct():
        tables[project_id].append(name)
    return tables
