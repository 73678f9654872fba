"""Who is signed in: the account of a session, and what it may do now."""

from datetime import datetime, timedelta

from django.http import HttpRequest
from django.utils import timezone
from pydantic import ValidationError

from carrel.messages.level4 import Level4Person
from carrel.review import policy, settings
from carrel.review.models import Account
from carrel.review.viewers import Viewer

SESSION_KEY = "review_account"


def viewer_of(request: HttpRequest) -> Viewer | None:
    """Return who is signed in, once per request; None for a stranger, a closed account, or rights that are too old."""
    if not hasattr(request, "_viewer"):
        username = request.session.get(SESSION_KEY)
        account = Account.objects.prefetch_related("levels").filter(pk=username, is_active=True).first()
        request._viewer = viewer(account, timezone.now()) if account else None
    return request._viewer


def viewer(account: Account, now: datetime) -> Viewer | None:
    """Return what an account may do here; None where what the job server said is older than it may be, or unreadable.

    Rights that could not be asked for anew are not used: they may have been taken away.
    """
    own = settings.get()
    is_from_job_server = account.source == Account.AccountSource.JOB_SERVER
    if is_from_job_server:
        oldest = now - timedelta(seconds=own.review_authorisation_seconds)
        if account.authorised_at is None or account.authorised_at < oldest:
            return None
    try:
        person = Level4Person.model_validate(account.authorisation)
    except ValidationError:
        return None
    visibility = policy.get().visibility
    levels = {grant.level for grant in account.levels.all() if grant.backend == own.backend}
    return Viewer(
        username=account.username,
        fullname=account.fullname,
        workspaces=person.workspaces,
        copiloted=person.copiloted_workspaces if visibility.copilots else {},
        is_checker=person.output_checker,
        may_read_all=person.readonly_access and visibility.readers_of_everything,
        # The job server signs in members of this backend only, which is what level 4 means.
        levels=frozenset(levels | {4} if is_from_job_server else levels),
    )
