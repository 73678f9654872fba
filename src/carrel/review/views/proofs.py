"""The proof of a release, to take away."""

from django.http import FileResponse, Http404

from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.audit_types import AuditType
from carrel.review.models import ReleaseRequest
from carrel.review.service.audit import record
from carrel.review.service.crates import path_of


def crate(request: ReviewRequest, release_request: ReleaseRequest) -> FileResponse:
    """The Five Safes RO-Crate of a released request. It holds nothing that was not released."""
    try:
        stream = path_of(release_request).open("rb")
    except OSError:
        raise Http404("There is no proof yet: it is made within minutes of the release.") from None
    record(AuditType.REQUEST_CRATE_DOWNLOAD, actor=request.viewer.username, request=release_request)
    return FileResponse(stream, as_attachment=True, filename=f"{release_request.pk}.crate.zip")


PAGES = [ReviewPage("requests/<str:request_id>/crate.zip", crate, "request_crate", ReviewAccess.VIEWERS)]
