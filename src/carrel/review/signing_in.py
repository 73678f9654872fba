"""Signing in: by three words that the job server knows, or by the password of an account of this machine.

Who fails too often is kept out for a while, by the name and by the address. How often is counted in the audit log, so
that it holds for all processes and after a restart. What cannot be asked is not believed: without the job server nobody
signs in, and rights that are older than they may be are no rights.
"""

import logging
from datetime import datetime, timedelta
from typing import NoReturn

from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache
from django.utils.crypto import salted_hmac

from carrel.clients.job_server_connection import JobServerError, JobServerRefused
from carrel.clients.releases import ReleasesClient
from carrel.review import settings
from carrel.review.audit_types import AuditType
from carrel.review.models import Account, AuditEvent
from carrel.review.service import accounts
from carrel.units.words import is_storable

logger = logging.getLogger(__name__)

FAILURES_OF_A_NAME = 5
FAILURES_OF_AN_ADDRESS = 50
"""More than of a name: whole offices come from one address."""
WINDOW = timedelta(minutes=15)
"""In which failures are counted, and for which they keep out."""
OUTAGE_SECONDS = 15
"""So long after the job server could not be asked for rights, pages do not wait for it again."""
_OUTAGE_KEY = "review-job-server-outage"
_WRONG_SIGN_IN = "Wrong username or password."
_WRONG_WORDS = (
    "The job server does not take this username with these words. Each three words work once, within the hour: have it "
    "show you new ones."
)


class SignInRefused(Exception):
    """Somebody is not let in; says what to do, and not whether there is such an account."""


def sign_in_by_password(username: str, password: str, address: str, now: datetime) -> Account:
    """Return the account of this machine whose password this is. Raises SignInRefused."""
    _check_throttle(username, address, now)
    account = Account.objects.filter(pk=username, is_active=True, source=Account.AccountSource.LOCAL).first()
    # A hash is worked out for nobody too: how long it takes does not tell who has an account.
    fits = check_password(password, account.password if account else make_password("nobody"))
    if account is None or not account.password or not fits:
        _refuse(username, address, _WRONG_SIGN_IN)
    accounts.record_sign_in(account, fingerprint(username), address)
    return account


def sign_in_by_words(user: str, words: str, address: str, now: datetime) -> Account:
    """Return the account of whom the job server knows by these three words. Raises SignInRefused."""
    _check_throttle(user, address, now)
    try:
        with _client() as client:
            person = client.authenticate(user, words)
    except JobServerError as error:
        if isinstance(error, JobServerRefused) and error.status in (400, 403, 404, 422):
            logger.info("The job server refuses a sign-in (%d).", error.status)
            _refuse(user, address, _WRONG_WORDS)
        logger.warning("Nobody can sign in: %s", error)
        raise SignInRefused("The job server cannot be asked just now. Try again in a minute.") from error
    account = accounts.known_by_job_server(person, now)
    if account is None:
        _refuse(user, address, "Your account is closed on this backend. Its engineers can open it.")
    accounts.record_sign_in(account, fingerprint(user), address)
    return account


def with_current_rights(account: Account, now: datetime) -> Account:
    """Return the account with the rights that hold now; the job server is asked where they are too old.

    Where it refuses, they are taken away; where it cannot be asked, they stay too old to be used.
    """
    oldest = now - timedelta(seconds=settings.get().review_authorisation_seconds)
    if account.source != Account.AccountSource.JOB_SERVER or (account.authorised_at or oldest) > oldest:
        return account
    if cache.get(_OUTAGE_KEY):
        return account
    try:
        with _client() as client:
            person = client.authorise(account.username)
    except JobServerRefused as error:
        if error.status in (403, 404):
            accounts.lose_rights(account)
            return account
        logger.warning("Rights cannot be asked for: %s", error)
        cache.set(_OUTAGE_KEY, True, OUTAGE_SECONDS)
        return account
    except JobServerError as error:
        logger.warning("Rights cannot be asked for: %s", error)
        cache.set(_OUTAGE_KEY, True, OUTAGE_SECONDS)
        return account
    if person.username != account.username:
        accounts.lose_rights(account)
        return account
    return accounts.known_by_job_server(person, now) or account


def fingerprint(name: str) -> str:
    """Return what stands for a typed name in the audit log: people type passwords into the wrong field."""
    return salted_hmac("carrel.review.sign_in", name.strip().lower()).hexdigest()[:24]


def _client() -> ReleasesClient:
    own = settings.get()
    return ReleasesClient(own.job_server_endpoint, own.token)


def _check_throttle(name: str, address: str, now: datetime) -> None:
    """Raise SignInRefused where there were too many failures of this name or from this address."""
    if not is_storable(name):
        raise SignInRefused(_WRONG_SIGN_IN)
    failures = AuditEvent.objects.filter(event_type=AuditType.SIGN_IN_REFUSED, at__gt=now - WINDOW)
    success = AuditEvent.objects.filter(event_type=AuditType.SIGN_IN, extra__name=fingerprint(name)).first()
    of_name = failures.filter(extra__name=fingerprint(name), number__gt=success.number if success else 0)
    if (
        of_name.count() >= FAILURES_OF_A_NAME
        or failures.filter(extra__address=address).count() >= FAILURES_OF_AN_ADDRESS
    ):
        minutes = int(WINDOW.total_seconds() // 60)
        raise SignInRefused(f"Too many attempts failed. Try again in {minutes} minutes, or ask the engineers.")


def _refuse(name: str, address: str, why: str) -> NoReturn:
    """Note a failure, and raise SignInRefused."""
    accounts.record_refusal(fingerprint(name), address)
    raise SignInRefused(why)
