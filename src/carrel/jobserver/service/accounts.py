"""What persons change of their own account, and the links with which they choose a password or confirm an address."""

from datetime import timedelta
from urllib.parse import urljoin

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.models import PersonRequirement, Requirement, User
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.models.people import NAME_LENGTH
from carrel.jobserver.service.account_mails import send_soon
from carrel.jobserver.service.audit import Actor, record

ADDRESS_LINK_SECONDS = 86400
ADDRESS_SALT = "carrel.jobserver.address"


class AccountError(Exception):
    """An account cannot be changed so; says why."""


def mail_is_configured() -> bool:
    """Tell whether this site can send mail (EMAIL_HOST)."""
    return bool(settings.EMAIL_HOST)


def password_link(user: User, actor: Actor) -> str:
    """Return a link with which the person chooses a password: it holds for a day, once, and ends at the next sign-in.

    For staff of a site without mail, who hand it over by another way. Raises AccountError for an account that is
    closed, or a program's.
    """
    if not user.is_active or user.is_bot:
        raise AccountError("This account is closed, or a program's: nobody signs in with it.")
    key = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    _record(actor, "password_link.created", user)
    return urljoin(f"{settings.JOBSERVER_URL}/", reverse("account_reset_password_from_key", kwargs=key))


def set_password(user: User, password: str, actor: Actor) -> None:
    """Give the account this password; sessions that it has end. Raises ValidationError for a weak one."""
    validate_password(password, user)
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        _record(actor, "password.set", user)


def change_name(user: User, fullname: str, actor: Actor) -> None:
    """Raises AccountError for no name, or a very long one."""
    new = " ".join(fullname.split())
    if not 0 < len(new) <= NAME_LENGTH:
        raise AccountError(f"A name has 1 to {NAME_LENGTH} letters.")
    with transaction.atomic():
        old, user.fullname = user.fullname, new
        user.save(update_fields=["fullname"])
        record(actor, "person.renamed", subject_type="user", subject=user.username, old=old, new=new)


def choose_digest(user: User, digest: bool, actor: Actor) -> None:
    """One mail a day instead of one a run, or back."""
    with transaction.atomic():
        user.digest = digest
        user.save(update_fields=["digest"])
        record(actor, "person.digest_chosen", subject_type="user", subject=user.username, new=digest)


def ask_for_address(user: User, address: str, actor: Actor) -> bool:
    """Take a new address, or send it a link that takes it, where the site sends mail. True: a link was sent.

    Whether somebody else has the address is told to nobody but its owner, who gets no link. Raises AccountError for
    what is no address, and, without mail, for one that is taken.
    """
    address = address.strip().lower()
    if not address:
        _take_address(user, None, actor)
        return False
    try:
        validate_email(address)
    except ValidationError as error:
        raise AccountError("This is no e-mail address.") from error
    is_taken = User.objects.filter(email=address).exclude(pk=user.pk).exists()
    if not mail_is_configured():
        if is_taken:
            raise AccountError("Another account has this address.")
        _take_address(user, address, actor)
        return False
    _record(actor, "address.asked", user)
    if not is_taken:
        token = signing.dumps([user.pk, address], salt=ADDRESS_SALT)
        link = urljoin(f"{settings.JOBSERVER_URL}/", reverse("confirm-address", kwargs={"token": token}))
        body = (
            f"Dear {user.fullname},\n\nopen this link within a day to use this address with your account "
            f"{user.username}:\n\n{link}\n\nIf you did not ask for it, do nothing.\n"
        )
        send_soon(EmailMessage("Confirm your address", body, to=[address]))
    return True


def confirm_address(user: User, token: str, actor: Actor) -> None:
    """Take the address of a link that was sent. Raises AccountError: old, another's, or taken in the meantime."""
    try:
        pk, address = signing.loads(token, salt=ADDRESS_SALT, max_age=timedelta(seconds=ADDRESS_LINK_SECONDS))
    except signing.BadSignature as error:
        raise AccountError("This link is not valid, or no longer. Ask for a new one in your settings.") from error
    if pk != user.pk:
        raise AccountError("This link is of another account. Sign in with that one, then open it again.")
    if User.objects.filter(email=address).exclude(pk=user.pk).exists():
        raise AccountError("This address cannot be used.")
    _take_address(user, address, actor)


def sign_agreement(user: User, requirement: Requirement, actor: Actor) -> PersonRequirement:
    """Record that the person agreed today. Raises AccountError for a training, which staff record."""
    if requirement.kind != Requirement.RequirementKind.AGREEMENT:
        raise AccountError("A training is recorded by staff once you have done it.")
    today = timezone.now().date()
    ends = today + timedelta(days=requirement.valid_days) if requirement.valid_days else None
    with transaction.atomic():
        signed = PersonRequirement.objects.create(
            user=user,
            requirement=requirement,
            obtained_on=today,
            expires_on=ends,
            evidence="Signed on the site.",
            created_by=user,
        )
        new = {"requirement": requirement.slug, "expires_on": ends and ends.isoformat()}
        record(actor, "agreement.signed", category=SECURITY, subject_type="user", subject=user.username, new=new)
    return signed


def end_sessions(user: User, actor: Actor, keep: str | None = None) -> int:
    """Sign the person out everywhere, except in the session of the key `keep`. Returns in how many places."""
    sessions = [session for session in UserSession.objects.filter(user=user) if session.session_key != keep]
    with transaction.atomic():
        for session in sessions:
            session.end()
        record(
            actor,
            "sessions.ended",
            category=SECURITY,
            subject_type="user",
            subject=user.username,
            new={"sessions": len(sessions)},
        )
    return len(sessions)


def _take_address(user: User, address: str | None, actor: Actor) -> None:
    with transaction.atomic():
        old, user.email = user.email, address
        user.save(update_fields=["email"])
        # The library keeps addresses of its own; an old one there would still reset the password.
        EmailAddress.objects.filter(user=user).delete()
        record(
            actor,
            "address.changed",
            category=SECURITY,
            subject_type="user",
            subject=user.username,
            old=old,
            new=user.email,
        )


def _record(actor: Actor, action: str, user: User) -> None:
    record(actor, action, category=SECURITY, subject_type="user", subject=user.username)
