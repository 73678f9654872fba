"""Reading a document from a URL or a file, for `schemas pull` alone: a run never fetches."""

import time
from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

MAX_BYTES = 50_000_000
ATTEMPTS = 3
_TIMEOUT = 30.0
_WAIT = 0.5


class FetchFault(Exception):
    """The document cannot be had; the message names it, and what to do."""


class _TransientFault(FetchFault):
    """It may be gone when tried again."""


class Fetcher:
    """Reads http(s) and file URLs, and paths. `mirrors`: URL prefix -> prefix to read from instead."""

    def __init__(self, mirrors: AbstractMapping[str, str], base: Path | None = None, wait: float = _WAIT):
        self.mirrors = mirrors
        self.base = base or Path.cwd()
        self.wait = wait

    def fetch(self, location: str) -> bytes:
        """The document's bytes. Raises FetchFault; faults of the network are tried again first."""
        prefixes = [prefix for prefix in self.mirrors if location.startswith(prefix)]
        longest = max(prefixes, key=len, default="")
        mirrored = self.mirrors.get(longest, "") + location[len(longest) :]
        scheme = urlsplit(mirrored).scheme
        if scheme in ("http", "https"):
            return self._download(mirrored)
        if scheme == "file":
            return _read(Path(unquote(urlsplit(mirrored).path)), location)
        return _read(self.base / mirrored, location)

    def _download(self, url: str) -> bytes:
        for attempt in range(1, ATTEMPTS):
            try:
                return _get(url)
            except _TransientFault:
                time.sleep(self.wait * attempt)
        return _get(url)


def _get(url: str) -> bytes:
    import httpx

    try:
        return _stream(url)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise (_TransientFault if status >= 500 else FetchFault)(f"{url} answered {status}") from None
    except httpx.HTTPError as error:
        raise _TransientFault(f"{url} cannot be reached: {type(error).__name__}") from None


def _stream(url: str) -> bytes:
    import httpx

    data = bytearray()
    with httpx.stream("GET", url, timeout=_TIMEOUT, follow_redirects=True) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > MAX_BYTES:
                raise FetchFault(f"{url} is longer than {MAX_BYTES} bytes")
    return bytes(data)


def _read(path: Path, location: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FetchFault(f"{location} cannot be read: {error.strerror}") from None
