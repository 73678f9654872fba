"""What projects and people used, by month: tables and CSV."""

from typing import Any

from django.db.models import Max, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver.models import Project, UsageMonth
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.service.exports import note_export
from carrel.jobserver.usage_report import GROUPS, SUMS, csv_rows, grouped, month_of, narrowed
from carrel.pages.frame import PageLink
from carrel.pages.lists import ActiveFilter, active_filters, page_of, refuse_what_is_not_understood, url_with

FILTERS = {"project": "Project", "person": "Person", "backend": "Backend", "since": "From", "until": "To"}


def usage(request: CarrelRequest) -> HttpResponse:
    """Usage of all projects."""
    return usage_page(request, rows_for(request), None)


def project_usage(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """Usage of one project."""
    return usage_page(request, rows_for(request).filter(project=project), project)


def filters_of(request: CarrelRequest) -> list[ActiveFilter]:
    """Return the filters of the address; months such as `2026-11`."""
    return active_filters(request.GET, FILTERS, readers={"since": month_of, "until": month_of}, others=("by",))


def rows_for(request: CarrelRequest) -> QuerySet[UsageMonth]:
    """Return the rows of what this person may know of."""
    return UsageMonth.objects.filter(
        backend__in=visible_backends(request.person, request.rights),
        project__in=visible_projects(request.person, request.rights),
    )


def usage_page(request: CarrelRequest, rows: QuerySet[UsageMonth], project: Project | None) -> HttpResponse:
    """Sums by project, person, backend or month."""
    groups = {name: words for name, words in GROUPS.items() if project is None or name != "project"}
    group = request.GET.get("by", "")
    if group not in groups:
        group = next(iter(groups))
    chosen = narrowed(rows, request.GET)
    crumbs = [PageLink("Staff", reverse("staff")), PageLink("Usage")]
    if project:
        crumbs = [PageLink("Projects", reverse("projects")), PageLink(project.name, project.get_absolute_url())]
        crumbs.append(PageLink("Usage"))
    context: dict[str, Any] = {
        "project": project,
        "page": page_of(request.GET, grouped(chosen, group)),
        "total": chosen.aggregate(**SUMS),
        "label": GROUPS[group][0],
        "group": group,
        "tabs": [
            PageLink(f"By {words[0].lower()}", url_with(request.GET, by=name), current=name == group)
            for name, words in groups.items()
        ],
        "filters": filters_of(request),
        "computed_at": rows.aggregate(at=Max("computed_at"))["at"],
        "values": {name: request.GET.get(name, "") for name in FILTERS},
        "query": request.GET.urlencode(),
        "csv_url": reverse("project-usage-csv", args=[project.slug]) if project else reverse("usage-csv"),
        "crumbs": crumbs,
    }
    return render(request, "jobserver/usage.html", context)


def usage_csv(request: CarrelRequest) -> HttpResponseBase:
    return export(request, rows_for(request), "usage")


def project_usage_csv(request: CarrelRequest, *, project: Project) -> HttpResponseBase:
    return export(request, rows_for(request).filter(project=project), f"usage-{project.slug}")


def export(request: CarrelRequest, rows: QuerySet[UsageMonth], name: str) -> HttpResponseBase:
    """All rows of the filters, by month, project, person and backend."""
    refuse_what_is_not_understood(filters_of(request))
    note_export(request, "usage.exported", {key: request.GET[key] for key in FILTERS if request.GET.get(key)})
    response = StreamingHttpResponse(csv_rows(narrowed(rows, request.GET)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


MAY = permitted(Permission.USAGE_VIEW)
PAGES = [Page("usage/", usage, "usage", MAY), Page("usage/usage.csv", usage_csv, "usage-csv", MAY)]
PROJECT_PAGES = [
    Page("<slug:project>/usage/", project_usage, "project-usage", MAY),
    Page("<slug:project>/usage/usage.csv", project_usage_csv, "project-usage-csv", MAY),
]
