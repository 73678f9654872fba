"""Who works at what: one process at a time holds the lease of a piece of work, and renews it while it lives."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from carrel.review.models import ReviewLease

LEASE_SECONDS = 10.0
"""So long after a process was killed another one takes its work up."""


def hold(name: str, holder: str) -> bool:
    """Take or renew the lease; False while somebody else holds it. One that is far from its end is not written."""
    now = timezone.now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    half_way = now + timedelta(seconds=LEASE_SECONDS / 2)
    if ReviewLease.objects.filter(name=name, holder=holder, expires_at__gt=half_way).exists():
        return True
    own_or_over = Q(holder=holder) | Q(expires_at__lte=now)
    if ReviewLease.objects.filter(own_or_over, name=name).update(holder=holder, expires_at=until):
        return True
    ReviewLease.objects.bulk_create([ReviewLease(name=name, holder=holder, expires_at=until)], ignore_conflicts=True)
    return ReviewLease.objects.filter(name=name, holder=holder).exists()


def release(name: str, holder: str) -> None:
    """Let another process take the work up at once."""
    ReviewLease.objects.filter(name=name, holder=holder).delete()
