"""Pages that ask before a request moves: submitted, reviewed, returned, rejected, approved, withdrawn (R10 to R18)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import ReleaseRequest
from carrel.review.queries.contents import contents_of
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, refusals_of
from carrel.review.service import releases, requests, votes
from carrel.review.views.doing import done
from carrel.review.views.requests import request_crumbs
from carrel.units.limits import MAX_COMMENT_CHARACTERS


class PermittedResultsForm(forms.Form):
    """R12: the author says that the files keep the policy on permitted results."""

    confirmed = forms.BooleanField(
        label="These files keep the policy on permitted results.",
        help_text="They hold no data of one person, and nothing that names or tells of a practice or another provider.",
    )


class ReasonForm(forms.Form):
    """What the author is told."""

    reason = forms.CharField(
        label="What the author should know",
        help_text="A public comment: the author sees it at once.",
        widget=forms.Textarea,
        max_length=MAX_COMMENT_CHARACTERS,
        required=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePage:
    """One act on a whole request: what its page asks, and what is done when it is answered with yes."""

    act: Act
    path: str
    name: str
    access: ReviewAccess
    question: str
    consequence: str
    verb: str
    success: str
    do: Callable[..., Any]
    form: type[forms.Form] = forms.Form
    is_dangerous: bool = False

    def __call__(self, request: ReviewRequest, release_request: ReleaseRequest) -> HttpResponse:
        """Ask, and do it when the form was sent. Where it may not be done now, says why instead."""
        url = reverse("release_request", args=[release_request.pk])
        form = self.form(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            entered = {name: value for name, value in form.cleaned_data.items() if name == "reason"}
            return done(request, lambda: self.do(request.viewer, release_request, **entered), url, self.success)
        refusals = refusals_of(self.act, situation_of(self.act, request.viewer, contents_of(release_request)))
        if refusals:
            messages.error(request, " ".join(refusals[:5]))
            return redirect(url)
        context = {
            "page": self,
            "form": form,
            "back_url": url,
            "question": self.question,
            "consequence": self.consequence,
            "verb": self.verb,
            "release_request": release_request,
            "crumbs": request_crumbs(request.viewer, release_request),
        }
        return render(request, "review/move.html", context, status=422 if form.errors else 200)

    @property
    def __name__(self) -> str:
        return self.name

    def page(self) -> ReviewPage:
        """Return it as one of the site's pages."""
        return ReviewPage(f"requests/<str:request_id>/{self.path}/", self, self.name, self.access)


MOVES = [
    MovePage(
        act=Act.SUBMIT,
        path="submit",
        name="request_submit",
        access=ReviewAccess.VIEWERS,
        question="Submit this request for review?",
        consequence="The checkers see the files as they are now; you can change nothing until they return it.",
        verb="Submit for review",
        success="Submitted. The checkers are told.",
        do=requests.submit,
        form=PermittedResultsForm,
    ),
    MovePage(
        act=Act.WITHDRAW_REQUEST,
        path="withdraw",
        name="request_withdraw",
        access=ReviewAccess.VIEWERS,
        question="Withdraw this request?",
        consequence="This cannot be undone. Nothing of it is released; its files can be put on another request.",
        verb="Withdraw the request",
        success="The request is withdrawn.",
        do=requests.withdraw,
        is_dangerous=True,
    ),
    MovePage(
        act=Act.SUBMIT_REVIEW,
        path="submit-review",
        name="request_submit_review",
        access=ReviewAccess.CHECKERS,
        question="Submit your review?",
        consequence="Your votes count from now on. You can still change a vote, but take none back.",
        verb="Submit your review",
        success="Your review is submitted.",
        do=votes.submit_review,
    ),
    MovePage(
        act=Act.RETURN,
        path="return",
        name="request_return",
        access=ReviewAccess.CHECKERS,
        question="Return this request to its author?",
        consequence="The author sees the decisions and the public comments, and can change the files and submit again.",
        verb="Return to the author",
        success="The request is returned.",
        do=requests.return_to_author,
    ),
    MovePage(
        act=Act.RETURN_EARLY,
        path="return-early",
        name="request_return_early",
        access=ReviewAccess.CHECKERS,
        question="Return this request before all reviews are in?",
        consequence="Comments and votes of this turn are taken back, those of other checkers too. "
        "The author sees only what you write here.",
        verb="Return early",
        success="The request is returned early.",
        do=requests.return_early,
        form=ReasonForm,
        is_dangerous=True,
    ),
    MovePage(
        act=Act.REJECT,
        path="reject",
        name="request_reject",
        access=ReviewAccess.CHECKERS,
        question="Reject this request as a whole?",
        consequence="This cannot be undone: nothing of it is ever released. To ask for changes, return it instead.",
        verb="Reject the request",
        success="The request is rejected.",
        do=requests.reject,
        is_dangerous=True,
    ),
    MovePage(
        act=Act.APPROVE,
        path="approve",
        name="request_approve",
        access=ReviewAccess.CHECKERS,
        question="Approve this request for release?",
        consequence="Its output files leave this backend, exactly as they were reviewed. This cannot be undone here.",
        verb="Approve and release",
        success="Approved. The files are being uploaded.",
        do=requests.approve,
    ),
    MovePage(
        act=Act.RETRY_UPLOAD,
        path="retry",
        name="request_retry",
        access=ReviewAccess.CHECKERS,
        question="Upload the remaining files again now?",
        consequence="They are tried again by themselves too, a little later.",
        verb="Upload again",
        success="The files are tried again.",
        do=releases.retry,
    ),
]
PAGES = [move.page() for move in MOVES]
