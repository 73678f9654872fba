"""What each URL of the review site needs, as data, and the guard that stands before every view.

Every room of `views` lists its pages as `ReviewPage` values; `urls.py` puts them together. Parts of a path that are
named `request_id`, `workspace`, `group` or `file` reach the view as what they name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from carrel.pages.errors import bad_request, error_page
from carrel.review.accounts import viewer_of
from carrel.review.audit_types import AuditType
from carrel.review.models import ReleaseRequest
from carrel.review.permissions import Data, refusal_to_open
from carrel.review.rules import Act, refusal_of
from carrel.review.service.audit import record
from carrel.review.viewers import Viewer

View = Callable[..., HttpResponse]


class ReviewAccess(StrEnum):
    """Who may open a page."""

    EVERYBODY = "everybody"
    SIGNED_IN = "signed in, with level 4"
    VIEWERS = "who may view the workspace (R1)"
    CHECKERS = "output checkers"


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """One URL: its path as Django writes it, the view, the name to link to it by, and who may open it."""

    path: str
    view: View
    name: str
    access: ReviewAccess

    def url_pattern(self) -> URLPattern:
        return path(self.path, guarded(self), name=self.name)


class ReviewRequest(HttpRequest):
    """A request as views get it: with who looks. On pages for EVERYBODY, `viewer` may be None."""

    viewer: Viewer


def guarded(page: ReviewPage) -> View:
    """Return the page's view behind its guard."""

    @wraps(page.view)
    def view(request: HttpRequest, **parts: Any) -> HttpResponse:
        texts = [*parts.values(), *(text for name, values in request.GET.lists() for text in (name, *values))]
        if any("\0" in str(text) for text in texts):  # PostgreSQL has no NUL in any text
            return bad_request(request)
        known = cast(ReviewRequest, request)
        viewer = viewer_of(request)
        known.viewer = cast(Viewer, viewer)
        if page.access is ReviewAccess.EVERYBODY:
            return page.view(known, **parts)
        if viewer is None:
            return redirect(f"{reverse('sign_in')}?{urlencode({'next': request.get_full_path()})}")
        if refusal := _refusal(page.access, viewer, parts):
            return forbidden(known, refusal)
        return page.view(known, **_rows(parts))

    return view


def forbidden(request: ReviewRequest, why: str) -> HttpResponse:
    """403: says what is missing; written to the audit log."""
    viewer = getattr(request, "viewer", None)
    record(AuditType.ACCESS_REFUSED, actor=viewer.username if viewer else "", path=request.path[:1000])
    return error_page(request, 403, "You may not do this", why, "Ask those who run this backend for it.")


def _refusal(access: ReviewAccess, viewer: Viewer, parts: dict[str, Any]) -> str:
    if refusal := refusal_to_open(viewer.levels, Data.MODERATELY_SENSITIVE):
        return refusal
    if access is ReviewAccess.CHECKERS and not viewer.is_checker:
        return "This page is for output checkers."
    workspace = parts.get("workspace")
    if "request_id" in parts:
        workspace = ReleaseRequest.objects.filter(pk=parts["request_id"]).values_list("workspace", flat=True).first()
    # What is not there and what may not be seen are answered alike.
    return (
        ""
        if workspace is None and "request_id" not in parts
        else refusal_of(Act.VIEW, viewer.situation(workspace or ""))
    )


def _rows(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the rows that the parts of a path name, each within the one before it. Raises Http404."""
    rows = dict(parts)
    if "request_id" in parts:
        request = _only(ReleaseRequest.objects.select_related("author"), pk=rows.pop("request_id"))
        rows["release_request"] = request
        if "group" in parts:
            rows["group"] = _only(request.groups.all(), name=parts["group"])
        if "file" in parts:
            rows["file"] = _only(request.files.select_related("group", "request"), path=parts["file"])
    return rows


def _only(rows: Any, **by: Any) -> Any:
    row = rows.filter(**by).first()
    if row is None:
        raise Http404("There is no such thing, or you may not see it.")
    return row
