"""Comments as pages show them, and the forms that write, publish and delete them (R19, R20)."""

from collections.abc import Iterable
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_POST
from markdown_it import MarkdownIt

from carrel.review import policy
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.machine import STATES
from carrel.review.models import Comment, FileGroup, ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.situations import refusal
from carrel.review.queries.visible import visible_comments
from carrel.review.rules import Act
from carrel.review.service import comments
from carrel.review.viewers import Viewer
from carrel.review.views.doing import done, onward
from carrel.units.limits import MAX_COMMENT_CHARACTERS

MARKDOWN = MarkdownIt("zero", {"html": False, "breaks": True}).enable(
    ["emphasis", "backticks", "blockquote", "list", "link", "fence", "escape", "newline"]
)
"""The contract's part of Markdown: links, emphasis, quotes, code and lists. HTML is shown as text."""


def markdown(text: str) -> SafeString:
    """Return a comment as HTML; whatever is not of the part that is known stays text."""
    return mark_safe(MARKDOWN.render(text))  # noqa: S308 (all text is escaped, and HTML is off)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One comment as somebody sees it: who wrote it, what it is about and where that is, what they may do with it."""

    key: int
    author: str
    is_own: bool
    is_public: bool
    turn: int
    comment: Comment
    about: str
    spot: str
    """Where in its file, or that it is about the whole group: what a file's page says."""
    url: str
    may_publish: bool
    may_delete: bool

    @property
    def html(self) -> SafeString:
        return markdown(self.comment.text)


def remarks(viewer: Viewer, contents: RequestContents) -> list[Remark]:
    """Return the comments that a viewer may see, in order. Asks no database."""
    by_key = {file.pk: file for file in contents.files}
    groups = {group.pk: group.name for group in contents.groups}
    return [_remark(viewer, contents, comment, by_key, groups) for comment in visible_comments(viewer, contents)]


def _remark(
    viewer: Viewer,
    contents: RequestContents,
    comment: Comment,
    by_key: dict[int, RequestFile],
    groups: dict[int, str],
) -> Remark:
    is_own = comment.author_id == viewer.username
    file = by_key.get(comment.file_id or 0)
    about, url = groups.get(comment.group_id or 0, ""), ""
    spot = "" if file else "the whole group"
    if file is not None:
        about, url = file.path, reverse("file", args=[contents.request.pk, file.path])
        if comment.line:
            spot = f"line {comment.line}" + (f", {comment.column}" if comment.column else "")
            about = f"{file.path}, {spot}"
            url += f"?{urlencode({'line': comment.line, 'column': comment.column})}"
    elif about:
        url = reverse("group", args=[contents.request.pk, about])
    return Remark(
        key=comment.pk,
        author="You" if is_own else comment.author.fullname,
        is_own=is_own,
        is_public=comment.is_public,
        turn=comment.turn,
        comment=comment,
        about=about,
        spot=spot,
        url=url,
        may_publish=is_own and not refusal(Act.PUBLISH_COMMENT, viewer, contents, comment=comment),
        may_delete=is_own and not refusal(Act.DELETE_COMMENT, viewer, contents, comment=comment),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkForm:
    """What a page needs to offer a comment. `why_not`: why there can be none, "" where there can.

    `choices`: visibilities, the usual one first; `when`: when others will see it.
    """

    why_not: str
    choices: tuple[tuple[str, str], ...]
    when: str


def remark_form(viewer: Viewer, contents: RequestContents) -> RemarkForm:
    """Return the form's choices for this viewer, at this time."""
    public_refusal = refusal(Act.COMMENT, viewer, contents)
    private_refusal = refusal(Act.COMMENT_PRIVATELY, viewer, contents)
    choices = [
        *([] if private_refusal else [("private", "Private: checkers only")]),
        *([] if public_refusal else [("public", "Public: the author too")]),
    ]
    if policy.get().visibility.checkers_comments == "public":
        choices.reverse()
    return RemarkForm(
        why_not="" if choices else public_refusal,
        choices=tuple(choices),
        when="Others see it once this turn is over."
        if STATES[contents.status].phase != "consolidating"
        else "The other checkers see it at once, the author with your decision.",
    )


def of_file(rows: Iterable[Remark], file: RequestFile) -> list[Remark]:
    """Return the remarks on one file, and on its group as a whole."""
    return [
        row
        for row in rows
        if row.comment.file_id == file.pk or (row.comment.file_id is None and row.comment.group_id == file.group_id)
    ]


class CommentForm(forms.Form):
    text = forms.CharField(max_length=MAX_COMMENT_CHARACTERS)
    visibility = forms.ChoiceField(choices=[("private", ""), ("public", "")])
    group = forms.CharField(max_length=200, required=False)
    file = forms.CharField(max_length=1100, required=False)
    line = forms.IntegerField(min_value=1, max_value=comments.MOST_LINE, required=False)
    column = forms.CharField(max_length=200, required=False, strip=False)


@require_POST
def comment(request: ReviewRequest, release_request: ReleaseRequest) -> HttpResponse:
    """Write a comment on the request, or on the group, file, line or cell that the form names."""
    form = CommentForm(request.POST)
    url = onward(request, "release_request", release_request.pk)
    if not form.is_valid():
        messages.error(request, "Write something first; a line is a number from 1.")
        return redirect(url)
    entered = form.cleaned_data
    group = file = None
    if entered["file"]:
        file = get_object_or_404(RequestFile, request=release_request, path=entered["file"])
    elif entered["group"]:
        group = get_object_or_404(FileGroup, request=release_request, name=entered["group"])
    return done(
        request,
        lambda: comments.comment(
            request.viewer,
            release_request,
            entered["text"],
            is_public=entered["visibility"] == "public",
            group=group,
            file=file,
            line=entered["line"],
            column=entered["column"] if entered["line"] else "",
        ),
        url,
    )


@require_POST
def publish_comment(request: ReviewRequest, release_request: ReleaseRequest, comment: int) -> HttpResponse:
    """Make one's own private comment public."""
    row = _own(request, release_request, comment)
    url = onward(request, "release_request", release_request.pk)
    return done(request, lambda: comments.publish(request.viewer, row), url)


@require_POST
def delete_comment(request: ReviewRequest, release_request: ReleaseRequest, comment: int) -> HttpResponse:
    """Show one's own comment to nobody any more."""
    row = _own(request, release_request, comment)
    url = onward(request, "release_request", release_request.pk)
    return done(
        request, lambda: comments.delete(request.viewer, row), url, "The comment is deleted; the audit log keeps it."
    )


def _own(request: ReviewRequest, release_request: ReleaseRequest, key: int) -> Comment:
    """Return one's own comment. Another's is answered like none: it may be one that must not be known of."""
    rows = release_request.comments.select_related("request", "group", "file")
    return get_object_or_404(rows, pk=key, author_id=request.viewer.username, deleted_at=None)


PAGES = [
    ReviewPage("requests/<str:request_id>/comments/", comment, "comment", ReviewAccess.VIEWERS),
    ReviewPage(
        "requests/<str:request_id>/comments/<int:comment>/publish/",
        publish_comment,
        "comment_publish",
        ReviewAccess.VIEWERS,
    ),
    ReviewPage(
        "requests/<str:request_id>/comments/<int:comment>/delete/",
        delete_comment,
        "comment_delete",
        ReviewAccess.VIEWERS,
    ),
]
