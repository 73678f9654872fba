"""The per-backend lock: one writer at a time decides about the jobs of one backend."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from carrel.controller.models import Backend
from carrel.telemetry import traces


@contextmanager
def locked(backend: str) -> Iterator[None]:
    """A transaction that holds the backend's lock until it commits.

    On SQLite every transaction begins IMMEDIATE (Django's settings say so): the write lock is the backend's lock. On
    PostgreSQL it is the backend's row. Lock one backend at a time, and before any row of it.
    """
    with traces.span("TRANSACTION", "db", backend=backend), transaction.atomic():
        if connection.vendor == "postgresql":
            Backend.objects.bulk_create([Backend(slug=backend)], ignore_conflicts=True)
            Backend.objects.select_for_update().get(slug=backend)
        yield
