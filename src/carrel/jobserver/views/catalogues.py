"""The catalogues of the backends that somebody may know of, read once for each version."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from django.db.models import Max
from pydantic import ValidationError

from carrel.catalogue.search import DataHit, search
from carrel.jobserver.data_catalogue import TableEntry, entries_of
from carrel.jobserver.models import Backend, CatalogueVersion
from carrel.jobserver.rights.access import CarrelRequest
from carrel.jobserver.rights.visibility import visible_backends
from carrel.messages.catalogue import DEFAULT_DATABASE, Catalogue

KEPT_IN_MEMORY = 64
MAX_HITS = 2_000
"""Tables, of all backends, that a search brings: the best of them."""


@dataclass(frozen=True, slots=True)
class BackendCatalogue:
    """What a backend says of its data; `catalogue` None: nothing yet, or in a form that this version cannot read."""

    backend: Backend
    version: CatalogueVersion | None
    catalogue: Catalogue | None
    entries: tuple[TableEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class TableHit:
    """A table that a search found, as pages link to it. `backends` by name, in their order."""

    name: str
    database: str
    description: str
    url: str
    backends: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def why(self) -> str:
        """Ends a sentence: which columns have the words."""
        return f": {', '.join(self.columns[:6])}" if self.columns else ""


def catalogues_for(request: CarrelRequest) -> list[BackendCatalogue]:
    """Return the latest catalogue of each active backend that this person may know of, in the order of backends."""
    backends = list(visible_backends(request.person, request.rights).filter(is_active=True))
    versions = CatalogueVersion.objects.filter(backend__in=backends).order_by()
    latest = [row["latest"] for row in versions.values("backend").annotate(latest=Max("id"))]
    by_backend = {
        version.backend_id: version for version in CatalogueVersion.objects.filter(pk__in=latest).defer("document")
    }
    return [catalogue_of(backend, by_backend.get(backend.pk)) for backend in backends]


def catalogue_of(backend: Backend, version: CatalogueVersion | None) -> BackendCatalogue:
    """Return a version of a backend's catalogue."""
    catalogue, entries = read_version(version.pk, version.digest) if version else (None, ())
    return BackendCatalogue(backend, version, catalogue, entries)


@lru_cache(maxsize=KEPT_IN_MEMORY)
def read_version(pk: int, _digest: str) -> tuple[Catalogue | None, tuple[TableEntry, ...]]:
    """Read a version's document; versions never change, so each process reads each once."""
    document = CatalogueVersion.objects.values_list("document", flat=True).get(pk=pk)
    try:
        catalogue = Catalogue.model_validate(document)
    except ValidationError:
        return None, ()
    return catalogue, tuple(entries_of(catalogue))


def all_entries(catalogues: list[BackendCatalogue]) -> Iterator[tuple[Backend, TableEntry]]:
    """Return every table of every backend."""
    return ((row.backend, entry) for row in catalogues for entry in row.entries)


def search_catalogues(request: CarrelRequest, query: str) -> list[TableHit]:
    """Return the tables that have every word, over all backends: the best first."""
    rows = catalogues_for(request)
    names = {row.backend.slug: row.backend.name for row in rows}
    by_table: dict[tuple[str, str], list[DataHit]] = {}
    for hit in search([row.catalogue for row in rows if row.catalogue], query, MAX_HITS).hits:
        by_table.setdefault((hit.database.name, hit.table.qualified_name), []).append(hit)
    return [
        TableHit(
            name=name,
            database=database,
            description=next((hit.table.description for hit in hits if hit.table.description), ""),
            url=table_url(database, name),
            backends=tuple(names[slug] for slug in names if slug in {hit.backend for hit in hits}),
            columns=tuple(dict.fromkeys(column.name for hit in hits for column in hit.columns)),
        )
        for (database, name), hits in by_table.items()
    ]


def table_url(database: str, name: str) -> str:
    """Return the address of a table's page: names may hold any letter, so they are no part of the path."""
    query = {"name": name} if database == DEFAULT_DATABASE else {"name": name, "database": database}
    return f"/data/table/?{urlencode(query)}"
