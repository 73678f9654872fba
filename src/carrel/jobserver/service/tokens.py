"""Tokens: of persons for their programs, of backends for our API, and the three words of level 4.

Long tokens hold 256 random bits, so a plain SHA-256 of them tells nothing, and no more is stored. Three words can be
guessed from a fast hash, so they are stored by Django's password hasher, for an hour, for one use and few tries.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from carrel.jobserver.checks import forget_token, remember_token
from carrel.jobserver.models import (
    AuditEvent,
    Backend,
    BackendToken,
    Level4Token,
    OutgoingMessage,
    PersonalToken,
    User,
)
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service.audit import Actor, record

PERSONAL_PREFIX = "carrel_p_"
BACKEND_PREFIX = "carrel_b_"
"""By these, programs that search for leaked secrets know ours."""
HINT_LENGTH = 12
LONGEST_LIFE = timedelta(days=365)
TOKENS_AT_ONCE = 20
BACKEND_TOKENS_AT_ONCE = 5
MAX_STORED = 20_000
NOTE_USE_EVERY = timedelta(minutes=1)

LEVEL4_LIFE = timedelta(hours=1)
LEVEL4_TRIES = 5
LEVEL4_CREATED_PER_HOUR = 10
LEVEL4_FAILURES_OF_PERSON = 15
LEVEL4_FAILURES_OF_BACKEND = 200
LEVEL4_WINDOW = timedelta(hours=1)
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aiou"
PRONOUNCEABLE = (CONSONANTS, VOWELS, CONSONANTS, VOWELS, CONSONANTS)
"""The letters of a word of 16 bits that can be said aloud: a proquint (D. S. Wilkerson, 2009)."""


class TokenNotIssued(Exception):
    """A token cannot be made; says why and what to do."""


def create_personal_token(
    user: User,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime,
    actor: Actor,
    *,
    with_second_factor: bool = False,
) -> str:
    """Make a token for the person's programs and return it: the only time that it can be seen.

    `with_second_factor`: the session that asked for it was signed in with one.
    Raises TokenNotIssued: no name, no or unknown scopes, an end that is past or more than a year away, too many tokens.
    """
    now = timezone.now()
    unknown = sorted(set(scopes) - set(Scope))
    if not name.strip():
        raise TokenNotIssued("Give the token a name, so that you know later what uses it.")
    if not scopes or unknown:
        raise TokenNotIssued(f"Choose what the token may do: {', '.join(Scope)}.")
    if not now < expires_at <= now + LONGEST_LIFE:
        raise TokenNotIssued("A token ends after now and within a year.")
    raw = PERSONAL_PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        if user.tokens.filter(revoked_at=None, expires_at__gt=now).count() >= TOKENS_AT_ONCE:
            raise TokenNotIssued(f"You have {TOKENS_AT_ONCE} tokens already. Revoke one that nothing uses.")
        token = PersonalToken.objects.create(
            user=user,
            name=name.strip()[:100],
            hash=hashed(raw),
            hint=raw[:HINT_LENGTH],
            scopes=sorted(set(scopes)),
            expires_at=expires_at,
            with_second_factor=with_second_factor,
        )
        new = {"name": token.name, "scopes": token.scopes, "expires_at": expires_at.isoformat()}
        _record(actor, "personal_token.created", user, new=new)
    return raw


def person_of_token(raw: str) -> PersonalToken | None:
    """Return the token (with its user) if it is valid now, and note that it was used; else None."""
    now = timezone.now()
    token = (
        PersonalToken.objects.select_related("user")
        .filter(hash=hashed(raw), revoked_at=None, expires_at__gt=now, user__is_active=True)
        .first()
    )
    if token is not None:
        _note_use(token, raw)
    return token


def revoke_personal_token(token: PersonalToken, actor: User) -> None:
    """End a token at once. Twice changes nothing."""
    with transaction.atomic():
        revoked = PersonalToken.objects.filter(pk=token.pk, revoked_at=None).update(
            revoked_at=timezone.now(), revoked_by=actor
        )
        if revoked:
            _record(actor, "personal_token.revoked", token.user, old={"name": token.name})
    forget_token(token.hash)


def create_backend_token(backend: Backend, actor: Actor, *, older_end_after: timedelta | None = None) -> str:
    """Make a token with which the backend speaks to our API, and return it: the only time that it can be seen.

    `older_end_after`: the tokens it has now end after this time, so that nothing is interrupted while the new one is
    put in place; None leaves them as they are. Raises TokenNotIssued when too many are valid at once.
    """
    now = timezone.now()
    raw = BACKEND_PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        valid = backend.tokens.filter(_not_ended(now))
        if older_end_after is not None:
            ends = now + older_end_after
            valid.filter(Q(expires_at=None) | Q(expires_at__gt=ends)).update(expires_at=ends)
        elif valid.count() >= BACKEND_TOKENS_AT_ONCE:
            raise TokenNotIssued(f"{backend} has {BACKEND_TOKENS_AT_ONCE} valid tokens. Let the older ones end.")
        maker = actor if isinstance(actor, User) else getattr(actor, "person", None)
        BackendToken.objects.create(backend=backend, hash=hashed(raw), hint=raw[:HINT_LENGTH], created_by=maker)
        ends_text = None if older_end_after is None else (now + older_end_after).isoformat()
        record(
            actor,
            "backend_token.created",
            category=SECURITY,
            subject_type="backend",
            subject=backend.slug,
            backend=backend,
            new={"hint": raw[:HINT_LENGTH], "older_end_at": ends_text},
        )
    return raw


def backend_of_token(raw: str) -> Backend | None:
    """Return the active backend whose token this is, if it is valid now, and note that it was used; else None."""
    token = (
        BackendToken.objects.select_related("backend")
        .filter(_not_ended(timezone.now()), hash=hashed(raw), backend__is_active=True)
        .first()
    )
    if token is None:
        return None
    _note_use(token, raw)
    return token.backend


def revoke_backend_token(token: BackendToken, actor: Actor) -> None:
    """End a token at once. Twice changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        ended = BackendToken.objects.filter(_not_ended(now), pk=token.pk).update(expires_at=now)
        if ended:
            record(
                actor,
                "backend_token.revoked",
                category=SECURITY,
                subject_type="backend",
                subject=token.backend.slug,
                backend=token.backend,
                old={"hint": token.hint},
            )
    forget_token(token.hash)


def create_level4_token(user: User, actor: Actor) -> str:
    """Make three words with which the person signs in once inside a backend, within the hour; older ones end.

    Raises TokenNotIssued for who may not have one: a program, a closed account, nobody's backend; or one too many.
    """
    now = timezone.now()
    if user.is_bot or not user.is_active or not user.backends.filter(is_active=True).exists():
        raise TokenNotIssued("These words open backends, and you are a member of none. Staff can add you to one.")
    words = " ".join("".join(secrets.choice(letters) for letters in PRONOUNCEABLE) for _ in range(3))
    with transaction.atomic():
        if user.level4_tokens.filter(created_at__gt=now - LEVEL4_WINDOW).count() >= LEVEL4_CREATED_PER_HOUR:
            raise TokenNotIssued("You made many of these within the hour. Wait a while, then try again.")
        user.level4_tokens.filter(used_at=None, expires_at__gt=now).update(expires_at=now)
        token = Level4Token.objects.create(
            user=user, hash=make_password(_normal(words)), created_at=now, expires_at=now + LEVEL4_LIFE
        )
        _record(actor, "level4_token.created", user)
        _mail(user, token, "created", "was made for you. It ends after an hour and can be used once")
    return words


def use_level4_token(user: User, words: str, actor: Actor) -> bool:
    """Tell whether these words are the person's, now; if so, they are used up.

    Capitals, spaces and hyphens count for nothing. After LEVEL4_TRIES wrong tries the words no longer count, and after
    many wrong tries within the hour, for one person or from one backend, none do.
    """
    now = timezone.now()
    if not user.is_active or _too_many_failures(user, actor, now):
        _record(actor, "level4_token.throttled" if user.is_active else "level4_token.refused", user)
        return False
    token = user.level4_tokens.filter(used_at=None, expires_at__gt=now, failures__lt=LEVEL4_TRIES).first()
    # The try is counted before the words are looked at, so that many at the same moment get no more than the limit.
    counted = token is not None and bool(
        Level4Token.objects.filter(pk=token.pk, used_at=None, failures__lt=LEVEL4_TRIES).update(
            failures=F("failures") + 1
        )
    )
    stored = token.hash if token is not None and counted else make_password(None)
    if not check_password(_normal(words[:200]), stored) or token is None:
        _record(actor, "level4_token.refused", user)
        return False
    with transaction.atomic():
        used = Level4Token.objects.filter(pk=token.pk, used_at=None).update(used_at=now, failures=F("failures") - 1)
        if used:
            _record(actor, "level4_token.used", user)
            _mail(user, token, "used", "was used to sign in. If that was not you, tell your platform's staff")
    return bool(used)


def stored_hashes() -> list[str]:
    """The hashes of all long tokens that are valid now, the newest MAX_STORED of each kind."""
    valid = _not_ended(timezone.now())
    of_persons = PersonalToken.objects.filter(valid, revoked_at=None)
    return [
        token_hash
        for tokens in (BackendToken.objects.filter(valid), of_persons)
        for token_hash in tokens.order_by("-pk").values_list("hash", flat=True)[:MAX_STORED]
    ]


def hashed(raw: str) -> str:
    """SHA-256 in hexadecimal digits, which is all that is stored of a long token."""
    return hashlib.sha256(raw.encode(errors="surrogateescape")).hexdigest()


def _not_ended(now: datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=now)


def _note_use(token: PersonalToken | BackendToken, raw: str) -> None:
    """Long bodies are taken from its sender from now on; its row tells to the minute when it was used."""
    now = timezone.now()
    remember_token(raw)
    if token.last_used_at is None or token.last_used_at < now - NOTE_USE_EVERY:
        type(token).objects.filter(pk=token.pk).update(last_used_at=now)


def _normal(words: str) -> str:
    return "".join(letter for letter in words.lower() if letter.isalnum())


def _too_many_failures(user: User, actor: Actor, now: datetime) -> bool:
    recent = AuditEvent.objects.filter(category=SECURITY, action="level4_token.refused", at__gt=now - LEVEL4_WINDOW)
    of_person = recent.filter(subject_type="user", subject=user.username).count()
    backend = actor if isinstance(actor, Backend) else getattr(actor, "backend", None)
    of_backend = recent.filter(actor=f"backend:{backend.slug}").count() if isinstance(backend, Backend) else 0
    return of_person >= LEVEL4_FAILURES_OF_PERSON or of_backend >= LEVEL4_FAILURES_OF_BACKEND


def _mail(user: User, token: Level4Token, event: str, sentence: str) -> None:
    """Put a mail into the outbox, where the site sends mail and the person has an address."""
    if not (settings.EMAIL_HOST and user.email):
        return
    OutgoingMessage.objects.create(
        channel=OutgoingMessage.Channel.MAIL,
        recipient=user,
        subject=f"Level 4 token {event}",
        body=f"Dear {user.fullname},\n\na level 4 token {sentence}.\n\n{settings.JOBSERVER_URL}/settings/\n",
        key=f"level4-token-{event}-{token.pk}",
    )


def _record(actor: Actor, action: str, user: User, old: object = None, new: object = None) -> None:
    record(actor, action, category=SECURITY, subject_type="user", subject=user.username, old=old, new=new)
