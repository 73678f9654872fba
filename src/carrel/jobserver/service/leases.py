"""Who works at what: one process at a time holds the lease of a piece of work, and renews it while it lives."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from carrel.jobserver.models import WorkLease

LEASE_SECONDS = 10.0
"""So long after a process was killed another one takes its work up."""


def hold(name: str, holder: str) -> bool:
    """Take or renew the lease; False while somebody else holds it.

    Cheap to call often: a lease that is far from its end is not written, and neither is somebody else's.
    """
    now = timezone.now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    lease = WorkLease.objects.filter(name=name).first()
    if lease is None:
        WorkLease.objects.bulk_create([WorkLease(name=name, holder=holder, expires_at=until)], ignore_conflicts=True)
        return WorkLease.objects.filter(name=name, holder=holder).exists()
    if lease.holder == holder and lease.expires_at - now > timedelta(seconds=LEASE_SECONDS / 2):
        return True
    if lease.holder != holder and lease.expires_at > now:
        return False
    mine_or_over = Q(holder=holder) | Q(expires_at__lte=now)
    return bool(WorkLease.objects.filter(mine_or_over, name=name).update(holder=holder, expires_at=until))


def release(name: str, holder: str) -> None:
    """Let another process take the work up at once."""
    WorkLease.objects.filter(name=name, holder=holder).delete()
