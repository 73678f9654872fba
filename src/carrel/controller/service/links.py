"""The links to polled job servers: who polls, how it goes, and which requests the server is still to hear of."""

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction

from carrel.controller import clock
from carrel.controller.models import JobServerLink, LinkedRequest
from carrel.controller.service import events
from carrel.controller.service.locks import locked
from carrel.controller.service.queries import in_parts
from carrel.telemetry.faults import point

LINK = "link"
"""Who acts, in events."""
LEASE = timedelta(seconds=15)
"""How long a process that polls is believed in without a sign. One that takes longer over something, or whose clock is
wrong, does no harm when another begins: all that a link does may be done twice."""
NOTED_EVERY = timedelta(seconds=30)
"""How often it is written down that all goes well: an idle link writes seldom."""
LONGEST_PROBLEM = 1000


def hold(backend: str, holder: str) -> bool:
    """Take or keep the lease of a backend's link: True for the one holder that polls now.

    A lease that reaches further than any is given was written by a clock that was wrong, and counts for nothing.
    """
    now = clock.now()
    if _has_time(JobServerLink.objects.filter(pk=backend, holder=holder).first(), now + LEASE / 2):
        return True
    with locked(backend):
        JobServerLink.objects.bulk_create([JobServerLink(backend=backend)], ignore_conflicts=True)
        link = JobServerLink.objects.get(pk=backend)
        if link.holder != holder and _has_time(link, now):
            return False
        JobServerLink.objects.filter(pk=backend).update(holder=holder, lease_expires_at=now + LEASE)
        point("controller.link.leased")
    return True


def _has_time(link: JobServerLink | None, until: object) -> bool:
    """The lease lasts beyond `until`, and not longer than a lease may."""
    expiry = link.lease_expires_at if link else None
    return expiry is not None and until < expiry <= clock.now() + LEASE


def release(backend: str, holder: str) -> None:
    """Give the lease back, so that another process need not wait for its end."""
    JobServerLink.objects.filter(pk=backend, holder=holder).update(holder="", lease_expires_at=None)


def note(backend: str, problem: str = "") -> int:
    """Write down how an exchange went; `problem` is empty when all went well. Returns how often it has gone wrong now.

    An event tells when trouble begins and ends, and no more.
    """
    now, problem = clock.now(), problem[:LONGEST_PROBLEM]
    link = JobServerLink.objects.get(pk=backend)
    if not problem and not link.failures:
        if link.answered_at is None or not timedelta(0) <= now - link.answered_at < NOTED_EVERY:
            JobServerLink.objects.filter(pk=backend).update(answered_at=now)
        return 0
    with transaction.atomic():
        rows = JobServerLink.objects.filter(pk=backend)
        if problem:
            since = link.problem_since if link.failures else now
            rows.update(failures=link.failures + 1, problem=problem, problem_since=since)
        else:
            rows.update(failures=0, problem="", problem_since=None, answered_at=now)
        if not (problem and link.failures):
            events.record("link.failed" if problem else "link.recovered", LINK, backend=backend, problem=problem)
    return link.failures + 1 if problem else 0


def remember(backend: str, rap_ids: Iterable[str]) -> None:
    """These requests came by the link: from now on their jobs are posted until the server has the last of them."""
    new = {rap_id: LinkedRequest(rap_id=rap_id, backend=backend, seen_at=clock.now()) for rap_id in rap_ids}
    with transaction.atomic():
        LinkedRequest.objects.bulk_create(new.values(), ignore_conflicts=True)
        for part in in_parts(list(new)):
            LinkedRequest.objects.filter(pk__in=part, backend=backend).update(settled_at=None)
    point("controller.link.remembered")


def forget(rap_id: str) -> None:
    """The request turned out to be another client's: its jobs are none of this server's business."""
    LinkedRequest.objects.filter(pk=rap_id).delete()


def remembered(backend: str, rap_ids: Iterable[str]) -> set[str]:
    """Those of these requests that came by the backend's link."""
    rows = LinkedRequest.objects.filter(backend=backend)
    parts = (rows.filter(pk__in=part).values_list("pk", flat=True) for part in in_parts(list(rap_ids)))
    return {rap_id for part in parts for rap_id in part}


def unsettled(backend: str) -> list[str]:
    """The requests of which the server has not heard the last, the oldest first."""
    rows = LinkedRequest.objects.filter(backend=backend, settled_at=None)
    return list(rows.order_by("seen_at", "pk").values_list("pk", flat=True))


def settle(rap_ids: Iterable[str]) -> None:
    """The server has heard the last of these requests."""
    for part in in_parts(list(rap_ids)):
        rows = LinkedRequest.objects.filter(pk__in=part, settled_at=None)
        if rows.exists():  # else not even a transaction that writes
            rows.update(settled_at=clock.now())
    point("controller.link.settled")
