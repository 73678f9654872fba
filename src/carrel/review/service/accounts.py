"""Accounts and levels: made, changed and closed, each with its audit event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    MinimumLengthValidator,
    validate_password,
)
from django.db import transaction

from carrel.messages.level4 import Level4Person, WorkspaceDetails
from carrel.review import settings
from carrel.review.audit_types import AuditType
from carrel.review.models import Account, LevelGrant
from carrel.review.models.people import USERNAME_LENGTH
from carrel.review.permissions import LEVELS
from carrel.review.service.audit import record
from carrel.units.words import is_storable

SHORTEST_PASSWORD = 12


class AccountRefused(Exception):
    """An account cannot be changed so; says why."""


def record_sign_in(account: Account, name: str, address: str) -> None:
    """Note that somebody signed in. `name`: what stands for what they typed."""
    record(AuditType.SIGN_IN, actor=account.username, extra={"name": name, "address": address})


def record_refusal(name: str, address: str) -> None:
    """Note that somebody was not let in."""
    record(AuditType.SIGN_IN_REFUSED, actor="", extra={"name": name, "address": address})


def known_by_job_server(person: Level4Person, now: datetime) -> Account | None:
    """Store what the job server says of a person; None where their account is closed on this backend."""
    rights = person.model_dump(mode="json")
    if not is_storable(person.username + person.fullname) or not 0 < len(person.username) <= USERNAME_LENGTH:
        return None
    with transaction.atomic():
        account = Account.objects.select_for_update().filter(pk=person.username).first()
        if account is not None and not account.is_active:
            return None
        before = _told_of(account.authorisation) if account else None
        account, _ = Account.objects.update_or_create(
            username=person.username,
            defaults={
                "fullname": person.fullname[:200],
                "source": Account.AccountSource.JOB_SERVER,
                "password": "",
                "authorisation": rights,
                "authorised_at": now,
            },
        )
        if before != _told_of(rights):
            record(AuditType.ACCOUNT_RIGHTS, actor=person.username, extra=_told_of(rights))
    return account


def lose_rights(account: Account) -> None:
    """Take away what the job server said of somebody before; it says now that they may do nothing here."""
    with transaction.atomic():
        account.authorisation, account.authorised_at = {}, None
        account.save(update_fields=["authorisation", "authorised_at"])
        record(AuditType.ACCOUNT_RIGHTS, actor=account.username, extra=_told_of({}))


def add_local(username: str, *, fullname: str, password: str, email: str, orcid: str, actor: str) -> Account:
    """Make an account of this machine. Raises AccountRefused and Django's ValidationError for a weak password."""
    if not username.isprintable() or username != username.strip() or not 0 < len(username) <= USERNAME_LENGTH:
        raise AccountRefused(f"A username is 1 to {USERNAME_LENGTH} printable characters.")
    if Account.objects.filter(pk=username).exists():
        raise AccountRefused(f"There is an account {username} already.")
    with transaction.atomic():
        account = Account.objects.create(
            username=username,
            fullname=fullname or username,
            source=Account.AccountSource.LOCAL,
            password=_hashed(password),
            authorisation=Level4Person(
                username=username,
                fullname=fullname or username,
                workspaces={},
                copiloted_workspaces={},
                output_checker=False,
                readonly_access=False,
            ).model_dump(mode="json"),
            email=email,
            orcid=orcid,
        )
        record(AuditType.ACCOUNT_ADD, actor=actor, extra={"account": username})
    return account


def set_password(username: str, password: str, *, actor: str) -> None:
    """Give an account of this machine another password; its sessions end. Raises as `add_local` does."""
    with transaction.atomic():
        account = local_account(username)
        account.password = _hashed(password)
        account.save(update_fields=["password"])
        record(AuditType.ACCOUNT_CHANGED_SIGN_IN, actor=actor, extra={"account": username})


def set_membership(username: str, workspace: str, details: WorkspaceDetails | None, *, actor: str) -> None:
    """Make somebody a member of a workspace with these details, or with None no member. Raises AccountRefused."""
    with transaction.atomic():
        account = local_account(username)
        workspaces = {name: value for name, value in account.authorisation["workspaces"].items() if name != workspace}
        if details is not None:
            workspaces[workspace] = details.model_dump(mode="json")
        account.authorisation["workspaces"] = workspaces
        account.save(update_fields=["authorisation"])
        record(AuditType.ACCOUNT_RIGHTS, actor=actor, extra={"account": username, **_told_of(account.authorisation)})


def set_checker(username: str, *, is_checker: bool, actor: str) -> None:
    """Make somebody an output checker, or one no more. Raises AccountRefused."""
    with transaction.atomic():
        account = local_account(username)
        account.authorisation["output_checker"] = is_checker
        account.save(update_fields=["authorisation"])
        record(AuditType.ACCOUNT_RIGHTS, actor=actor, extra={"account": username, **_told_of(account.authorisation)})


def set_level(username: str, level: int, *, is_granted: bool, actor: str) -> None:
    """Let somebody open what is of a level on this backend, or no more. Raises AccountRefused."""
    if level not in LEVELS:
        raise AccountRefused(f"There is no level {level}; there are {', '.join(map(str, LEVELS))}.")
    backend = settings.get().backend
    with transaction.atomic():
        account = account_named(username)
        if is_granted:
            LevelGrant.objects.get_or_create(
                account=account, backend=backend, level=level, defaults={"granted_by": actor[:USERNAME_LENGTH]}
            )
        else:
            LevelGrant.objects.filter(account=account, backend=backend, level=level).delete()
        extra = {"account": username, "backend": backend, "level": level, "granted": is_granted}
        record(AuditType.ACCOUNT_LEVEL, actor=actor, extra=extra)


def close(username: str, *, is_open: bool = False, actor: str) -> None:
    """Let an account in no more, or again; what it did stays. Raises AccountRefused."""
    with transaction.atomic():
        account = account_named(username)
        account.is_active = is_open
        account.save(update_fields=["is_active"])
        record(AuditType.ACCOUNT_OPEN if is_open else AuditType.ACCOUNT_CLOSE, actor=actor, extra={"account": username})


def account_named(username: str) -> Account:
    """Return an account, locked until the transaction ends. Raises AccountRefused."""
    account = Account.objects.select_for_update().filter(pk=username).first()
    if account is None:
        raise AccountRefused(f"There is no account {username}. `carrel manage review_account add` makes one.")
    return account


def local_account(username: str) -> Account:
    """Return an account of this machine, locked likewise. Raises AccountRefused."""
    account = account_named(username)
    if account.source != Account.AccountSource.LOCAL:
        raise AccountRefused(f"{username} is an account of the job server; change what they may do there.")
    return account


def _hashed(password: str) -> str:
    validate_password(
        password, password_validators=[MinimumLengthValidator(SHORTEST_PASSWORD), CommonPasswordValidator()]
    )
    return make_password(password)


def _told_of(rights: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of somebody's rights is worth an audit event when it changes."""
    return {
        "workspaces": sorted(rights.get("workspaces", ())),
        "copiloted_workspaces": sorted(rights.get("copiloted_workspaces", ())),
        "output_checker": bool(rights.get("output_checker")),
        "readonly_access": bool(rights.get("readonly_access")),
    }
