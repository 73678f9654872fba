"""Who is signed in: the account of a session, and what it may do now."""

from datetime import datetime, timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from pydantic import ValidationError

from carrel.messages.level4 import Level4Person
from carrel.review import policy, settings
from carrel.review.checks import remember_session
from carrel.review.models import Account
from carrel.review.signing_in import with_current_rights
from carrel.review.viewers import Viewer

SESSION_KEY = "review_account"
STAMP_KEY = "review_stamp"


def begin_session(session: SessionBase, account: Account) -> None:
    """Sign an account in: a new session, of which nobody knew the key before."""
    session.flush()
    session[SESSION_KEY], session[STAMP_KEY] = account.pk, _stamp(account)
    session.save()
    remember_session(str(session.session_key))


def account_of(session: SessionBase) -> Account | None:
    """Return the account of a session that is open and has the password that it had when it signed in."""
    username = session.get(SESSION_KEY)
    account = Account.objects.prefetch_related("levels").filter(pk=username, is_active=True).first()
    if account is None or not constant_time_compare(session.get(STAMP_KEY, ""), _stamp(account)):
        return None
    return account


def viewer_of(request: HttpRequest) -> Viewer | None:
    """Return who is signed in, once per request; None for a stranger, a closed account, or rights that are too old.

    Rights that the job server gave are asked for anew where they are older than they may be.
    """
    if not hasattr(request, "_viewer"):
        now = timezone.now()
        account = account_of(request.session)
        request._viewer = viewer(with_current_rights(account, now), now) if account else None
    return request._viewer


def _stamp(account: Account) -> str:
    """Return what changes with an account's password: sessions of before end with it."""
    return salted_hmac("carrel.review.session", f"{account.source} {account.password}").hexdigest()


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
