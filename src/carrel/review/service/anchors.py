"""The daily anchor: the audit chain's head, in a file outside the database (`carrel.review.anchors`)."""

import os

from django.utils import timezone

from carrel.review import settings
from carrel.review.anchors import line_of
from carrel.review.models import AuditAnchor, AuditEvent
from carrel.units.files import fsync
from carrel.units.locks import locked

ANCHOR_MODE = 0o640
APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
"""A file to which the system lets nobody do more than append (`chattr +a`) can be opened so, and only so."""


def write_when_due() -> AuditAnchor | None:
    """Write the anchor of today where none has been written; return it. See `write`."""
    return None if AuditAnchor.objects.filter(day=timezone.now().date()).exists() else write()


def write() -> AuditAnchor | None:
    """Add the chain's head as it is now to the file, for certain, and note it; None where there is no event yet.

    The line comes before the row: a kill between them leaves a line more, which fits the chain too. Raises OSError
    where the file cannot be written.
    """
    last = AuditEvent.objects.order_by("-number").values("number", "hash").first()
    if last is None:
        return None
    now = timezone.now()
    path = settings.get().anchors
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        locked(path.with_name(f".{path.name}.lock")),
        os.fdopen(os.open(path, APPENDING, ANCHOR_MODE), "ab+") as stream,
    ):
        # After a power cut the last line may be half of one; the next one still begins at a line's beginning.
        is_torn = stream.seek(0, os.SEEK_END) > 0 and os.pread(stream.fileno(), 1, stream.tell() - 1) != b"\n"
        stream.write(b"\n" * is_torn + line_of(day=now.date(), written_at=now, **last))
        stream.flush()
        fsync(path)
    fsync(path.parent)
    anchor, _ = AuditAnchor.objects.update_or_create(day=now.date(), defaults={**last, "written_at": now})
    return anchor
