"""Secrets do not get into logs: what is known to be secret, or looks like a password in a URL, becomes ********.

The rules stand here once, for logs of Carrel's own, a job's log at level 4, what git says and what sqlrunner says.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "********"
SHORTEST = 4
"""In a log of many processes shorter values are not hidden, which would make other words unreadable."""
PLACEHOLDERS = frozenset({"token"})
"""Defaults of settings that hold a token, and words of every other sentence. As a password it is a secret."""

_SECRET_NAME = re.compile(r"(TOKENS?|PASSWORD|SECRET|SECRET_KEY|ACCESS_KEY|LICENSE|HEADERS|DATABASE_URL|DSN)$")
_IN_URL = re.compile(r"(?<=://)[^/\s@\"]+@")
_AUTHORIZATION = re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer\s+|basic\s+)?)[^\s'\",}]+", re.IGNORECASE)


def spellings(secrets: Iterable[str], shortest: int = SHORTEST) -> set[str]:
    """How each secret may be written: as it is, and as in a URL. Values under `shortest` characters are left out."""
    forms = {form for secret in secrets for form in (secret, quote(secret), quote(secret, safe=""))}
    return {form for form in forms if len(form) >= shortest}


def secrets_of_url(url: str) -> set[str]:
    """A URL that holds a password, such as a database's, and the password alone, as they may turn up in a log."""
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    return {url, password, unquote(password)} if password else {url}


class Redactor:
    """Hides what it was told, and user names and passwords in URLs, and the values of Authorization headers.

    `mask` is what stands in their place. `shortest`: see `spellings`. `by_looks`: hide those of URLs and headers too,
    which it was not told.
    """

    def __init__(
        self, secrets: Iterable[str] = (), mask: str = HIDDEN, *, shortest: int = SHORTEST, by_looks: bool = True
    ) -> None:
        self._mask = mask
        self._shortest = shortest
        self._by_looks = by_looks
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these too, in all their `spellings`."""
        self._known |= spellings(secrets, self._shortest)
        if self._known:
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(self._mask, text)
        if not self._by_looks:
            return text
        text = _IN_URL.sub(f"{self._mask}@", text)
        return _AUTHORIZATION.sub(rf"\g<1>{self._mask}", text)


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Values of the variables whose names say that they are secret: tokens, passwords, licences, database URLs.

    Lists (`{B}_CLIENT_TOKENS`) are taken apart at their commas, and of a URL the password is taken too.
    """
    secrets: list[str] = []
    for name, value in environ.items():
        if _SECRET_NAME.search(name.upper()) and value:
            parts = {value, *(part.strip() for part in value.split(","))} - PLACEHOLDERS
            secrets += [*parts, *(secrets_of_url(value) - {value})]
    return secrets
