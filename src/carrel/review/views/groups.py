"""One group of a request: its context and controls, its files, comments, and votes on all of them at once."""

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from carrel.pages.formats import count_text
from carrel.pages.frame import PageLink
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import FileGroup, ReleaseRequest, RequestFile
from carrel.review.queries.contents import contents_of
from carrel.review.queries.situations import refusal
from carrel.review.rules import Act
from carrel.review.service import groups, votes
from carrel.review.views.doing import done
from carrel.review.views.remarks import remark_form, remarks
from carrel.review.views.requests import file_lines, request_crumbs
from carrel.review.views.standing import own_progress, standing
from carrel.units.limits import MAX_CONTEXT_CHARACTERS
from carrel.units.words import joined

LISTED = 20
CONTEXT_QUESTIONS = """What the files show:
Whom they are about (population, years):
Variables and methods:
How they follow from or go with earlier releases:"""
CONTROLS_QUESTIONS = """Smallest count that is shown, and what was done with smaller ones:
Rounding, and to what:
What could be worked out from totals, percentages or earlier releases:"""


class ExplanationForm(forms.Form):
    """What checkers need to know of a group; an empty field begins with what the manifest tells, and with questions."""

    context = forms.CharField(
        label="Context",
        help_text="What the files show: variables, population, methods. A checker who knows nothing of the study "
        "should understand what is counted.",
        widget=forms.Textarea(attrs={"rows": 9}),
        max_length=MAX_CONTEXT_CHARACTERS,
    )
    controls = forms.CharField(
        label="Controls",
        help_text="What was done against disclosure: rounding, redaction, smallest counts.",
        widget=forms.Textarea(attrs={"rows": 6}),
        max_length=MAX_CONTEXT_CHARACTERS,
    )


def suggested_context(files: list[RequestFile]) -> str:
    """Return how a group's context may begin: what the manifest tells of its files, and the questions of checkers."""
    origins = sorted({f"{file.action} at commit {file.commit[:7]}" for file in files if file.action})
    shapes = [
        f"- {file.path}"
        + (f" ({file.row_count:,} rows, {file.col_count} columns)" if file.row_count and file.col_count else "")
        for file in files[:LISTED]
    ]
    more = [f"- and {count_text(len(files) - LISTED, 'more file')}"] if len(files) > LISTED else []
    origin = [f"Made by {joined(origins)}."] if origins else []
    return "\n".join([*origin, *shapes, *more, "", CONTEXT_QUESTIONS])


def group(request: ReviewRequest, release_request: ReleaseRequest, group: FileGroup) -> HttpResponse:
    """A group's explanation, files and comments; its author writes the explanation here."""
    viewer, contents = request.viewer, contents_of(release_request)
    url = reverse("group", args=[release_request.pk, group.name])
    form = ExplanationForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        entered = form.cleaned_data
        return done(
            request,
            lambda: groups.describe(viewer, release_request, group.name, **entered),
            url,
            "The group is explained.",
        )
    rows = remarks(viewer, contents)
    lines = [line for line in file_lines(viewer, contents, rows) if line.file.group_id == group.pk]
    if request.method != "POST":
        form = ExplanationForm(
            initial={
                "context": group.context or suggested_context([line.file for line in lines]),
                "controls": group.controls or CONTROLS_QUESTIONS,
            }
        )
    looking = viewer.situation(release_request.workspace, author=release_request.author_id)
    context = {
        "release_request": release_request,
        "group": group,
        "lines": lines,
        "form": form,
        "may_edit": not refusal(Act.EDIT_GROUP, viewer, contents),
        "may_vote": not refusal(Act.VOTE, viewer, contents),
        "may_reset": viewer.username not in contents.submitted,
        "shows_votes": looking.checks,
        "standing": standing(viewer, contents),
        "progress": own_progress(viewer, contents),
        "remarks": [row for row in rows if row.comment.group_id == group.pk],
        "remark_form": remark_form(viewer, contents),
        "crumbs": request_crumbs(viewer, release_request, PageLink(group.name)),
    }
    return render(request, "review/group.html", context, status=422 if form.errors else 200)


@require_POST
def request_changes(request: ReviewRequest, release_request: ReleaseRequest, group: FileGroup) -> HttpResponse:
    """Ask for changes of every file of the group that one has not voted on (R15)."""
    url = reverse("group", args=[release_request.pk, group.name])
    return done(request, lambda: votes.request_changes(request.viewer, group), url, "Changes requested.")


@require_POST
def reset_votes(request: ReviewRequest, release_request: ReleaseRequest, group: FileGroup) -> HttpResponse:
    """Take back one's votes in the group (R15)."""
    url = reverse("group", args=[release_request.pk, group.name])
    return done(request, lambda: votes.reset_group(request.viewer, group), url, "Your votes here are taken back.")


PAGES = [
    ReviewPage("requests/<str:request_id>/groups/<str:group>/", group, "group", ReviewAccess.VIEWERS),
    ReviewPage(
        "requests/<str:request_id>/groups/<str:group>/request-changes/",
        request_changes,
        "group_request_changes",
        ReviewAccess.CHECKERS,
    ),
    ReviewPage(
        "requests/<str:request_id>/groups/<str:group>/reset/", reset_votes, "group_reset", ReviewAccess.CHECKERS
    ),
]
