"""Which tables database jobs read: from their SQL, at the commit that ran, held against the backend's catalogue then.

Done after the fact, some jobs at a time, by the link; a repository that is away is asked again later.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from pydantic import ValidationError

from carrel.catalogue.reading import columns_read
from carrel.catalogue.runnable import sql_file_of
from carrel.jobserver.models import CatalogueVersion, DataUse, Job
from carrel.jobserver.studies import StudyFault, StudyUnavailable, texts_at
from carrel.messages.catalogue import Catalogue, CatalogueDatabase, CatalogueTable
from carrel.project.commands import RunCommand

JOBS_AT_ONCE = 50
LOOK_BACK = timedelta(days=30)
"""Jobs that ended longer ago are not looked into any more."""
MAX_REASON = 300


class NotTold(Exception):
    """Which tables a job read cannot be told; says why."""


def read_some(now: datetime) -> int:
    """Look into the latest database jobs that nobody looked into; return how many are told of now."""
    ended = Job.objects.filter(completed_at__gte=now - LOOK_BACK, completed_at__lte=now, requires_db=True)
    pending = ended.exclude(started_at=None).filter(data_uses=None)
    jobs = pending.select_related("request__run", "request__created_by", "workspace__project", "backend")
    return sum(note_use(job) for job in jobs.order_by("-completed_at")[:JOBS_AT_ONCE])


def note_use(job: Job) -> bool:
    """Note which tables a job read, or why that cannot be told; False where its repository cannot be asked now."""
    try:
        tables, reason = tables_of(job), ""
    except NotTold as error:
        tables, reason = (), str(error)
    except StudyUnavailable:
        return False
    rows = [(table.qualified_name, version_by(table, job.started_at)) for table in tables] or [("", "")]
    if not tables and not reason:
        reason = "its SQL names no table of the catalogue"
    with transaction.atomic():
        for name, version in rows:
            DataUse.objects.get_or_create(
                job=job,
                table_name=name,
                defaults={
                    "project": job.workspace.project,
                    "backend": job.backend,
                    "user": job.request.created_by,
                    "database": job.request.run.database_name,
                    "version": version,
                    "reason": reason[:MAX_REASON],
                    "at": job.started_at,
                },
            )
    return True


def tables_of(job: Job) -> Sequence[CatalogueTable]:
    """Return the tables that a job's SQL reads. Raises NotTold, StudyUnavailable."""
    database = database_of(job)
    try:
        path = sql_file_of(RunCommand.parse(job.run_command))
        text = texts_at(job.workspace, job.request.run.commit, [path]).get(path)
    except (ValueError, StudyFault) as error:
        raise NotTold(str(error)) from error
    if text is None:
        raise NotTold(f"{path} is not in the study at this commit")
    names = set(columns_read(text, database.dialect, database).tables)
    return [table for table in database.tables if {table.name, table.qualified_name} & names]


def database_of(job: Job) -> CatalogueDatabase:
    """Return the database as the backend's catalogue had it when the job began, or first after. Raises NotTold."""
    versions = CatalogueVersion.objects.filter(backend=job.backend)
    earlier = versions.filter(received_at__lte=job.started_at).order_by("-received_at", "-id").first()
    version = earlier or versions.order_by("received_at", "id").first()
    if version is None:
        raise NotTold(f"{job.backend.name} has no catalogue yet")
    try:
        database = Catalogue.model_validate(version.document).database(job.request.run.database_name)
    except ValidationError as error:
        raise NotTold(f"the catalogue of {job.backend.name} cannot be read") from error
    if database is None:
        raise NotTold(f"the catalogue of {job.backend.name} has no database {job.request.run.database_name}")
    return database


def version_by(table: CatalogueTable, at: datetime | None) -> str:
    """Return the latest version of a table's data that is not newer than this; versions stand newest first."""
    day = f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
    return next((version.version for version in table.versions if version.date <= day), "")
