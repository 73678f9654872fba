"""Who may talk: tokens from the settings ({B}_JOB_SERVER_TOKEN, {B}_CLIENT_TOKENS) and from the Token table.

Tokens that Carrel makes hold 256 random bits, so that a plain SHA-256 of them tells nothing. The table holds no more.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from django.db import transaction

from carrel.controller import clock, settings
from carrel.controller.models import Token
from carrel.controller.service import events

VALID_AT_ONCE = 2
REMEMBERED = 1000
_seen_valid: OrderedDict[str, None] = OrderedDict()
"""Hashes of tokens that were valid when this process last looked, newest last."""


class TokenError(Exception):
    """A token cannot be made or revoked; says why and what to do."""


def hashed(token: str) -> str:
    """SHA-256 in hex, which is all that is stored of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def agent_token_is_valid(backend: str, token: str) -> bool:
    """True when this raw token belongs to the agent of this backend. Compared in constant time."""
    own = settings.get().per_backend.get(backend)
    from_settings = [own.job_server_token] if own and own.job_server_token else []
    stored = Token.objects.filter(kind=Token.Kind.AGENT, backend=backend, revoked_at=None)
    return _matches(token, from_settings, stored.values_list("token_hash", flat=True))


def backends_of_client_token(token: str) -> list[str]:
    """Sorted slugs of the backends a client of the RAP API may use with this raw token; empty when it is not valid."""
    stored: dict[str, list[str]] = {}
    rows = Token.objects.filter(kind=Token.Kind.CLIENT, revoked_at=None).values_list("backend", "token_hash")
    for backend, token_hash in rows:
        stored.setdefault(backend, []).append(token_hash)
    backends = settings.get().per_backend
    return sorted(b for b in backends if _matches(token, backends[b].client_tokens, stored.get(b, [])))


def raw_token(header: str) -> str:
    """The raw token of an Authorization header; `Bearer <token>` is the same (the contract took only the raw one)."""
    kind, _, rest = header.strip().partition(" ")
    return rest.strip() if kind.lower() == "bearer" and rest.strip() else header.strip()


def is_known(header: str) -> bool:
    """Whether a header's token is of the settings, or was valid when this process last looked. Asks no database.

    For deciding what to take from a caller before its token is really checked; it gives no rights.
    """
    mine = hashed(raw_token(header))
    backends = settings.get().per_backend.values()
    tokens = [token for own in backends for token in (own.job_server_token, *own.client_tokens) if token]
    return bool(header) and (mine in _seen_valid or mine in set(map(hashed, tokens)))


def stored_hashes() -> list[str]:
    """The hashes of all tokens in the table that are not revoked."""
    return list(Token.objects.filter(revoked_at=None).values_list("token_hash", flat=True))


def _matches(token: str, raw: Iterable[str], hashes: Iterable[str]) -> bool:
    """False for no token at all, whatever is stored."""
    mine = hashed(token)
    # Every candidate is compared, so that the time taken tells nothing of which one it was.
    matches = sum(hmac.compare_digest(mine, other) for other in [*map(hashed, raw), *hashes]) > 0
    if not (matches and token):
        return False
    _seen_valid[mine] = None
    _seen_valid.move_to_end(mine)
    while len(_seen_valid) > REMEMBERED:
        _seen_valid.popitem(last=False)
    return True


def create_token(kind: str, backends: Sequence[str], name: str, actor: str) -> str:
    """Make a token, good for these backends, and return it: the only time it can be seen.

    Two of the same kind, backend and name may be valid at once, so that one can be replaced by the other with nobody
    locked out. Raises TokenError for a third, or for an agent's token on more than one backend.
    """
    if kind == Token.Kind.AGENT and len(backends) != 1:
        raise TokenError("An agent's token is good for exactly one backend.")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        for backend in backends:
            _check_room(kind, backend, name)
            row = Token.objects.create(
                kind=kind,
                backend=backend,
                name=name,
                token_hash=hashed(token),
                created_at=clock.now(),
                created_by=actor,
            )
            events.record("token.created", actor, backend=backend, token=row.pk, token_kind=kind, name=name)
    return token


def _check_room(kind: str, backend: str, name: str) -> None:
    valid = Token.objects.filter(kind=kind, backend=backend, name=name, revoked_at=None).order_by("id")
    if len(valid) >= VALID_AT_ONCE:
        raise TokenError(
            f"Backend '{backend}' has {VALID_AT_ONCE} valid {kind} tokens named '{name}' already. "
            f"Revoke the old one first (revoke_token {valid[0].pk})."
        )


def revoke_token(token_id: int, actor: str) -> Token:
    """End a token at once. Revoking it twice changes nothing. Raises TokenError when there is none of that number."""
    with transaction.atomic():
        row = Token.objects.filter(pk=token_id).first()
        if row is None:
            raise TokenError(f"There is no token {token_id}. list_tokens shows those there are.")
        if row.revoked_at is None:
            row.revoked_at = clock.now()
            row.save(update_fields=["revoked_at"])
            events.record("token.revoked", actor, backend=row.backend, token=row.pk, token_kind=row.kind, name=row.name)
    return row
