"""The first page: whose turn it is with what. For checkers the queue, for everybody their own requests."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.pages.frame import PageLink
from carrel.pages.lists import page_of
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import ReleaseRequest
from carrel.review.queries.queue import PAGE, QueueSection, ReviewQueue, review_queue
from carrel.review.views.request_rows import listed

OWN = "own"
LABELS = {
    QueueSection.OUTSTANDING: "Outstanding",
    QueueSection.RETURNED: "Returned",
    QueueSection.UPLOADING: "Approved, uploading",
}


def home(request: ReviewRequest) -> HttpResponse:
    """What waits for this person: `?list=` names a part of the queue, or `own`."""
    viewer = request.viewer
    chosen = request.GET.get("list", "")
    if not viewer.is_checker or chosen == OWN:
        return _own_requests(request)
    section = QueueSection(chosen) if chosen in set(QueueSection) else QueueSection.OUTSTANDING
    number = request.GET.get("page", "1")
    queue = review_queue(viewer, timezone.now(), section, page=int(number[:6]) if number[:6].isdecimal() else 1)
    context = {
        "queue": queue,
        "links": _links(queue, request, section),
        # The queue reads one page itself; the links below it only need to know how many there are.
        "page": Paginator(range(queue.counts[section]), PAGE).get_page(queue.page),
    }
    return render(request, "review/queue.html", context)


def _own_requests(request: ReviewRequest) -> HttpResponse:
    page = page_of(
        request.GET, ReleaseRequest.objects.filter(author_id=request.viewer.username).order_by("-created_at", "-pk")
    )
    links: list[PageLink] = []
    if request.viewer.is_checker:
        queue = review_queue(request.viewer, timezone.now())
        links = _links(queue, request, OWN)
    context = {"page": page, "rows": listed(list(page.object_list)), "links": links}
    return render(request, "review/own_requests.html", context)


def _links(queue: ReviewQueue, request: ReviewRequest, current: str) -> list[PageLink]:
    own = ReleaseRequest.objects.filter(author_id=request.viewer.username).count()
    home_url = reverse("home")
    return [
        *(
            PageLink(label, f"{home_url}?list={name}", current=name == current, count=queue.counts[name])
            for name, label in LABELS.items()
        ),
        PageLink("Your own", f"{home_url}?list={OWN}", current=current == OWN, count=own),
    ]


PAGES = [ReviewPage("", home, "home", ReviewAccess.SIGNED_IN)]
