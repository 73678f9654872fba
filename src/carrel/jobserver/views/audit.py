"""The audit log: filtered, exported, printed."""

from collections.abc import Callable

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.audit_log import (
    FILTERS,
    NEWEST_SEARCHED,
    csv_lines,
    day_of,
    events_of,
    json_lines,
    rows_of,
    searched_after,
)
from carrel.jobserver.models.audit import ACCESS, CHANGE, SECURITY
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service.exports import note_export
from carrel.pages.frame import PageLink
from carrel.pages.lists import ActiveFilter, active_filters, page_of, refuse_what_is_not_understood

KINDS = {CHANGE: "changes", ACCESS: "what was seen", SECURITY: "security"}


def audit(request: CarrelRequest) -> HttpResponse:
    """Who did what, when: newest first."""
    after = searched_after(request.GET)
    context = {
        "page": page_of(request.GET, events_of(request.GET, after=after)),
        "searched": NEWEST_SEARCHED if after else 0,
        "filters": filters_of(request),
        "values": {name: request.GET.get(name, "") for name in FILTERS},
        "kinds": KINDS,
        "query": request.GET.urlencode(),
        "now": timezone.now(),
        "crumbs": [PageLink("Staff", reverse("staff")), PageLink("Audit")],
    }
    return render(request, "jobserver/audit/page.html", context)


def filters_of(request: CarrelRequest) -> list[ActiveFilter]:
    readers: dict[str, Callable[[str], object]] = {"since": day_of, "until": day_of, "category": KINDS.get}
    return active_filters(request.GET, FILTERS, {"category": KINDS}, readers=readers, others=())


def export(request: CarrelRequest, *, kind: str) -> HttpResponseBase:
    """The events of the same filters, oldest first, as JSON lines or CSV; that somebody took them out is one too."""
    refuse_what_is_not_understood(filters_of(request))
    lines, content_type = (csv_lines, "text/csv") if kind == "csv" else (json_lines, "application/x-ndjson")
    note_export(request, "audit.exported", {name: request.GET[name] for name in FILTERS if request.GET.get(name)})
    response = StreamingHttpResponse(
        lines(rows_of(events_of(request.GET))), content_type=f"{content_type}; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y-%m-%d}.{kind}"'
    return response


def export_csv(request: CarrelRequest) -> HttpResponseBase:
    return export(request, kind="csv")


def export_json_lines(request: CarrelRequest) -> HttpResponseBase:
    return export(request, kind="jsonl")


MAY = permitted(Permission.AUDIT_VIEW)
PAGES = [
    Page("staff/audit/", audit, "audit", MAY),
    Page("staff/audit/export.csv", export_csv, "audit-csv", MAY),
    Page("staff/audit/export.jsonl", export_json_lines, "audit-json-lines", MAY),
]
