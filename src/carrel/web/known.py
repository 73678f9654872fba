"""Whose long bodies are taken: senders of a token or session that was in use lately, or that the database holds.

Asked by the thread that reads from all connections, which must not wait for long: what was in use lately is in memory
or in the cache; all else is looked up in a set of hashes, read from the database by another thread.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

TokenKnown = Callable[[str], bool]

READ_EVERY = 5.0
"""Seconds between two looks at the database, however many ask with what is not known."""
WAIT_SECONDS = 1.0
"""So long the answer waits for such a look."""

logger = logging.getLogger(__name__)


class StoredHashes:
    """The hashes that `read()` returns; read again when one is asked for that is not among them."""

    def __init__(self, read: Callable[[], Iterable[str]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._hashes: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    def __contains__(self, key: object) -> bool:
        if key not in self._hashes and self._monotonic() - self._read_at >= READ_EVERY:
            self._read_at = self._monotonic()
            thread = threading.Thread(target=self._refresh, name="known-tokens", daemon=True)
            thread.start()
            thread.join(WAIT_SECONDS)
        return key in self._hashes

    def _refresh(self) -> None:
        from django.db import connection

        try:
            self._hashes = frozenset(self._read())
        except Exception:
            logger.exception("Which tokens are valid cannot be read: long bodies are taken from those in use alone.")
        finally:
            connection.close()


def of_controller() -> TokenKnown:
    """Return whether a header with a token is one of an agent or a client of ours."""
    from carrel.controller.service import tokens

    stored = StoredHashes(tokens.stored_hashes)

    def token_known(header: str) -> bool:
        return bool(header) and (tokens.is_known(header) or tokens.hashed(tokens.raw_token(header)) in stored)

    return token_known


def of_jobserver() -> tuple[TokenKnown, TokenKnown]:
    """Return whether a header with a token, and one with cookies, is of somebody who is known."""
    from carrel.jobserver import checks
    from carrel.jobserver.service import tokens

    stored, sessions = StoredHashes(tokens.stored_hashes), StoredHashes(checks.stored_sessions)

    def token_known(header: str) -> bool:
        return bool(header) and (checks.token_known(header) or tokens.hashed(checks.raw_token(header)) in stored)

    def session_known(cookies: str) -> bool:
        return bool(cookies) and (checks.session_known(cookies) or checks.session_key(cookies) in sessions)

    return token_known, session_known
