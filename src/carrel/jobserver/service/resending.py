"""A request that waits for its next try is sent at once."""

from django.db import transaction

from carrel.jobserver.models import JobRequest
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.changes import refuse
from carrel.jobserver.service.requests import lock_request
from carrel.jobserver.waking import wake


@transaction.atomic
def send_now(request: JobRequest, actor: Actor) -> None:
    """Let the link send a request now. Raises ValidationError for one that was sent already, or is asked for."""
    locked = lock_request(request.pk)
    if locked.sent_at is not None or locked.backend.link == locked.backend.LinkKind.POLLED:
        raise refuse("It has been sent already, or its controller asks for it by itself.")
    locked.send_after = None
    locked.save(update_fields=["send_after"])
    record(
        actor,
        "request.resent",
        subject_type="request",
        subject=locked.identifier,
        project=locked.workspace.project,
        backend=locked.backend,
    )
    transaction.on_commit(wake)
