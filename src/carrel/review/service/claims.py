"""Claims: a checker says that they look at a request. Nobody is kept out by it."""

from django.utils import timezone

from carrel.review.audit_types import AuditType
from carrel.review.models import ReleaseRequest, RequestClaim
from carrel.review.rules import Act
from carrel.review.service.changes import acting, log
from carrel.review.viewers import Viewer


def claim(viewer: Viewer, request: ReleaseRequest) -> RequestClaim:
    """Say that this checker looks at the request; saying it twice changes nothing. Raises ActRefused."""
    with acting(Act.CLAIM, viewer, request) as contents:
        row, is_new = RequestClaim.objects.get_or_create(
            request=contents.request, checker_id=viewer.username, ended_at=None
        )
        if is_new:
            log(AuditType.REQUEST_CLAIM, viewer, contents.request)
    return row


def end_claim(viewer: Viewer, request: ReleaseRequest) -> None:
    """Say that this checker looks at the request no more. Raises ActRefused."""
    with acting(Act.CLAIM, viewer, request) as contents:
        if contents.request.claims.filter(checker_id=viewer.username, ended_at=None).update(ended_at=timezone.now()):
            log(AuditType.REQUEST_CLAIM_END, viewer, contents.request)


def end_all(request: ReleaseRequest) -> None:
    """End every claim of a locked request: its turn is over."""
    request.claims.filter(ended_at=None).update(ended_at=timezone.now())
