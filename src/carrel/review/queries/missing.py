"""What is missing before a request can move on, in sentences for whoever looks."""

from carrel.review.machine import FINAL, IN_AUTHORS_HANDS, ReviewStatus
from carrel.review.models import ReleaseRequest
from carrel.review.queries.contents import RequestContents, contents_of
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, refusals_of
from carrel.review.viewers import Viewer


def missing(request: ReleaseRequest, viewer: Viewer, contents: RequestContents | None = None) -> list[str]:
    """Return what must happen before the next move, in whole sentences; empty when this viewer can make it now, or when
    the request is over. `contents`: where the caller has read it.
    """
    contents = contents or contents_of(request)
    request, status = contents.request, contents.status
    is_author = viewer.username == request.author_id
    if status in FINAL:
        return []
    if status is ReviewStatus.APPROVED:
        number = sum(file.uploaded_at is None for file in contents.outputs)
        return [f"{number} of {len(contents.outputs)} files are still to be uploaded."]
    if status in IN_AUTHORS_HANDS:
        author = f"It is in the hands of its author, {request.author_id}."
        return refusals_of(Act.SUBMIT, situation_of(Act.SUBMIT, viewer, contents)) if is_author else [author]
    number = max(0, request.checkers - len(contents.submitted))
    reviews = [f"{number} more review{'s are' if number > 1 else ' is'} needed."] if number else []
    if is_author or not viewer.is_checker:
        return reviews or ["The checkers are deciding together."]
    if status is not ReviewStatus.REVIEWED:
        if viewer.username in contents.submitted:
            return reviews
        return refusals_of(Act.SUBMIT_REVIEW, situation_of(Act.SUBMIT_REVIEW, viewer, contents))
    return [
        *refusals_of(Act.APPROVE, situation_of(Act.APPROVE, viewer, contents)),
        *refusals_of(Act.RETURN, situation_of(Act.RETURN, viewer, contents)),
    ]
