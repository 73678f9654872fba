"""The catalogues of a site's backends: made of their databases, and kept in a folder as `<backend>.json`.

`carrel check` finds them there (`CATALOGUES_DIR`), and the site's job server is given them.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from carrel.catalogue.building import build_catalogue
from carrel.catalogue.databases import DatabaseUnreadable
from carrel.messages.catalogue import Catalogue, CatalogueError, dump_catalogue
from carrel.project.model_files import ModelFileError
from carrel.site.layout import Site, SiteBackend, SiteError
from carrel.units.files import write_atomically

NOTES = "catalogue-notes.yaml"
"""What the file of notes on a site's data, and on that of a study that comes with Carrel, is called."""


def catalogue_of(backend: SiteBackend, notes: Sequence[Path] = ()) -> Catalogue:
    """Return what data a backend of a site has in all its databases. SiteError where one cannot be described."""
    try:
        catalogue, _ = build_catalogue(backend.name, backend.databases, notes)
    except (CatalogueError, DatabaseUnreadable, ModelFileError) as error:
        raise SiteError(f"the catalogue of {backend.name} cannot be made: {error}") from error
    return catalogue


def write_catalogues(site: Site, notes: Sequence[Path], tell: Callable[[str], object]) -> dict[str, Any]:
    """Write the catalogue of each backend that has databases, and return them by backend, as JSON has them.

    A database that cannot be described is told of, and keeps no site from starting: its actions are not checked.
    """
    site.catalogues.mkdir(exist_ok=True)
    catalogues = {}
    for backend in site.backends:
        if backend.databases:
            try:
                data = dump_catalogue(catalogue_of(backend, notes))
            except SiteError as error:
                tell(str(error))
                continue
            write_atomically(site.catalogues / f"{backend.name}.json", data, synced="no")
            catalogues[backend.name] = json.loads(data)
    return catalogues
