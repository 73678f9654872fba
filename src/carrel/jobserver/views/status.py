"""How the backends are: a card each, live; and the same as JSON."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Prefetch
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone

from carrel.jobserver.backend_standing import BackendStanding, hour_spans, standing_of
from carrel.jobserver.models import Backend, BackendHour, Job, JobRequest
from carrel.jobserver.models.runs import RequestStatus
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.pages import live
from carrel.pages.charts import StateSpan
from carrel.pages.frame import BackendState

STRIP_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCard:
    """All that the page says of one backend. `unsent`: requests that have not reached its controller yet."""

    backend: Backend
    standing: BackendStanding
    running: int
    waiting: int
    oldest_waiting_at: datetime | None
    unsent: int
    details: list[tuple[str, Any]]
    spans: list[StateSpan]

    def as_json(self) -> dict[str, Any]:
        """Return what programs are told."""
        return {
            "slug": self.backend.slug,
            "name": self.backend.name,
            "state": self.standing.state or "unknown",
            "since": self.standing.since,
            "last_seen_at": self.backend.last_seen_at,
            "running": self.running,
            "waiting": self.waiting,
            "oldest_waiting_at": self.oldest_waiting_at,
            "unsent": self.unsent,
            "details": dict(self.details),
        }


def status_page(request: CarrelRequest) -> HttpResponse:
    """A card for each backend that this person may know of."""
    now = timezone.now()
    cards = backend_cards(request, now)
    if request.GET.get("format") == "json":
        return JsonResponse({"at": now, "backends": [card.as_json() for card in cards]})
    context = {
        "cards": cards,
        "start": now - timedelta(hours=STRIP_HOURS),
        "now": now,
        "summary": summary(cards),
        "may_manage": request.rights.holds_anywhere(Permission.BACKEND_MANAGE),
    }
    if "live" not in request.GET:
        return render(request, "jobserver/status/page.html", context)
    etag = live.etag_of([card.as_json() for card in cards], f"{now:%H:%M}", request.person and request.person.pk)
    if live.is_current(request, etag):
        return live.unchanged(etag)
    html = render_to_string("jobserver/status/parts.html", {**context, "live": True}, request)
    return live.live_response(html, etag, final=False)


def backend_cards(request: CarrelRequest, now: datetime) -> list[BackendCard]:
    """Return the cards in the order of backends, in four questions whatever their number."""
    recent = BackendHour.objects.filter(hour__gte=now - timedelta(hours=STRIP_HOURS + 1)).order_by("hour")
    visible = visible_backends(request.person, request.rights).filter(is_active=True)
    backends = list(visible.prefetch_related(Prefetch("hours", queryset=recent, to_attr="recent_hours")))
    jobs = Job.objects.filter(backend__in=backends, status__in=["pending", "running"]).order_by()
    counts = {
        (row["backend"], row["status"]): row
        for row in jobs.values("backend", "status").annotate(count=Count("pk"), oldest=Min("created_at"))
    }
    outbox = JobRequest.objects.filter(status=RequestStatus.PENDING, sent_at=None, backend__in=backends).order_by()
    unsent = dict(outbox.values_list("backend").annotate(count=Count("pk")))
    nothing = {"count": 0, "oldest": None}
    return [
        BackendCard(
            backend=backend,
            standing=standing_of(backend, now),
            running=counts.get((backend.pk, "running"), nothing)["count"],
            waiting=counts.get((backend.pk, "pending"), nothing)["count"],
            oldest_waiting_at=counts.get((backend.pk, "pending"), nothing)["oldest"],
            unsent=unsent.get(backend.pk, 0),
            # How a machine is made is nothing for strangers.
            details=sorted(backend.details.items()) if request.person and isinstance(backend.details, dict) else [],
            spans=hour_spans(backend.recent_hours, now),
        )
        for backend in backends
    ]


def summary(cards: list[BackendCard]) -> str:
    """Say in a sentence how all of them are."""
    if not cards:
        return "There is no backend that you may know of."
    up = sum(card.standing.state is BackendState.UP for card in cards)
    if up == len(cards):
        return "The backend is up." if up == 1 else f"All {up} backends are up."
    others = [f"{card.backend.name}: {card.standing.word.lower()}" for card in cards if card.standing.state != "up"]
    return f"{up} of {len(cards)} up; {', '.join(others)}."


PAGES = [Page("status/", status_page, "status", EVERYBODY)]
