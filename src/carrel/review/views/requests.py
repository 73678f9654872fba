"""One release request: how it stands, its groups and files, its history, and its title."""

from collections import defaultdict
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from carrel.pages.formats import count_text
from carrel.pages.frame import PageLink
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.machine import ReviewPhase
from carrel.review.models import Account, AuditEvent, FileGroup, ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents, contents_of
from carrel.review.queries.situations import refusal
from carrel.review.queries.submissions import ChangeSince, change_of, earlier_submission
from carrel.review.queries.visible import verdict, visible_history
from carrel.review.rules import Act, FileType
from carrel.review.service import claims, requests
from carrel.review.viewers import Viewer
from carrel.review.views.doing import done
from carrel.review.views.remarks import Remark, remark_form, remarks
from carrel.review.views.standing import VOTE_WORDS, own_progress, standing
from carrel.review.visibility import shown_decision

HISTORY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """One file of a request as its row shows it.

    `mark`: the icon's name for the viewer's own vote or the decision; `others`: what the other checkers say, or that it
    is hidden; `findings`: how many, and how many of them nobody has justified.
    """

    file: RequestFile
    url: str
    change: ChangeSince
    mark: str
    own: str
    is_carried_over: bool
    others: str
    decision: str
    findings: int
    open_findings: int
    unchecked: str
    remarks: int

    @property
    def is_output(self) -> bool:
        return self.file.file_type == FileType.OUTPUT


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLines:
    """One group with its files."""

    group: FileGroup
    url: str
    lines: tuple[FileLine, ...]
    remarks: tuple[Remark, ...]
    is_explained: bool


MARKS = {"approved": "succeeded", "changes requested": "failed", "conflicted": "warning"}
"""The icon beside a file, by what was voted or decided."""
HIDDEN = "hidden until all reviews are in"


def file_lines(viewer: Viewer, contents: RequestContents, rows: list[Remark]) -> list[FileLine]:
    """Return all files of a request as rows, in order. One query."""
    before = earlier_submission(contents)
    commented: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        commented[row.comment.file_id or 0] += 1
    return [_line(viewer, contents, file, change_of(file, before), commented[file.pk]) for file in contents.files]


def _line(
    viewer: Viewer, contents: RequestContents, file: RequestFile, change: ChangeSince, remark_count: int
) -> FileLine:
    shown = verdict(viewer, contents, file)
    own = VOTE_WORDS[shown.own] if shown.own else ""
    decision = shown_decision(shown.decision)
    findings = contents.findings.get(file.pk, ())
    look = contents.checks.get(file.pk)
    is_output = file.file_type == FileType.OUTPUT
    others = HIDDEN
    if shown.others is not None:
        others = ", ".join(f"{name}: {VOTE_WORDS[vote]}" for name, vote in sorted(shown.others.items()))
    spoken = decision if decision and decision != "incomplete" else VOTE_WORDS.get(shown.own or Vote.UNDECIDED, "")
    return FileLine(
        file=file,
        url=reverse("file", args=[contents.request.pk, file.path]),
        change=change,
        mark=MARKS.get(spoken, "missing") if is_output else "",
        own=own,
        is_carried_over=shown.is_carried_over and bool(own),
        others=others if is_output else "",
        decision="" if decision == "incomplete" else decision,
        findings=len(findings),
        open_findings=sum(not finding.justification for finding in findings),
        unchecked="" if look and not look.unchecked else look.unchecked if look else "not checked",
        remarks=remark_count,
    )


def release_request(request: ReviewRequest, release_request: ReleaseRequest) -> HttpResponse:
    """How a request stands, what is next, and its files by group."""
    viewer, contents = request.viewer, contents_of(release_request)
    rows = remarks(viewer, contents)
    lines = file_lines(viewer, contents, rows)
    looking = viewer.situation(release_request.workspace, author=release_request.author_id)
    unvoted = () if refusal(Act.CLAIM, viewer, contents) else contents.not_voted(viewer.username)
    # Who checks is the checkers' own affair while they do.
    claims_now = release_request.claims.filter(ended_at=None) if looking.checks else release_request.claims.none()
    claimed = list(claims_now.values_list("checker__fullname", "checker_id"))
    context = {
        "release_request": release_request,
        "standing": standing(viewer, contents),
        "progress": own_progress(viewer, contents),
        "groups": [
            GroupLines(
                group=group,
                url=reverse("group", args=[release_request.pk, group.name]),
                lines=tuple(line for line in lines if line.file.group_id == group.pk),
                remarks=tuple(row for row in rows if row.comment.group_id == group.pk and not row.comment.file_id),
                is_explained=bool(group.context.strip() and group.controls.strip()),
            )
            for group in contents.groups
        ],
        "shows_votes": looking.checks,
        "counts": request_counts(contents),
        "first": next((line.url for line in lines if line.file in unvoted), ""),
        "remarks": [row for row in rows if row.comment.group_id is None],
        "remark_form": remark_form(viewer, contents),
        "may_edit": not refusal(Act.EDIT_GROUP, viewer, contents),
        "may_claim": not refusal(Act.CLAIM, viewer, contents),
        "claimed_by": [name for name, username in claimed if username != viewer.username],
        "is_claimed": any(username == viewer.username for _, username in claimed),
        "links": request_links(release_request, "files"),
        "crumbs": request_crumbs(viewer, release_request)[:-1],
    }
    return render(request, "review/request.html", context)


def request_counts(contents: RequestContents) -> list[tuple[str, str]]:
    """Return what a request holds, as terms and words."""
    supporting = sum(file.file_type == FileType.SUPPORTING for file in contents.files)
    withdrawn = sum(file.file_type == FileType.WITHDRAWN for file in contents.files)
    return [
        ("Outputs", str(len(contents.outputs))),
        *([("Supporting", str(supporting))] if supporting else []),
        *([("Withdrawn", str(withdrawn))] if withdrawn else []),
        ("Needs", count_text(contents.request.checkers, "review")),
    ]


def request_links(row: ReleaseRequest, current: str) -> list[PageLink]:
    """Return the tabs of a request's pages."""
    return [
        PageLink("Files", reverse("release_request", args=[row.pk]), current=current == "files"),
        PageLink("History", reverse("request_history", args=[row.pk]), current=current == "history"),
    ]


def request_crumbs(viewer: Viewer, row: ReleaseRequest, *further: PageLink) -> list[PageLink]:
    """Return the way to a request's page, and what lies below it."""
    return [
        PageLink("Requests", reverse("home")),
        PageLink(row.workspace, reverse("workspace", args=[row.workspace])),
        PageLink(row.title or "Request", reverse("release_request", args=[row.pk])),
        *further,
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One event of a request's history, in words."""

    event: AuditEvent
    actor: str
    words: str
    url: str


def history(request: ReviewRequest, release_request: ReleaseRequest) -> HttpResponse:
    """What happened to a request, as far as whoever looks may know it."""
    contents = contents_of(release_request)
    shows_looks = request.GET.get("looks") == "show"
    events = shown_events(request.viewer, contents, shows_looks=shows_looks)
    context = {
        "release_request": release_request,
        "lines": history_lines(request.viewer, contents, events),
        "shows_looks": shows_looks,
        "limit": HISTORY,
        "links": request_links(release_request, "history"),
        "crumbs": request_crumbs(request.viewer, release_request, PageLink("History")),
    }
    return render(request, "review/history.html", context)


def shown_events(viewer: Viewer, contents: RequestContents, *, shows_looks: bool = False) -> list[AuditEvent]:
    """Return the newest events that a viewer may see; looks at files only where they are asked for.

    Whose eyes are on which file is an output checker's to know, and not while each checks by themselves; one's own
    looks are one's own.
    """
    looking = viewer.situation(contents.request.workspace, author=contents.request.author_id)
    may_see_looks = looking.checks and contents.phase is not ReviewPhase.INDEPENDENT
    return [
        event
        for event in visible_history(viewer, contents, limit=HISTORY)
        if event.event_type != AuditType.REQUEST_FILE_VIEW
        or (shows_looks and (may_see_looks or event.actor == viewer.username))
    ]


def history_lines(viewer: Viewer, contents: RequestContents, events: list[AuditEvent]) -> list[HistoryLine]:
    """Return events in words. One query. Their numbers stay out: gaps would tell of what may not be seen."""
    paths = {file.path for file in contents.files}
    names = dict(Account.objects.filter(pk__in={event.actor for event in events}).values_list("pk", "fullname"))
    return [
        HistoryLine(
            event=event,
            actor="You" if event.actor == viewer.username else names.get(event.actor, event.actor),
            words=EVENT_WORDS.get(event.event_type, event.event_type.lower().replace("_", " "))
            + (" on" if event.path and event.event_type == AuditType.REQUEST_COMMENT else ""),
            url=reverse("file", args=[contents.request.pk, event.path]) if event.path in paths else "",
        )
        for event in events
    ]


EVENT_WORDS = {
    "REQUEST_CREATE": "began the request",
    "REQUEST_EDIT": "wrote context, controls or title",
    "REQUEST_SUBMIT": "submitted the request",
    "REQUEST_RETURN": "returned the request",
    "REQUEST_EARLY_RETURN": "returned the request early",
    "REQUEST_REVIEW": "submitted a review",
    "REQUEST_APPROVE": "approved the request",
    "REQUEST_REJECT": "rejected the request",
    "REQUEST_WITHDRAW": "withdrew the request",
    "REQUEST_RELEASE": "released the request",
    "REQUEST_COMMENT": "commented",
    "REQUEST_COMMENT_DELETE": "deleted a comment",
    "REQUEST_COMMENT_VISIBILITY_PUBLIC": "made a comment public",
    "REQUEST_CLAIM": "began to look at it",
    "REQUEST_CLAIM_END": "stopped looking at it",
    "REQUEST_UPLOAD_RETRY": "had the upload tried again",
    "REQUEST_FILE_ADD": "added",
    "REQUEST_FILE_UPDATE": "updated",
    "REQUEST_FILE_WITHDRAW": "withdrew",
    "REQUEST_FILE_MOVE": "moved",
    "REQUEST_FILE_REDACT": "redacted into",
    "REQUEST_FILE_CHECK": "had the rules look at",
    "REQUEST_FILE_VIEW": "looked at",
    "REQUEST_FILE_DOWNLOAD": "downloaded",
    "REQUEST_FILE_APPROVE": "approved",
    "REQUEST_FILE_REQUEST_CHANGES": "requested changes of",
    "REQUEST_FILE_RESET_REVIEW": "took back the vote on",
    "REQUEST_FILE_UNDECIDED": "left undecided",
    "REQUEST_FILE_RELEASE": "released",
    "REQUEST_FILE_UPLOAD": "uploaded",
    "REQUEST_FINDING_JUSTIFY": "justified findings in",
}
"""What each kind of event says, between who did it and the file."""


@require_POST
def rename(request: ReviewRequest, release_request: ReleaseRequest) -> HttpResponse:
    """Give the request the title that was entered."""
    url = reverse("release_request", args=[release_request.pk])
    title = request.POST.get("title", "")
    return done(request, lambda: requests.rename(request.viewer, release_request, title), url)


@require_POST
def claim(request: ReviewRequest, release_request: ReleaseRequest) -> HttpResponse:
    """Say that one looks at the request, or no more."""
    change = claims.end_claim if request.POST.get("end") else claims.claim
    url = reverse("release_request", args=[release_request.pk])
    return done(request, lambda: change(request.viewer, release_request), url)


PAGES = [
    ReviewPage("requests/<str:request_id>/", release_request, "release_request", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/history/", history, "request_history", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/rename/", rename, "request_rename", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/claim/", claim, "request_claim", ReviewAccess.CHECKERS),
]
