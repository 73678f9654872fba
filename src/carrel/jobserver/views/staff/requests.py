"""Requests that are stuck: not sent, not known to their controller, or silent for long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.models import Backend, JobRequest
from carrel.jobserver.models.runs import ACTIVE_STATUSES
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.service.cancellations import CancelError, ask_to_cancel
from carrel.jobserver.service.resending import send_now
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.staff.lists import section_tabs

UNSENT_FOR = timedelta(minutes=5)
SILENT_FOR = timedelta(days=1)
MOST = 200


@dataclass(frozen=True, slots=True)
class StuckRequest:
    """A request that somebody should look at, and why."""

    request: JobRequest
    why: str
    can_resend: bool


def stuck_requests(request: CarrelRequest, now: datetime) -> list[StuckRequest]:
    """Return the active requests that have not been sent for minutes, or of which nothing was heard for a day."""
    rows = JobRequest.objects.filter(
        backend__in=visible_backends(request.person, request.rights),
        workspace__project__in=visible_projects(request.person, request.rights),
        status__in=ACTIVE_STATUSES,
    ).filter(Q(sent_at=None, created_at__lt=now - UNSENT_FOR) | Q(updated_at__lt=now - SILENT_FOR))
    rows = rows.select_related("backend", "workspace__project", "run__workspace__project", "created_by").order_by("id")
    return [StuckRequest(row, why_stuck(row), can_resend(row)) for row in rows[:MOST]]


def why_stuck(request: JobRequest) -> str:
    """Say in a sentence why a request does not go on."""
    backend = request.backend
    if request.sent_at is None and backend.link == Backend.LinkKind.POLLED:
        return f"The controller of {backend.name} has not asked for it yet."
    if request.sent_at is None:
        times = (
            f"after {request.send_attempts} tries" if request.send_attempts else "nobody tried: is the link running?"
        )
        return f"Not sent to the controller of {backend.name}, {times}. {request.send_error}".strip()
    return f"The controller of {backend.name} has told nothing new of it for a day."


def can_resend(request: JobRequest) -> bool:
    return request.sent_at is None and request.backend.link == Backend.LinkKind.RAP


class ChosenRequest(forms.Form):
    """The request of a button."""

    request = forms.ModelChoiceField(JobRequest.objects.all(), to_field_name="identifier")


def request_list(request: CarrelRequest) -> HttpResponse:
    """All that are stuck, each with what can be done."""
    context = {
        "rows": stuck_requests(request, timezone.now()),
        "tabs": section_tabs(request, "staff-requests"),
        "most": MOST,
    }
    return render(request, "jobserver/staff/requests.html", context)


def act(request: CarrelRequest) -> HttpResponse:
    """Cancel one, or send it again now."""
    if request.method != "POST":
        return SeeOther(reverse("staff-requests"))
    form = ChosenRequest(request.POST)
    if not form.is_valid():
        messages.error(request, "There is no such request any more.")
        return SeeOther(reverse("staff-requests"))
    chosen = form.cleaned_data["request"]
    try:
        if "cancel" in request.POST:
            messages.success(request, ask_to_cancel(chosen, (), request).words)
        else:
            send_now(chosen, request)
            messages.success(request, "It is sent now; reload in a moment to see how it went.")
    except (CancelError, ValidationError) as error:
        messages.error(request, error.messages[0] if isinstance(error, ValidationError) else str(error))
    return SeeOther(reverse("staff-requests"))


MAY = permitted(Permission.STAFF_AREA_ACCESS)
PAGES = [
    Page("staff/requests/", request_list, "staff-requests", MAY),
    Page("staff/requests/act/", act, "staff-requests-act", MAY),
]
