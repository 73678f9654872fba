"""A file against other versions of it: its original, earlier turns, the last release, earlier requests.

Tables are compared cell by cell, texts by lines and words, pictures by eye.
"""

import base64
from pathlib import PurePosixPath
from typing import Any

from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from carrel.disclosure.differences import paired
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.outputs import tables_of
from carrel.disclosure.texts import Unreadable
from carrel.review import copies, policy
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.audit_types import AuditType
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.pdfs import text_of_pdf
from carrel.review.queries.contents import contents_of
from carrel.review.queries.versions import EarlierVersion, versions_of
from carrel.review.service.audit import record
from carrel.review.shown.comparisons import compared_tables, compared_texts
from carrel.review.shown.pictures import picture_fault
from carrel.review.shown.presenters import PRESENTERS, RASTERS, number_of, unshown
from carrel.review.shown.tables import ROWS_A_PAGE
from carrel.review.views.file_bytes import shown_bytes
from carrel.review.views.file_frame import file_page
from carrel.units.limits import MAX_DIFF_BYTES, MAX_SHOWN_DRAWING_BYTES

TABLE_TYPES = (".csv", ".tsv")
PICTURES = {"": "Side by side", "swipe": "Swipe", "difference": "Difference"}
"""How two pictures are shown, by `?pictures=`."""


def file_compare(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """What differs between a file and another version of it; `?with=` chooses which. Looking is noted in the log."""
    contents = contents_of(release_request)
    versions = versions_of(contents, file)
    chosen = next(
        (version for version in versions if version.key == request.GET.get("with")), versions[0] if versions else None
    )
    comparison: dict[str, Any] = {}
    if chosen and chosen.sha256 != file.sha256:
        noted = {"compared_with": chosen.key, "sha256": chosen.sha256}
        record(
            AuditType.REQUEST_FILE_VIEW,
            actor=request.viewer.username,
            request=release_request,
            path=file.path,
            extra=noted,
        )
        try:
            comparison = _comparison(request, chosen, file)
        except copies.CopyRefused as error:
            comparison = {"problem": str(error)}
        except (Unreadable, NotChecked) as error:
            comparison = {"problem": f"Not compared: {error}."}
    return file_page(
        request, contents, file, "file_compare", "review/files/compare.html",
        versions=versions, chosen=chosen, is_same=bool(chosen and chosen.sha256 == file.sha256), **comparison,
    )  # fmt: skip


def _comparison(request: ReviewRequest, chosen: EarlierVersion, file: RequestFile) -> dict[str, Any]:
    """Return what a page shows of two versions. Raises CopyRefused, Unreadable, NotChecked."""
    suffix, asked = PurePosixPath(file.path).suffix.lower(), request.GET
    if suffix in RASTERS or suffix == ".svg":
        view = asked.get("pictures", "")
        return {"pictures": _pictures(chosen, file, suffix), "ways": PICTURES, "way": view if view in PICTURES else ""}
    if PRESENTERS.get(suffix, unshown) is unshown:
        return {"problem": f"Files of the type {suffix or '(none)'} are not compared here."}
    kept = urlencode({name: asked[name] for name in ("with", "as", "rows", "table") if name in asked})
    with (
        copies.opened(chosen.request.workspace, chosen.request.pk, chosen.sha256) as earlier,
        copies.opened(file.request.workspace, file.request_id, file.sha256) as current,
    ):
        if suffix in TABLE_TYPES and asked.get("as") != "text":
            old, new = tables_of(earlier, suffix), tables_of(current, suffix)
            pairs = list(paired(old, new))
            if pairs:
                number = min(max(number_of(asked, "table"), 1), len(pairs))
                before, after = pairs[number - 1]
                only_changed = asked.get("rows", "all" if len(after.rows) <= ROWS_A_PAGE else "changed") == "changed"
                return {
                    "table": compared_tables(
                        before,
                        after,
                        policy.get().rules,
                        page=number_of(asked, "page"),
                        only_changed=only_changed,
                        query=kept,
                    ),
                    "only_changed": only_changed,
                    "number": number,
                    "tables": range(1, len(pairs) + 1),
                    "tables_alone": abs(len(old) - len(new)),
                    "columns": after.header.cells,
                }
            earlier.seek(0)
            current.seek(0)
        texts = [
            text_of_pdf(stream).encode() if suffix == policy.PDF else stream.read(MAX_DIFF_BYTES + 1)
            for stream in (earlier, current)
        ]
    if max(map(len, texts)) > MAX_DIFF_BYTES:
        return {"problem": f"Not compared: files of more than {MAX_DIFF_BYTES:,} bytes are not compared by lines."}
    before_text, after_text = (text.decode("utf-8-sig", errors="replace") for text in texts)
    return {"text": compared_texts(before_text, after_text, page=number_of(asked, "page"), query=kept)}


def _pictures(chosen: EarlierVersion, file: RequestFile, suffix: str) -> list[tuple[str, str]]:
    """Return the label and the source of both pictures; drawings stand in the page itself, and have no address.

    Raises NotChecked for what is no picture, or too large, and CopyRefused.
    """
    if suffix in RASTERS:
        for row, sha256 in ((chosen.request, chosen.sha256), (file.request, file.sha256)):
            with copies.opened(row.workspace, row.pk, sha256) as stream:
                if fault := picture_fault(stream, suffix):
                    raise NotChecked(f"a version is not shown: {fault}")
        before = reverse("file_earlier_content", args=[file.request_id, file.path])
        after = reverse("file_content", args=[file.request_id, file.path])
        return [(chosen.label, f"{before}?{urlencode({'with': chosen.key})}"), ("this version", after)]
    sources = []
    for label, row, sha256 in (
        (chosen.label, chosen.request, chosen.sha256),
        ("this version", file.request, file.sha256),
    ):
        with copies.opened(row.workspace, row.pk, sha256) as stream:
            data = stream.read(MAX_SHOWN_DRAWING_BYTES + 1)
        if len(data) > MAX_SHOWN_DRAWING_BYTES:
            raise NotChecked(f"drawings of more than {MAX_SHOWN_DRAWING_BYTES:,} bytes are not shown")
        sources.append((label, f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"))
    return sources


def earlier_content(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """The bytes of the version that `?with=` names, for the page that compares it."""
    versions = versions_of(contents_of(release_request), file)
    chosen = next((version for version in versions if version.key == request.GET.get("with")), None)
    if chosen is None:
        raise Http404("There is no such version, or you may not see it.")
    return shown_bytes(
        request, file.path, chosen.sha256, copies.opened(chosen.request.workspace, chosen.request.pk, chosen.sha256)
    )


def file_backends(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """The same file on other backends, as far as this one has been told of it."""
    return file_page(request, contents_of(release_request), file, "file_backends", "review/files/backends.html")


PAGES = [
    ReviewPage("requests/<str:request_id>/compare/<path:file>", file_compare, "file_compare", ReviewAccess.VIEWERS),
    ReviewPage(
        "requests/<str:request_id>/earlier-content/<path:file>",
        earlier_content,
        "file_earlier_content",
        ReviewAccess.VIEWERS,
    ),
    ReviewPage("requests/<str:request_id>/backends/<path:file>", file_backends, "file_backends", ReviewAccess.VIEWERS),
]
