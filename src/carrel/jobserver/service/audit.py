"""The audit log's one door: who did what, when, to what."""

from typing import Any, TypeAlias

from django.http import HttpRequest
from django.utils import timezone

from carrel.jobserver.models import AuditEvent, Backend, Project, User
from carrel.jobserver.models.audit import CHANGE

COMMAND_LINE = "command line"

Actor: TypeAlias = HttpRequest | User | Backend | str
"""Whoever acts: a request (its person and network address), an account, a backend, or words for a program."""


def record(
    actor: Actor,
    action: str,
    *,
    category: str = CHANGE,
    subject_type: str = "",
    subject: object = "",
    project: Project | None = None,
    backend: Backend | None = None,
    old: Any = None,
    new: Any = None,
) -> AuditEvent:
    """Add one line. Call it inside the transaction of the change that it tells, so that both stand or neither does.

    `category`: CHANGE, ACCESS or SECURITY of `models.audit`. `old` and `new`: what JSON can hold, never a secret.
    """
    name, address, reference = _who(actor)
    return AuditEvent.objects.create(
        at=timezone.now(),
        category=category,
        action=action,
        actor=name[:200],
        subject_type=subject_type,
        subject=str(subject)[:300],
        project=project.slug if project else "",
        backend=backend.slug if backend else "",
        old=old,
        new=new,
        address=address[:64],
        reference=reference[:40],
    )


def _who(actor: Actor) -> tuple[str, str, str]:
    if isinstance(actor, str):
        return actor, "", ""
    if isinstance(actor, User):
        return actor.username, "", ""
    if isinstance(actor, Backend):
        return f"backend:{actor.slug}", "", ""
    user = getattr(actor, "user", None)
    name = user.username if isinstance(user, User) else ""
    if not name and isinstance(backend := getattr(actor, "backend", None), Backend):
        name = f"backend:{backend.slug}"
    return name, actor.META.get("REMOTE_ADDR", ""), getattr(actor, "reference", "")
