"""That somebody took data out of the site is an event too."""

from typing import Any

from django.db import transaction

from carrel.jobserver.models.audit import ACCESS
from carrel.jobserver.service.audit import Actor, record


@transaction.atomic
def note_export(actor: Actor, action: str, filters: dict[str, Any]) -> None:
    """Record what was taken out, by the filters that were set."""
    record(actor, action, category=ACCESS, subject_type="export", new=filters or None)
