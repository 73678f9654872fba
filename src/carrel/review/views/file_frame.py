"""What stands round every page of one file of a request: its neighbours, tabs, votes, comments, and what made it.

A tab is a page of its own: it answers with `file_page(request, contents, file, tab, template, **context)`, and its
template extends `review/files/frame.html`. A further tab is a line in TABS and a page of that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from carrel.pages.frame import PageLink
from carrel.review.access import ReviewRequest
from carrel.review.decisions import Vote
from carrel.review.models import FileFinding, RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.situations import refusal
from carrel.review.queries.visible import verdict
from carrel.review.rules import Act
from carrel.review.shown.tables import CellPlace, TableMarks
from carrel.review.viewers import Viewer
from carrel.review.views.remarks import Remark, of_file, remark_form, remarks
from carrel.review.views.requests import FileLine, file_lines, request_crumbs
from carrel.review.views.standing import own_progress, standing

TABS = {
    "file": "View",
    "file_compare": "Compare",
    "file_findings": "Findings",
    "file_redact": "Redact",
    "file_history": "History",
    "file_backends": "Other backends",
    "file_code": "Code",
}
"""The tabs of a file by the names of their pages, in order."""
NEIGHBOURS = 100
"""Files before and after this one that are listed beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourGroup:
    """Files of one group, as they stand beside a file's page."""

    name: str
    lines: tuple[FileLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteButton:
    """One of the two buttons of a checker: pressed when that is their vote, which another press takes back."""

    choice: str
    label: str
    key: str
    is_pressed: bool
    is_reset: bool


def file_page(
    request: ReviewRequest, contents: RequestContents, file: RequestFile, tab: str, template: str, **context: Any
) -> HttpResponse:
    """Answer with one tab of a file's page. The rest of the page asks one query."""
    viewer, row = request.viewer, contents.request
    rows = remarks(viewer, contents)
    lines = file_lines(viewer, contents, rows)
    position = next(index for index, line in enumerate(lines) if line.file.pk == file.pk)
    near = lines[max(0, position - NEIGHBOURS) : position + NEIGHBOURS + 1]
    findings = contents.findings.get(file.pk, ())
    may_redact = not refusal(Act.REDACT_FILE, viewer, contents, file=file)
    whole = {
        "release_request": row,
        "file": file,
        "line": lines[position],
        "groups": [
            NeighbourGroup(name=name, lines=tuple(rows_of_group))
            for name, rows_of_group in groupby(near, key=lambda line: line.file.group.name)
        ],
        "files_not_listed": len(lines) - len(near),
        "before": lines[position - 1].url if position else "",
        "after": lines[position + 1].url if position + 1 < len(lines) else "",
        "standing": standing(viewer, contents),
        "progress": own_progress(viewer, contents),
        "buttons": vote_buttons(viewer, contents, file),
        "tabs": [
            PageLink(
                label,
                reverse(name, args=[row.pk, file.path]),
                current=name == tab,
                count=len(findings) if name == "file_findings" and findings else None,
            )
            for name, label in TABS.items()
            if name != "file_redact" or may_redact
        ],
        "findings": findings,
        "is_findings": tab == "file_findings",
        "remarks": of_file(rows, file),
        "remark_form": remark_form(viewer, contents),
        "about_line": request.GET.get("line", "") if request.GET.get("line", "").isdecimal() else "",
        "about_column": request.GET.get("column", ""),
        "may_download": not refusal(Act.DOWNLOAD_FILE, viewer, contents, file=file),
        "crumbs": request_crumbs(
            viewer, row, PageLink(file.group.name, reverse("group", args=[row.pk, file.group.name]))
        ),
    }
    return render(request, template, whole | context)


def vote_buttons(viewer: Viewer, contents: RequestContents, file: RequestFile) -> list[VoteButton]:
    """Return the buttons of a checker who may vote on the file now; none for others."""
    if refusal(Act.VOTE, viewer, contents, file=file):
        return []
    own = verdict(viewer, contents, file).own
    may_reset = not refusal(Act.RESET_VOTE, viewer, contents, file=file)
    return [
        VoteButton(
            choice=vote.value,
            label=label,
            key=key,
            is_pressed=own is vote,
            is_reset=own is vote and may_reset,
        )
        for vote, label, key in (
            (Vote.CHANGES_REQUESTED, "Request changes", "c"),
            (Vote.APPROVED, "Approve", "a"),
        )
    ]


def marks_of(
    findings: tuple[FileFinding, ...], rows: list[Remark], file: RequestFile, acros: Mapping[CellPlace, str]
) -> TableMarks:
    """Return what is drawn on the cells and lines of a file: findings, ACRO's, comments that the viewer may see."""
    flagged: dict[CellPlace, str] = {}
    texts = [((finding.line, finding.column), f"{finding.rule}: {finding.message}") for finding in findings]
    for cell, said in (*texts, *acros.items()):
        flagged[cell] = f"{flagged[cell]}; {said}" if cell in flagged else said
    return TableMarks(
        flagged=flagged,
        commented=frozenset(
            (row.comment.line, row.comment.column)
            for row in rows
            if row.comment.file_id == file.pk and row.comment.line
        ),
    )
