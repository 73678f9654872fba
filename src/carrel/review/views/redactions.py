"""An editable copy of a file for its author: cells or lines are redacted, columns rounded, and kept beside it."""

import codecs
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from carrel.disclosure.editing import CannotEdit
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.suppression import NOT_COVERED
from carrel.disclosure.tables import Table
from carrel.disclosure.texts import Unreadable, blocks_of, decoded
from carrel.review import copies, policy
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents, contents_of
from carrel.review.queries.situations import refusal
from carrel.review.rules import Act
from carrel.review.service import files
from carrel.review.shown.comparisons import compared_tables, compared_texts
from carrel.review.shown.presenters import number_of
from carrel.review.shown.redaction import (
    LINE_TYPES,
    Ticked,
    editable_lines,
    editable_rows,
    editable_tables,
    further_redaction,
    places_in,
    redacted_text,
    with_small_counts,
    written_places,
)
from carrel.review.views.doing import done
from carrel.review.views.file_frame import file_page

TEMPLATE = "review/files/redact.html"


def file_redact(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """Tick, look at what comes of it, say why, and keep it beside the original. Works without JavaScript."""
    contents = contents_of(release_request)
    if reason := refusal(Act.REDACT_FILE, request.viewer, contents, file=file):
        messages.error(request, reason)
        return redirect("file", release_request.pk, file.path)
    if PurePosixPath(file.path).suffix.lower() not in LINE_TYPES:
        problem = "Files of this type cannot be redacted here. Mend the program that makes it; take its new version."
        return file_page(request, contents, file, "file_redact", TEMPLATE, problem=problem)
    try:
        with copies.opened(release_request.workspace, release_request.pk, file.sha256) as stream:
            is_marked = stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
            stream.seek(0)
            text = "".join(decoded(blocks_of(stream)))
        tables = editable_tables(text, file.path)
    except (copies.CopyRefused, Unreadable) as error:
        return file_page(
            request, contents, file, "file_redact", TEMPLATE, problem=f"It cannot be redacted here: {error}."
        )
    entered = request.POST
    is_stale = request.method == "POST" and entered.get("sha256") != file.sha256
    ticked = Ticked() if is_stale else ticked_in(entered)
    if entered.get("do") == "small":
        ticked = with_small_counts(ticked, tables, policy.get().rules)
    context: dict[str, Any] = {"is_stale": is_stale}
    if entered and not is_stale and "go" not in entered:
        try:
            edited = redacted_text(text, file.path, ticked, policy.get().rules)
            context |= preview(text, edited, tables, file.path)
        except (CannotEdit, Unreadable) as error:
            context["problem_of_edit"] = f"Not redacted: {error}."
        else:
            context["lacks_reason"] = entered.get("do") == "save" and not entered.get("reason", "").strip()
            if entered.get("do") == "save" and not context["lacks_reason"]:
                data = (codecs.BOM_UTF8 if is_marked else b"") + edited.encode()
                return done(
                    request,
                    lambda: files.redact(request.viewer, file, data, reason=entered["reason"]),
                    reverse("release_request", args=[release_request.pk]),
                    f"{files.redacted_path(file.path)} stands beside its original, which is a supporting file now.",
                )
    return _page(request, contents, file, text, tables, ticked, context)


def _page(
    request: ReviewRequest,
    contents: RequestContents,
    file: RequestFile,
    text: str,
    tables: list[Table],
    ticked: Ticked,
    context: Mapping[str, Any],
) -> HttpResponse:
    """Answer with the page of the table, or of the lines, that the form or the address asks for."""
    entered = request.POST
    table, page = next(iter(places_in([entered.get("go") or entered.get("at", "")])), (0, 1))
    by_lines = not tables or (entered.get("by") or request.GET.get("by")) == "lines"
    number = min(max(table or number_of(request.GET, "table"), 1), max(1, len(tables)))
    shown = editable_lines(text, ticked, page) if by_lines else editable_rows(tables[number - 1], ticked, page)
    status = 422 if context.get("problem_of_edit") or context.get("lacks_reason") or context.get("is_stale") else 200
    answer = file_page(
        request,
        contents,
        file,
        "file_redact",
        TEMPLATE,
        editable=shown,
        by_lines=by_lines,
        number=number,
        tables=range(1, len(tables) + 1),
        ticked=ticked,
        rounded_here={column for other, column in ticked.columns if other == number},
        columns_elsewhere=written_places(place for place in ticked.columns if by_lines or place[0] != number),
        reason=entered.get("reason", ""),
        rules=policy.get().rules,
        not_covered=NOT_COVERED,
        **context,
    )
    answer.status_code = status
    return answer


def ticked_in(entered: QueryDict) -> Ticked:
    """Return what a form says is ticked: on its page and, in its hidden fields, on others; what was proposed too."""
    is_taken = entered.get("do") == "take"
    proposed = [entered.get("proposed", "")] if is_taken else []
    return Ticked(
        places=places_in([*entered.getlist("tick"), entered.get("elsewhere", ""), *proposed]),
        columns=places_in([*entered.getlist("round"), entered.get("columns_elsewhere", "")]),
        midpoint6=entered.get("rounding") == "midpoint6",
    )


def preview(text: str, edited: str, tables: list[Table], path: str) -> dict[str, Any]:
    """Return what comes of an edit, as pages show it, and what the totals still give away. Raises Unreadable."""
    rules = policy.get().rules
    after = editable_tables(edited, path)
    context: dict[str, Any] = {"is_same": text == edited, "further": further_redaction(after, rules) if after else None}
    if tables and len(tables) == len(after):
        pairs = zip(tables, after, strict=True)
        return context | {"previews": [compared_tables(one, other, rules, only_changed=True) for one, other in pairs]}
    try:
        return context | {"lines": compared_texts(text, edited)}
    except NotChecked as error:
        return context | {"unshown": f"{error}"}


PAGES = [ReviewPage("requests/<str:request_id>/redact/<path:file>", file_redact, "file_redact", ReviewAccess.VIEWERS)]
