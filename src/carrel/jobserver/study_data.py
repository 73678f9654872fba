"""Whether a study's actions find their data on each backend, and when that data last changed; remembered.

A verdict depends on a commit and on a backend's catalogue alone, so each process works it out once for both.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from django.db.models import Max
from pydantic import ValidationError

from carrel.catalogue.reading import index_of
from carrel.catalogue.runnable import DataCheck, runnable, sql_file_of
from carrel.jobserver import studies
from carrel.jobserver.models import Backend, CatalogueVersion, Workspace
from carrel.jobserver.runs.states import Cell
from carrel.jobserver.studies import StudyCode, StudyFault, StudyUnavailable
from carrel.messages.catalogue import Catalogue
from carrel.project import Pipeline

CHECK_SECONDS = 1.0
"""How long one page looks into SQL; what it has no time for is not checked, and the next page goes on from there."""
MAX_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class BackendData:
    """By action of one backend: whether it finds its data, and when the tables that it reads last changed."""

    checks: Mapping[str, DataCheck] = field(default_factory=dict)
    changed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_late: bool = False
    """There was no time for all of it: asked again, there may be."""


_remembered: dict[tuple[str, str, str, str, str], BackendData] = {}
"""By repository, commit, backend, digest of its catalogue and name of the database."""


def data_of(
    workspace: Workspace, code: StudyCode, pipelines: Mapping[str, Pipeline], backends: Sequence[Backend]
) -> tuple[dict[Cell, DataCheck], dict[Cell, Mapping[str, str]]]:
    """Return the checks and the tables that changed, by backend and action; nothing of backends without catalogue.

    `pipelines`: by backend, as projected on it. One question to the database, and another where a catalogue is new.
    """
    checks: dict[Cell, DataCheck] = {}
    changed: dict[Cell, Mapping[str, str]] = {}
    ends = time.monotonic() + CHECK_SECONDS
    for slug, version in latest_versions([backend for backend in backends if backend.slug in pipelines]).items():
        key = workspace.repo_url, code.commit, slug, version.digest, workspace.database_name
        data = _remembered.get(key)
        if data is None:
            data = _look(workspace, code, pipelines[slug], slug, version, ends)
            if not data.is_late:
                while len(_remembered) >= MAX_REMEMBERED:
                    _remembered.pop(next(iter(_remembered)), None)
                _remembered[key] = data
        checks |= {(slug, action): check for action, check in data.checks.items()}
        changed |= {(slug, action): tables for action, tables in data.changed.items()}
    return checks, changed


def latest_versions(backends: Sequence[Backend]) -> dict[str, CatalogueVersion]:
    """Return by slug the latest version of each backend's catalogue, without its document."""
    slugs = {backend.pk: backend.slug for backend in backends}
    versions = CatalogueVersion.objects.filter(backend__in=slugs).order_by()
    latest = versions.values("backend").annotate(latest=Max("id")).values("latest")
    return {
        slugs[version.backend_id]: version
        for version in CatalogueVersion.objects.filter(pk__in=latest).defer("document")
    }


@lru_cache(maxsize=64)
def _catalogue(pk: int, _digest: str) -> Catalogue | None:
    """Read a version's document, which never changes; None where this Carrel cannot read it."""
    document = CatalogueVersion.objects.values_list("document", flat=True).get(pk=pk)
    try:
        return Catalogue.model_validate(document)
    except ValidationError:
        return None


def _look(
    workspace: Workspace, code: StudyCode, pipeline: Pipeline, slug: str, version: CatalogueVersion, ends: float
) -> BackendData:
    """Read the SQL of the study's database actions, and hold it against the backend's catalogue."""
    catalogue = _catalogue(version.pk, version.digest)
    paths: dict[str, str] = {}
    for name, action in pipeline.actions.items():
        with suppress(ValueError):  # it runs no SQL file that can be looked into
            if action.is_database_action:
                paths[name] = sql_file_of(action.run)
    try:
        texts = studies.texts_at(workspace, code.commit, list(dict.fromkeys(paths.values())))
    except (StudyFault, StudyUnavailable):
        texts = {}
    checks = runnable(
        pipeline,
        texts.get,
        {slug: catalogue},
        database=workspace.database_name,
        is_late=lambda: time.monotonic() > ends,
    )
    database = catalogue.database(workspace.database_name) if catalogue else None
    changed: dict[str, dict[str, str]] = {}
    if database is not None and time.monotonic() <= ends:  # what was checked has been read, and is remembered
        dates = {table.qualified_name: table.changed for table in database.tables if table.changed}
        for name, path in paths.items():
            tables = index_of(database).read(texts[path]).tables if path in texts else ()
            changed[name] = {table: dates[table] for table in tables if table in dates}
    return BackendData(
        {action: check for (action, _), check in checks.items()}, changed, is_late=time.monotonic() > ends
    )
