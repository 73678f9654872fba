"""A file against other versions of it: the turn before, earlier requests, other backends.

What stands here compares lines. The rooms that compare cell by cell, side by side and over backends take its place.
"""

import difflib
from dataclasses import dataclass

from django.http import HttpResponse

from carrel.review import copies
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.queries.contents import contents_of
from carrel.review.queries.submissions import earlier_submission
from carrel.review.service.findings import earlier_files
from carrel.review.shown.presenters import RASTERS
from carrel.review.views.file_frame import file_page
from carrel.units.limits import MAX_DIFF_BYTES

MOST_VERSIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierVersion:
    """Bytes that a file had elsewhere or before: what they are called, and whose copy holds them."""

    key: str
    label: str
    request: ReleaseRequest
    sha256: str


def file_compare(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """The lines that differ between a file and an earlier version of it; `?with=` chooses which."""
    contents = contents_of(release_request)
    before = (earlier_submission(contents) or {}).get(file.path, "")
    versions = [
        EarlierVersion(
            key=row.request_id,
            label=f"request of {row.request.created_at:%-d %b %Y}",
            request=row.request,
            sha256=row.sha256,
        )
        for row in earlier_files(release_request, file.path)[:MOST_VERSIONS]
    ]
    if before:
        versions.insert(0, EarlierVersion(key="turn", label="the turn before", request=release_request, sha256=before))
    chosen = next(
        (version for version in versions if version.key == request.GET.get("with")), versions[0] if versions else None
    )
    difference, problem = "", ""
    if chosen and chosen.sha256 != file.sha256:
        try:
            difference, problem = _difference(chosen, file)
        except copies.CopyRefused as error:
            problem = str(error)
    return file_page(
        request, contents, file, "file_compare", "review/files/compare.html",
        versions=versions, chosen=chosen, difference=difference, problem=problem,
    )  # fmt: skip


def _difference(earlier: EarlierVersion, file: RequestFile) -> tuple[str, str]:
    """Return the lines that differ as `diff -u` writes them, or why they are not compared."""
    if any(file.path.lower().endswith(suffix) for suffix in RASTERS):
        return "", "Pictures are not compared line by line."
    texts = []
    for row, sha256 in ((earlier.request, earlier.sha256), (file.request, file.sha256)):
        with copies.opened(row.workspace, row.pk, sha256) as stream:
            data = stream.read(MAX_DIFF_BYTES + 1)
        if len(data) > MAX_DIFF_BYTES:
            return "", f"Files of more than {MAX_DIFF_BYTES:,} bytes are not compared here."
        texts.append(data.decode("utf-8-sig", errors="replace").splitlines())
    old, new = texts
    return "\n".join(difflib.unified_diff(old, new, f"a/{file.path}", f"b/{file.path}", lineterm="")), ""


def file_backends(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """The same file on other backends, as far as this one has been told of it."""
    return file_page(request, contents_of(release_request), file, "file_backends", "review/files/backends.html")


PAGES = [
    ReviewPage("requests/<str:request_id>/compare/<path:file>", file_compare, "file_compare", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/backends/<path:file>", file_backends, "file_backends", ReviewAccess.VIEWERS),
]
