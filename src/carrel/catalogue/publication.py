"""A catalogue put to a job server: one PUT, with the backend's token, which stands in a file and in no command line."""

from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from carrel.messages.catalogue import Catalogue, dump_catalogue

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
MAX_ANSWER_SHOWN = 2_000
MAX_TOKEN_BYTES = 4_096


class CatalogueNotTaken(Exception):
    """The job server did not take the catalogue; the message says why, and what to do."""


def catalogue_address(server: str, backend: str) -> str:
    """Return the address to which a backend's catalogue is put. CatalogueNotTaken for one that is no address."""
    try:
        parts = urlsplit(server)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
        raise CatalogueNotTaken("--to must be the job server's address, such as https://jobs.example.org")
    return f"{server.rstrip('/')}/api/v2/backends/{quote(backend)}/catalogue"


def read_token(path: Path) -> str:
    """Return the token in a file; CatalogueNotTaken where there is none that could be one."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise CatalogueNotTaken(f"the file of the token cannot be read: {error.strerror}: {path}") from None
    token = data.decode("ascii", "replace").strip()
    if not token or len(data) > MAX_TOKEN_BYTES or not token.isascii() or not token.isprintable() or " " in token:
        raise CatalogueNotTaken(f"{path} does not hold a token: one line, without blanks")
    return token


def publish(catalogue: Catalogue, server: str, token: str) -> None:
    """Put a catalogue to a job server; again, it changes nothing. CatalogueNotTaken says what to do."""
    address = catalogue_address(server, catalogue.backend)
    headers = {"Authorization": token, "Content-Type": "application/json"}
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    try:
        with (
            httpx.Client(timeout=timeout) as client,
            client.stream("PUT", address, content=dump_catalogue(catalogue), headers=headers) as answer,
        ):
            if answer.is_success:
                return
            said = _beginning(answer)
    except httpx.HTTPError as error:
        raise CatalogueNotTaken(f"{server} could not be reached ({type(error).__name__}): try again later") from None
    status = answer.status_code
    if status in (401, 403):
        raise CatalogueNotTaken(f"the job server refuses the token for {catalogue.backend}: make a new one there")
    if status == 404:
        raise CatalogueNotTaken(f"the job server has no backend {catalogue.backend}, or no place for it ({address})")
    if answer.is_redirect:
        raise CatalogueNotTaken(
            "the job server answers from another address: give that one; the token goes nowhere else"
        )
    if status >= 500:
        raise CatalogueNotTaken(f"the job server cannot take it just now ({status}): try again later")
    raise CatalogueNotTaken(f"the job server refuses the catalogue ({status}): {said}")


def _beginning(answer: httpx.Response) -> str:
    """Return as much of an answer as is shown, without what would steer a terminal."""
    data = b""
    for chunk in answer.iter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER_SHOWN:
            break
    text = data[:MAX_ANSWER_SHOWN].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
