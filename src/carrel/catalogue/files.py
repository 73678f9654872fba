"""Catalogues as files: read within bounds, from a file or all of a folder."""

from collections.abc import Iterable
from pathlib import Path

from carrel.messages.catalogue import Catalogue, CatalogueError, parse_catalogue
from carrel.units.faults import in_words
from carrel.units.limits import MAX_BACKENDS, MAX_CATALOGUE_BYTES, MAX_SQL_BYTES

CATALOGUE_SUFFIX = ".json"


def read_catalogue(path: Path) -> Catalogue:
    """Return the catalogue in a file; CatalogueError says what is wrong, beginning with the file's name."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_CATALOGUE_BYTES + 1)
    except OSError as error:
        raise CatalogueError(in_words(error)) from None
    try:
        return parse_catalogue(data)
    except CatalogueError as error:
        raise CatalogueError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def read_catalogues(paths: Iterable[Path]) -> dict[str, Catalogue]:
    """Return the catalogues in these files, and in the `*.json` of these folders, by backend. Raises CatalogueError."""
    catalogues: dict[str, Catalogue] = {}
    for path in paths:
        files = sorted(path.glob(f"*{CATALOGUE_SUFFIX}")) if path.is_dir() else [path]
        if not files:
            raise CatalogueError(f"{path}: the folder holds no catalogue (*{CATALOGUE_SUFFIX})")
        for file in files:
            catalogue = read_catalogue(file)
            if catalogue.backend in catalogues:
                raise CatalogueError(
                    f"{file}: the backend {catalogue.backend} has a catalogue already: give one of each"
                )
            catalogues[catalogue.backend] = catalogue
    if len(catalogues) > MAX_BACKENDS:
        raise CatalogueError(f"{len(catalogues)} catalogues are more than {MAX_BACKENDS}: give those of fewer backends")
    return catalogues


def study_text(folder: Path, name: str) -> str | None:
    """Return the text of a study's file, or more of it than is looked into; None where it is no file or no text."""
    try:
        path = folder / name
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            data = stream.read(MAX_SQL_BYTES + 1)
        return data.decode("utf-8-sig", "strict" if len(data) <= MAX_SQL_BYTES else "replace")
    except (OSError, ValueError):
        return None
