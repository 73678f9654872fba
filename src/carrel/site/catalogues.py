"""The catalogues of a site's backends: made of their databases, and kept in a folder as `<backend>.json`.

`carrel check` finds them there (`CATALOGUES_DIR`), and the site's job server is given them.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from carrel.catalogue.building import build_catalogue
from carrel.catalogue.databases import DatabaseUnreadable
from carrel.messages.catalogue import Catalogue, CatalogueError, dump_catalogue
from carrel.project.model_files import ModelFileError
from carrel.site.examples import ExampleStudy
from carrel.site.layout import Site, SiteBackend, SiteError
from carrel.units.files import write_atomically

DUMMY = (
    "This backend has no data: actions get their study's dummy data. Its tables are those that the examples ask for."
)
NOTES = "catalogue-notes.yaml"
"""What the file of notes on a site's data, and on that of a study that comes with Carrel, is called."""


def catalogue_of(backend: SiteBackend, notes: Sequence[Path] = ()) -> Catalogue:
    """Return what data a backend of a site has in all its databases. SiteError where one cannot be described."""
    try:
        catalogue, _ = build_catalogue(backend.name, backend.databases, notes)
    except (CatalogueError, DatabaseUnreadable, ModelFileError) as error:
        raise SiteError(f"the catalogue of {backend.name} cannot be made: {error}") from error
    return catalogue


def dummy_catalogue(backend: str, studies: Sequence[ExampleStudy]) -> Catalogue:
    """Return what a backend that has no database would have, of these studies' dummy data; maybe nothing."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        urls: dict[str, str] = {}
        for study in studies:
            path = Path(folder) / f"{study.database}.duckdb"
            for script in study.dummy_tables(backend):
                with closing(duckdb.connect(str(path), config={"file_search_path": str(script.parent)})) as connection:
                    connection.execute(script.read_text())
                urls[study.database] = f"duckdb:///{path}"
        notes = [path for study in studies if (path := study.folder / NOTES).is_file()]
        told = catalogue_of(SiteBackend(backend, urls.pop("default", None), urls), notes)
    names = {study.database: study.dummy_database for study in studies}
    databases = [database.model_copy(update={"name": names[database.name]}) for database in told.databases]
    return told.model_copy(update={"databases": tuple(databases), "description": DUMMY})


def write_catalogues(
    site: Site, notes: Sequence[Path], tell: Callable[[str], object], *, dummies: Sequence[ExampleStudy] = ()
) -> dict[str, Any]:
    """Write the catalogue of each backend, and return them by backend, as JSON has them.

    One without databases has that of `dummies`, studies with dummy data, if there are any. A database that cannot be
    described is told of, and keeps no site from starting: its actions are not checked.
    """
    site.catalogues.mkdir(exist_ok=True)
    catalogues = {}
    for backend in site.backends:
        if backend.databases or dummies:
            try:
                is_real = bool(backend.databases)
                told = catalogue_of(backend, notes) if is_real else dummy_catalogue(backend.name, dummies)
                data = dump_catalogue(told)
            except SiteError as error:
                tell(str(error))
                continue
            write_atomically(site.catalogues / f"{backend.name}.json", data, synced="no")
            catalogues[backend.name] = json.loads(data)
    return catalogues
