"""Secrets do not get into logs: what is known to be secret, or looks like a password in a URL, becomes ********."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "********"
SHORTEST = 6
"""Shorter values are no secrets, and hiding them would make other words unreadable."""

_SECRET_NAME = re.compile(r"(TOKENS?|PASSWORD|SECRET|SECRET_KEY|ACCESS_KEY|LICENSE|HEADERS|DATABASE_URL|DSN)$")
_IN_URL = re.compile(r"(?<=://)[^/\s@'\"]+@")
_AUTHORIZATION = re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer\s+|basic\s+)?)[^\s'\",}]+", re.IGNORECASE)


class Redactor:
    """Hides what it was told, and user names and passwords in URLs, and the values of Authorization headers."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these too, as they are and as they are written in a URL. Values under 6 characters are left out."""
        forms = {form for secret in secrets for form in (secret, quote(secret), quote(secret, safe=""))}
        self._known |= {form for form in forms if len(form) >= SHORTEST}
        if self._known:
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        text = _IN_URL.sub(f"{HIDDEN}@", text)
        return _AUTHORIZATION.sub(rf"\g<1>{HIDDEN}", text)


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Values of the variables whose names say that they are secret: tokens, passwords, licences, database URLs.

    Lists (`{B}_CLIENT_TOKENS`) are taken apart at their commas, and of a URL the password is taken too.
    """
    found: list[str] = []
    for name, value in environ.items():
        if _SECRET_NAME.search(name.upper()) and value:
            found += [value, *(part.strip() for part in value.split(",")), *_password_in(value)]
    return found


def _password_in(value: str) -> list[str]:
    try:
        password = urlsplit(value).password
    except ValueError:
        return []
    return [password, unquote(password)] if password else []
