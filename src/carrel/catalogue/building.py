"""A backend's catalogue, made of its databases and its notes."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from carrel.catalogue.databases import database_at
from carrel.catalogue.notes import NotesFile, described
from carrel.messages.catalogue import Catalogue, CatalogueError, dump_catalogue, parse_catalogue
from carrel.project import Problem
from carrel.units.limits import MAX_NOTES_BYTES


def build_catalogue(
    backend: str, urls: Mapping[str, str], notes: Iterable[Path] = (), now: datetime | None = None
) -> tuple[Catalogue, list[Problem]]:
    """Return the catalogue of a backend, and warnings of notes on what is not there.

    `urls`: the addresses of its databases by name. Raises DatabaseUnreadable, ModelFileError, CatalogueError.
    """
    files = [read_notes(path) for path in notes]
    databases = [database_at(url, name) for name, url in urls.items()]
    built = f"{now or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    try:
        catalogue, warnings = described(backend, built, databases, files)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        keys = ".".join(str(key) for key in first["loc"])
        raise CatalogueError(f"the catalogue cannot be made: {keys} {first['msg']}".replace("  ", " ")) from None
    return parse_catalogue(dump_catalogue(catalogue)), warnings  # what is too long to be published is refused here


def read_notes(path: Path) -> NotesFile:
    """Read a file of notes; CatalogueError where it is no text, ModelFileError for what is wrong in it."""
    try:
        with path.open("rb") as stream:
            return NotesFile(stream.read(MAX_NOTES_BYTES + 1).decode("utf-8-sig"), str(path))
    except OSError as error:
        raise CatalogueError(f"the notes cannot be read: {error.strerror}: {path}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path} is not UTF-8 text") from None
