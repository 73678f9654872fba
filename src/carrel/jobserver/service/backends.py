"""Backends: made, changed, switched off; who may use them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from carrel.jobserver.models import Backend, BackendMembership, User
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.changes import change, create, of_fields, record_right, refuse
from carrel.jobserver.service.projects import person_of

RESERVED_BACKENDS = frozenset(["new", "table"])
"""Words that stand where a backend's slug does in addresses."""


@transaction.atomic
def create_backend(values: Mapping[str, Any], actor: Actor) -> Backend:
    """Add a backend; `values` by field of the model. Nobody but staff knows of it yet. Raises ValidationError."""
    backend = Backend(**values)
    if backend.slug in RESERVED_BACKENDS:
        raise refuse(f"“{backend.slug}” is the address of a page. Choose another.", "slug")
    create(backend)
    record(
        actor,
        "backend.created",
        subject_type="backend",
        subject=backend.slug,
        backend=backend,
        new=of_fields(backend, values),
    )
    return backend


@transaction.atomic
def edit_backend(backend: Backend, values: Mapping[str, Any], actor: Actor) -> bool:
    """Change a backend, or switch it off (`is_active`): it takes no requests then. Raises ValidationError."""
    row = Backend.objects.select_for_update().get(pk=backend.pk)
    return change(row, values, actor, "backend.changed", subject=row.slug, backend=row)


@transaction.atomic
def add_backend_member(backend: Backend, user: User, actor: Actor) -> None:
    """Let a person use a backend. Raises ValidationError."""
    if not user.is_active:
        raise refuse(f"The account of {user.username} is closed. Open it first.", "person")
    _, is_new = BackendMembership.objects.get_or_create(
        backend=backend, user=user, defaults={"created_by": person_of(actor)}
    )
    if is_new:
        record_right(
            actor,
            "backend.member_added",
            user.username,
            backend=backend,
        )


@transaction.atomic
def remove_backend_member(backend: Backend, user: User, actor: Actor) -> None:
    """Let a person use a backend no longer. What they ran there stays."""
    removed, _ = BackendMembership.objects.filter(backend=backend, user=user).delete()
    if removed:
        record_right(
            actor,
            "backend.member_removed",
            user.username,
            backend=backend,
        )
