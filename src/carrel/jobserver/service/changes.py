"""How a row is changed: its fields set, checked, saved, and what became of which field written down."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

from carrel.jobserver.models import Backend, Project
from carrel.jobserver.models.audit import CHANGE, SECURITY
from carrel.jobserver.service.audit import Actor, record


def set_fields(row: Model, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set and save these fields of a row. Return those that changed, as they were and as they are, as JSON has them.

    Raises ValidationError, by field, where the row would be wrong; nothing is saved then.
    """
    old, new = {}, {}
    for name, value in values.items():
        before = getattr(row, name)
        if before != value:
            old[name], new[name] = as_json(before), as_json(value)
            setattr(row, name, value)
    if new:
        check(row)
        row.save(update_fields=list(new))
    return old, new


def change(
    row: Model,
    values: Mapping[str, Any],
    actor: Actor,
    action: str,
    *,
    subject: object,
    category: str = CHANGE,
    project: Project | None = None,
    backend: Backend | None = None,
) -> bool:
    """Set fields of a row and record it; tell whether anything changed. Call it in a transaction."""
    old, new = set_fields(row, values)
    if new:
        kind = str(row._meta.verbose_name)
        record(
            actor,
            action,
            subject_type=kind,
            subject=subject,
            category=category,
            project=project,
            backend=backend,
            old=old,
            new=new,
        )
    return bool(new)


def record_right(actor: Actor, action: str, subject: object, *, subject_type: str = "user", **where: Any) -> None:
    """Record that somebody's rights became others: a matter of security. `where` as `audit.record` takes it."""
    record(actor, action, category=SECURITY, subject_type=subject_type, subject=subject, **where)


def create(row: Model) -> None:
    """Check a new row and add it. Raises ValidationError, by field."""
    check(row)
    row.save()


def check(row: Model) -> None:
    """Raise ValidationError, by field, unless a row may be saved. What stands as it is by itself needs no check."""
    usual = [
        field.name
        for field in row._meta.fields
        for value in [getattr(row, field.attname)]
        if (field.null and value is None) or (field.has_default() and value == field.get_default())
    ]
    row.full_clean(exclude=usual)


def as_json(value: Any) -> Any:
    """Return what the audit log keeps of a field's value."""
    if isinstance(value, Model):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def of_fields(row: Model, names: Iterable[str]) -> dict[str, Any]:
    """Return these fields of a row as the audit log keeps them; empty ones are left out."""
    values = {name: as_json(getattr(row, name)) for name in names}
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def refuse(reason: str, field: str = "") -> ValidationError:
    """Return the error that says why something cannot be done, beside the field of a form that it is about."""
    return ValidationError({field: [reason]} if field else [reason])
