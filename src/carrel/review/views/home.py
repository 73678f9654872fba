"""The first page: whose turn it is with what."""

from django.http import HttpResponse
from django.shortcuts import render

from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import ReleaseRequest


def home(request: ReviewRequest) -> HttpResponse:
    """What waits for this person."""
    own = ReleaseRequest.objects.filter(author_id=request.viewer.username)[:50]
    return render(request, "review/home.html", {"own": own})


PAGES = [ReviewPage("", home, "home", ReviewAccess.SIGNED_IN)]
