"""One file of a request: its contents, its findings, its history, the code that made it, votes on it."""

from csp.constants import SELF
from csp.decorators import csp_update
from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from carrel.review import copies
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.queries.acro_results import acro_verdict
from carrel.review.queries.contents import contents_of
from carrel.review.queries.situations import refusal
from carrel.review.rules import Act, FileType
from carrel.review.service import files, findings, votes
from carrel.review.service.audit import record
from carrel.review.shown.presenters import FRAMED, FileToShow, present
from carrel.review.views.doing import done, onward
from carrel.review.views.file_frame import file_page, marks_of
from carrel.review.views.remarks import remarks
from carrel.review.views.requests import history_lines, shown_events
from carrel.units.limits import MAX_COMMENT_CHARACTERS


def file(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """A file as it would leave, with its findings and comments drawn on it. Looking is noted in the audit log."""
    record(AuditType.REQUEST_FILE_VIEW, actor=request.viewer.username, request=release_request, path=file.path)
    contents = contents_of(release_request)
    rows, acro = remarks(request.viewer, contents), acro_verdict(contents, file)
    shown = FileToShow(
        path=file.path,
        sha256=file.sha256,
        size=file.size,
        opened=lambda: copies.opened(release_request.workspace, release_request.pk, file.sha256),
        content_url=reverse("file_content", args=[release_request.pk, file.path]),
        page_url=reverse("file_as_page", args=[release_request.pk, file.path]),
        marks=marks_of(contents.findings.get(file.pk, ()), rows, file, acro.marks if acro else {}),
    )
    try:
        presentation = present(shown, request.GET)
    except copies.CopyRefused as error:
        messages.error(request, str(error))
        return redirect("release_request", release_request.pk)
    answer = file_page(
        request,
        contents,
        file,
        "file",
        "review/files/view.html",
        presentation=presentation,
        content_url=shown.content_url,
        acro=acro,
        **presentation.context,
    )
    if presentation.template != FRAMED:
        return answer
    return csp_update({"frame-src": [SELF]})(lambda _request: answer)(request)


def file_findings(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """What the disclosure rules found in a file; its author justifies it here."""
    contents = contents_of(release_request)
    return file_page(
        request,
        contents,
        file,
        "file_findings",
        "review/files/findings.html",
        look=contents.checks.get(file.pk),
        acro=acro_verdict(contents, file),
        may_justify=not refusal(Act.JUSTIFY_FINDING, request.viewer, contents),
    )


class JustifyForm(forms.Form):
    text = forms.CharField(max_length=MAX_COMMENT_CHARACTERS, required=False)
    finding = forms.TypedMultipleChoiceField(coerce=int)

    def __init__(self, data: object, keys: list[int]) -> None:
        super().__init__(data)
        self.fields["finding"].choices = [(key, key) for key in keys]


@require_POST
def justify(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """Answer the ticked findings with one justification."""
    url = reverse("file_findings", args=[release_request.pk, file.path])
    keys = [finding.pk for finding in contents_of(release_request).findings.get(file.pk, ())]
    form = JustifyForm(request.POST, keys)
    if not form.is_valid():
        messages.error(request, "Tick at least one finding of this file, and write why it may leave.")
        return redirect(url)
    entered = form.cleaned_data
    return done(
        request,
        lambda: findings.justify(request.viewer, file, entered["finding"], entered["text"]),
        url,
        "Justified." if entered["text"].strip() else "The justification is taken back.",
    )


def file_history(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """What happened to a file, as far as whoever looks may know it."""
    contents = contents_of(release_request)
    events = [event for event in shown_events(request.viewer, contents, shows_looks=True) if event.path == file.path]
    lines = history_lines(request.viewer, contents, events)
    return file_page(request, contents, file, "file_history", "review/files/history.html", lines=lines)


@require_POST
def vote(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """Approve the bytes that were shown, or request changes; `reset` takes the vote back."""
    url = onward(request, "file", release_request.pk, file.path)
    if request.POST.get("reset"):
        return done(request, lambda: votes.reset(request.viewer, file), url, "Your vote is taken back.")
    choice = Vote.APPROVED if request.POST.get("choice") == Vote.APPROVED else Vote.CHANGES_REQUESTED
    sha256 = request.POST.get("sha256", "")
    return done(request, lambda: votes.vote(request.viewer, file, choice, sha256=sha256), url)


@require_POST
def change_file(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """What an author does with one file: update it, withdraw it, or move it to another group or type."""
    url = onward(request, "release_request", release_request.pk)
    match request.POST.get("do"):
        case "update":
            return done(request, lambda: files.update(request.viewer, file), url, f"{file.path} is updated.")
        case "withdraw":
            url = reverse("release_request", args=[release_request.pk])
            return done(request, lambda: files.withdraw_file(request.viewer, file), url, f"{file.path} is withdrawn.")
    form = MoveFileForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a group and a type for the file.")
        return redirect(url)
    entered = form.cleaned_data
    return done(
        request,
        lambda: files.move_file(request.viewer, file, group=entered["group"], file_type=FileType(entered["file_type"])),
        url,
        f"{file.path} is moved.",
    )


class MoveFileForm(forms.Form):
    group = forms.CharField(max_length=200)
    file_type = forms.ChoiceField(choices=[(kind.value, "") for kind in (FileType.OUTPUT, FileType.SUPPORTING)])


PAGES = [
    ReviewPage("requests/<str:request_id>/files/<path:file>", file, "file", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/findings/<path:file>", file_findings, "file_findings", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/justify/<path:file>", justify, "file_justify", ReviewAccess.VIEWERS),
    ReviewPage(
        "requests/<str:request_id>/file-history/<path:file>", file_history, "file_history", ReviewAccess.VIEWERS
    ),
    ReviewPage("requests/<str:request_id>/vote/<path:file>", vote, "file_vote", ReviewAccess.CHECKERS),
    ReviewPage("requests/<str:request_id>/change/<path:file>", change_file, "file_change", ReviewAccess.VIEWERS),
]
