"""What lists and forms of the staff area share: tabs, one template for simple tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.rights.permissions import Permission as P
from carrel.jobserver.views.posting import form_page
from carrel.pages.frame import PageLink
from carrel.pages.lists import active_filters, page_of

SECTIONS = (
    ("Overview", "staff", P.STAFF_AREA_ACCESS),
    ("Backends", "staff-backends", P.BACKEND_MANAGE),
    ("People", "staff-people", P.USER_MANAGE),
    ("Roles", "staff-roles", P.USER_MANAGE),
    ("Requirements", "staff-requirements", P.USER_MANAGE),
    ("Projects", "staff-projects", P.STAFF_AREA_ACCESS),
    ("Organisations", "staff-organisations", P.ORG_CREATE),
    ("Requests", "staff-requests", P.STAFF_AREA_ACCESS),
    ("Publications", "publications", P.SNAPSHOT_PUBLISH),
    ("Alerts", "staff-alerts", P.ALERT_MANAGE),
    ("Redirects", "staff-redirects", P.PROJECT_CREATE),
    ("Audit", "audit", P.AUDIT_VIEW),
    ("Usage", "usage", P.USAGE_VIEW),
)
"""Label, URL name, and the permission without which it is not shown."""


@dataclass(frozen=True, slots=True)
class StaffCell:
    """A cell of a simple table: a text, where it leads, a second line, and whether it is a number."""

    text: object
    url: str = ""
    sub: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffList:
    """A list of the staff area: its words, its columns, and how a row becomes cells."""

    title: str
    url_name: str
    noun: str
    columns: Sequence[str]
    cells: Callable[[Any], Sequence[StaffCell]]
    standing: str
    nothing: str
    new_url_name: str = ""
    new_label: str = ""


def section_tabs(request: CarrelRequest, current: str) -> list[PageLink]:
    """Return the sections of the staff area that this person may open."""
    return [
        PageLink(label, reverse(name), current=name == current)
        for label, name, permission in SECTIONS
        if request.rights.holds(permission)
    ]


def staff_crumbs(*links: PageLink) -> list[PageLink]:
    """Return the way from the staff area's first page."""
    return [PageLink("Staff", reverse("staff")), *links]


def list_page(request: CarrelRequest, rows: Any, table: StaffList) -> HttpResponse:
    """Show a simple table."""
    page = page_of(request.GET, rows)
    context = {
        "table": table,
        "page": page,
        "rows": [table.cells(row) for row in page],
        "tabs": section_tabs(request, table.url_name),
        "new_url": reverse(table.new_url_name) if table.new_url_name else "",
        "query": request.GET.get("q", ""),
        "filters": active_filters(request.GET, {"q": "Search"}),
    }
    return render(request, "jobserver/staff/list.html", context)


def staff_form(
    request: CarrelRequest,
    form: forms.BaseForm,
    submit: Callable[[dict[str, Any]], Any],
    *,
    heading: str,
    back: PageLink,
    done: str,
    go_to: Callable[[Any], str] | None = None,
    **context: Any,
) -> HttpResponse:
    """Show a form of the staff area; once it is taken say `done` and go back, or where `go_to` leads.

    `go_to` gets what `submit` returned.
    """

    def take(values: dict[str, Any]) -> str:
        row = submit(values)
        messages.success(request, done)
        return go_to(row) if go_to else back.url

    crumbs = staff_crumbs(back, PageLink(heading))
    return form_page(request, form, take, heading=heading, back_url=back.url, crumbs=crumbs, **context)


def choices_of(rows: Iterable[Any]) -> list[tuple[str, str]]:
    """Return rows with a slug and a name as choices of a form."""
    return [(row.slug, row.name) for row in rows]
