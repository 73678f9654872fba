"""The data catalogue: what studies may query, on which backend, since when, and how to be given access. No values."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.data_catalogue import changes_between, columns_of
from carrel.jobserver.data_report import by_table, uses_for
from carrel.jobserver.models import Backend, CatalogueVersion, Project
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.views.catalogues import (
    BackendCatalogue,
    all_entries,
    catalogue_of,
    catalogues_for,
    read_version,
    search_catalogues,
    table_url,
)
from carrel.messages.catalogue import DEFAULT_DATABASE
from carrel.pages.frame import PageLink
from carrel.pages.lists import active_filters, page_of

TABLES_PER_PAGE = 100
VERSIONS_PER_PAGE = 20
MAX_QUERY = 200
LATEST_USES = 20


def data_page(request: CarrelRequest) -> HttpResponse:
    """Each backend with its data sets; or, where something is looked for, the tables that have it."""
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    context = {
        "query": query,
        "filters": active_filters(request.GET, {"q": "Search"}),
        "page": page_of(request.GET, search_catalogues(request, query)) if query else None,
        "catalogues": [] if query else catalogues_for(request),
    }
    return render(request, "jobserver/data/page.html", context)


def backend_data(request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """All tables of one backend, by data set."""
    latest = CatalogueVersion.objects.filter(backend=backend).defer("document").first()
    row = catalogue_of(backend, latest)
    chosen = request.GET.get("set", "")
    entries = [entry for entry in row.entries if not chosen or entry.data_set.name == chosen]
    context = {
        "row": row,
        "page": page_of(request.GET, [(entry, table_url(*entry.key)) for entry in entries], TABLES_PER_PAGE),
        "filters": active_filters(request.GET, {"set": "Data set"}),
        "sets": sorted({entry.data_set.name for entry in row.entries}),
        "crumbs": [PageLink("Data", reverse("data")), PageLink(backend.name)],
    }
    return render(request, "jobserver/data/backend.html", context)


def backend_history(request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """What became of a backend's tables and columns, version by version."""
    versions = CatalogueVersion.objects.filter(backend=backend).defer("document").order_by("-received_at", "-id")
    page = page_of(request.GET, versions, VERSIONS_PER_PAGE)
    shown = list(page)
    earlier = list(versions[page.end_index() : page.end_index() + 1]) if shown else []
    catalogues = [read_version(version.pk, version.digest)[0] for version in [*shown, *earlier]]
    rows = [
        (version, catalogue, changes_between(before, catalogue) if catalogue else None, before is None)
        for version, catalogue, before in zip(shown, catalogues, [*catalogues[1:], None], strict=False)
    ]
    context = {
        "backend": backend,
        "page": page,
        "rows": rows,
        "crumbs": [
            PageLink("Data", reverse("data")),
            PageLink(backend.name, reverse("backend-data", args=[backend.slug])),
            PageLink("History"),
        ],
    }
    return render(request, "jobserver/data/history.html", context)


def table_page(request: CarrelRequest) -> HttpResponse:
    """One table on all backends that have it: columns side by side, what is missing where."""
    name, database = request.GET.get("name", ""), request.GET.get("database", DEFAULT_DATABASE)
    catalogues = catalogues_for(request)
    entries = [(backend, entry) for backend, entry in all_entries(catalogues) if entry.key == (database, name)]
    if not entries:
        raise Http404("No backend that you may know of has this table.")
    with_table = {backend.pk for backend, _ in entries}
    described = [row for row in catalogues if row.catalogue is not None]
    context = {
        "name": name,
        "database": database if database != DEFAULT_DATABASE else "",
        "description": next((entry.table.description for _, entry in entries if entry.table.description), ""),
        "entries": entries,
        "columns": columns_of([entry.table for _, entry in entries]),
        "without": [row.backend.name for row in described if row.backend.pk not in with_table],
        "uses": uses_for(request).filter(
            table_name=name, database=database, backend__in=[backend for backend, _ in entries]
        )[:LATEST_USES],
        "access": access_words(described, with_table),
        "now": timezone.now(),
        "crumbs": [PageLink("Data", reverse("data")), PageLink(name)],
    }
    return render(request, "jobserver/data/table.html", context)


def access_words(rows: list[BackendCatalogue], backends: set[int]) -> list[tuple[str, str]]:
    """Return for each of these backends how to be given access, in its own words."""
    return [
        (row.backend.name, row.catalogue.access)
        for row in rows
        if row.backend.pk in backends and row.catalogue and row.catalogue.access
    ]


def project_data(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """Which tables the project's jobs read, on which backend; and the latest jobs that did."""
    uses = uses_for(request).filter(project=project)
    context = {
        "project": project,
        "tables": [
            (row, table_url(row["database"], row["table_name"])) for row in by_table(uses.exclude(table_name=""))
        ],
        "page": page_of(request.GET, uses),
        "crumbs": [
            PageLink("Projects", reverse("projects")),
            PageLink(project.name, project.get_absolute_url()),
            PageLink("Data"),
        ],
    }
    return render(request, "jobserver/data/project.html", context)


PROJECT_PAGES = [Page("<slug:project>/data/", project_data, "project-data", EVERYBODY)]
PAGES = [
    Page("data/", data_page, "data", EVERYBODY),
    Page("data/table/", table_page, "data-table", EVERYBODY),
    Page("data/<slug:backend>/", backend_data, "backend-data", EVERYBODY),
    Page("data/<slug:backend>/history/", backend_history, "backend-data-history", EVERYBODY),
]
